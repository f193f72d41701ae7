"""`nas serve`, `nas migrate`, `nas catalogue`: running a service and what it offers."""

from difflib import get_close_matches
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.options import Json, Url
from api.commands.schemas import FIELD_COLUMNS, field_rows
from api.console import print_json, print_table, say
from api.views import EntryView
from nas_service.connections import is_loopback
from nas_service.errors import NotReadyError
from nas_service.settings import Settings

SHELVES = ("spaces", "operations", "templates", "strategies", "methods", "datasets")


def migrate(as_json: Json = False) -> None:  # noqa: FBT002 - typer's way
    """Bring the database up to date; do this before a new version serves."""
    from nas_service.storage.schema import head_revision, upgrade  # noqa: PLC0415 - other commands start faster

    settings = Settings()
    upgrade(settings.database)
    if as_json:
        print_json({"revision": head_revision()})
    else:
        say(f"the database is at revision {head_revision()}")


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; NAS_HOST if left out.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; NAS_PORT if left out, 0 for any free one.")
    ] = None,
) -> None:
    """Run the service. The embedded database (SQLite) is brought up to date first; others need `nas migrate`."""
    from nas_service.logs import configure_logs  # noqa: PLC0415 - other commands start faster

    settings = Settings()
    configure_logs(settings.log_format)
    address, number = host or settings.host, settings.port if port is None else port
    if not is_loopback(address):
        settings = settings.model_copy(update={"require_keys": True})
    from api.server import listening, serve_application, url_of  # noqa: PLC0415 - as above

    with listening(address, number) as sockets:  # before anything else: a service that cannot be reached must touch no job
        prepare_database(settings)
        if settings.require_keys:
            require_key(settings, address)
        from api.app import create_app  # noqa: PLC0415 - a start that cannot be is told before torch is loaded

        app = create_app(settings.model_copy(update={"host": address}))  # a name that is listened on is one to go by
        say(f"nas-service on {url_of(sockets)}, data in {settings.home.resolve()}")
        serve_application(app, sockets, settings)


def require_key(settings: Settings, address: str) -> None:
    """Require that somebody could use a service that asks for keys.

    Raises:
        NotReadyError: If nobody has a valid key.
    """
    from nas_service.storage.access_keys import has_valid_key  # noqa: PLC0415 - as above
    from nas_service.storage.session import Database  # noqa: PLC0415

    database = Database(settings.database)
    try:
        with database.read() as session:
            is_any = has_valid_key(session)
    finally:
        database.close()
    if not is_any:
        raise NotReadyError(f"a service on {address} asks for keys, and there is none: make one with `nas keys create OWNER`")


def prepare_database(settings: Settings) -> None:
    """Bring an embedded database up to date, and require that any other is.

    Raises:
        NotReadyError: Saying what to do.
    """
    from nas_service.storage.engines import STARTS  # noqa: PLC0415 - as above
    from nas_service.storage.schema import require_head, upgrade  # noqa: PLC0415

    if settings.is_embedded:
        upgrade(settings.database)
    else:
        require_head(settings.database, STARTS)


def catalogue(
    shelf: Annotated[str, typer.Argument(help=f"One of: {', '.join(SHELVES)}.", autocompletion=lambda: [*SHELVES])] = "methods",
    name: Annotated[str | None, typer.Argument(help="Only this entry, with its settings.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """List what can be asked for; --json adds every setting with its type, default and bounds."""
    if shelf not in SHELVES:
        near = get_close_matches(shelf, SHELVES)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise typer.BadParameter(f"{shelf!r} is not in the catalogue; {meant}allowed: {', '.join(SHELVES)}")
    with NasClient(url or Settings().url) as client:
        entries = list(client.catalogue(shelf)) if name is None else [client.entry(shelf, name)]
    if as_json:
        print_json(entries if name is None else entries[0])
    elif name is None:
        print_table(shelf, ["name", "summary", "reference"], [(row.name, row.summary, row.reference) for row in entries])
    else:
        _print_entry(entries[0])


def _print_entry(entry: EntryView) -> None:
    facts = [("summary", entry.summary), ("reference", entry.reference)]
    facts += [(name.replace("_", " "), value) for name, value in entry.facts.items() if not isinstance(value, dict | list)]
    print_table(entry.name, ["what", "value"], [(what, value) for what, value in facts if value is not None])
    if entry.settings_schema and (rows := field_rows(entry.settings_schema)):
        print_table("settings", FIELD_COLUMNS, rows, folds=FIELD_COLUMNS)
