"""`nas serve`, `nas migrate`, `nas catalogue`, `nas dataset`: running a service and what it offers."""

from pathlib import Path
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.options import Json, Url
from api.commands.specs import Sets, read_spec
from api.console import console, print_json, print_table
from nas_service.errors import NotReadyError
from nas_service.settings import Settings

SHELVES = ("spaces", "operations", "templates", "strategies", "methods", "datasets")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

datasets_app = typer.Typer(no_args_is_help=True, help="Register and export datasets.")


def migrate(as_json: Json = False) -> None:  # noqa: FBT002 - typer's way
    """Bring the database up to date; do this before a new version serves."""
    from nas_service.storage.schema import head_revision, upgrade  # noqa: PLC0415 - other commands start faster

    settings = Settings()
    upgrade(settings.database)
    if as_json:
        print_json({"revision": head_revision()})
    else:
        console.print(f"the database is at revision {head_revision()}", highlight=False)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; NAS_HOST if left out.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; NAS_PORT if left out, 0 for any free one.")
    ] = None,
) -> None:
    """Run the service. The embedded database (SQLite) is brought up to date first; others need `nas migrate`."""
    from nas_service.logs import configure_logs  # noqa: PLC0415 - other commands start faster

    configure_logs()
    settings = Settings()
    address, number = host or settings.host, settings.port if port is None else port
    if settings.is_embedded and address not in LOOPBACK:
        raise NotReadyError(f"an embedded service listens on loopback only, not on {address}: it has no keys")
    from api.server import listening, serve_application, url_of  # noqa: PLC0415 - as above

    with listening(address, number) as sockets:  # before anything else: a service that cannot be reached must touch no job
        _prepare_database(settings)
        from api.app import create_app  # noqa: PLC0415 - a start that cannot be is told before torch is loaded

        app = create_app(settings)
        console.print(f"nas-service on {url_of(sockets)}, data in {settings.home.resolve()}", highlight=False, soft_wrap=True)
        serve_application(app, sockets, settings)


def _prepare_database(settings: Settings) -> None:
    from nas_service.storage.engines import STARTS  # noqa: PLC0415 - as above
    from nas_service.storage.schema import require_head, upgrade  # noqa: PLC0415

    if settings.is_embedded:
        upgrade(settings.database)
    else:
        require_head(settings.database, STARTS)


def catalogue(
    shelf: Annotated[str, typer.Argument(help=f"One of: {', '.join(SHELVES)}.")] = "methods",
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """List what can be asked for; --json adds every setting with its type, default and bounds."""
    if shelf not in SHELVES:
        raise typer.BadParameter(f"{shelf!r} is not in the catalogue; allowed: {', '.join(SHELVES)}")
    with NasClient(url or Settings().url) as client:
        entries = client.catalogue(shelf)
    if as_json:
        print_json(entries)
    else:
        print_table(shelf, ["name", "summary", "reference"], [(row.name, row.summary, row.reference) for row in entries])


@datasets_app.command()
def register(
    name: Annotated[str, typer.Argument(help="Name to use in specs.")],
    kind: Annotated[str, typer.Argument(help="image-folder, parquet or cifar10.")],
    sets: Sets = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Give files under the service's data root a name: nas dataset register flowers image-folder --set path=flowers."""
    with NasClient(url or Settings().url) as client:
        entry = client.register_dataset(name, kind, read_spec(None, {}, sets))
    if as_json:
        print_json(entry)
    else:
        print_table(name, ["fact", "value"], list(entry.facts.items()))


@datasets_app.command()
def delete(
    name: Annotated[str, typer.Argument(help="Registered dataset.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Forget the name of a registered dataset; its files stay, and so do jobs that learnt it."""
    with NasClient(url or Settings().url) as client:
        client.delete_dataset(name)
    if as_json:
        print_json({"deleted": name})
    else:
        console.print(f"dataset {name} is deleted; its files are where they were", highlight=False)


@datasets_app.command()
def export(
    name: Annotated[str, typer.Argument(help="Built-in dataset.")],
    output: Annotated[Path, typer.Argument(help="Safetensors file to write.")],
    sets: Sets = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write the test images of a dataset as `python model.py --data` reads them."""
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415 - other commands start faster
    from nas_service.export.bundle import write_test_images  # noqa: PLC0415
    from nas_service.specs import Component  # noqa: PLC0415

    dataset = open_dataset(Component(name=name, settings=read_spec(None, {}, sets)), Settings())
    if dataset.test is None:
        raise NotReadyError(f"dataset {name} has no test images")
    output.write_bytes(write_test_images(dataset.test))
    if as_json:
        print_json({"path": str(output), "images": len(dataset.test)})
        return
    console.print(str(output), markup=False, highlight=False)
