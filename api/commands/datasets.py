"""`nas dataset ...`: register, list, show, delete, export."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.files import require_writable
from api.commands.identifiers import named_in
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.registrations import until_over
from api.commands.searches import exit_for
from api.commands.specs import Given, Sets, asked, read_spec
from api.console import print_json, print_remarks, print_table, program, say
from api.views import DatasetView
from nas_service.errors import NotReadyError
from nas_service.reports import DatasetReport
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError

CLASSES = 20  # in a table; --json has all
_PARTS = ("train", "validation", "test")

app = typer.Typer(
    no_args_is_help=True, help="Register your images under a name, look at what was registered, export test images."
)

DatasetName = Annotated[str, typer.Argument(help="Name of a dataset.", autocompletion=named_in("datasets"))]
Sheet = Annotated[Path | None, typer.Option(help="Also write the picture of some of its images to this PNG file.")]


@app.command()
def register(  # noqa: PLR0913, PLR0917 - the options of the command line
    name: Annotated[str, typer.Argument(help="Name to use in specs.")],
    kind: Annotated[
        str,
        typer.Argument(help="image-folder, parquet or cifar10.", autocompletion=lambda: ["image-folder", "parquet", "cifar10"]),
    ],
    sets: Sets = None,
    sheet: Sheet = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only submit it, and print the registration's id.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Give files under the service's data root a name: nas dataset register flowers image-folder --set path=flowers.

    Every image is read once, so that a broken one is found now.
    """
    if sheet is not None:
        if no_wait:
            raise InvalidFieldError("--sheet", str(sheet), "nothing with --no-wait: the sheet is drawn when all is read")
        require_writable("--sheet", sheet)
    with connect(url) as client:
        read = read_spec(None, {}, sets)
        given = Given({"settings": read.body}, read.faults, tuple(f"settings.{entry}" for entry in read.sets))
        job = asked(lambda spec: client.register_dataset(name, kind, spec["settings"]), given)
        if no_wait:
            if as_json:
                print_json(job)
            else:
                say(job.id)
            return
        exit_for([until_over(client, job.id, as_json=as_json)])
        _show(client, name, sheet, as_json=as_json)


@app.command("list")
def list_datasets(as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """List datasets, built in and registered."""
    with connect(url) as client:
        entries = client.catalogue("datasets")
    if as_json:
        print_json(entries)
    else:
        print_table("datasets", ["name", "summary"], [(entry.name, entry.summary) for entry in entries])


@app.command()
def show(
    name: DatasetName,
    sheet: Sheet = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Show a dataset: its settings, its classes with their counts, and what people should know before they train."""
    if sheet is not None:
        require_writable("--sheet", sheet)
    with connect(url) as client:
        _show(client, name, sheet, as_json=as_json)


@app.command()
def delete(name: DatasetName, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Forget the name of a registered dataset; its files stay, and so do jobs that learnt it."""
    with connect(url) as client:
        client.delete_dataset(name)
    if as_json:
        print_json({"deleted": name})
    else:
        say(f"dataset {name} is deleted; its files are where they were")


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Built-in dataset.")],
    output: Annotated[Path, typer.Argument(help="Safetensors file to write.")],
    sets: Sets = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write the test images of a dataset as `python model.py --data` reads them."""
    require_writable("OUTPUT", output)
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415 - other commands start faster
    from nas_service.export.bundle import write_test_images  # noqa: PLC0415
    from nas_service.specs import Component  # noqa: PLC0415

    dataset = open_dataset(Component(name=name, settings=read_spec(None, {}, sets).required()), Settings())
    if dataset.test is None:
        raise NotReadyError(f"dataset {name} has no test images")
    output.write_bytes(write_test_images(dataset.test))
    if as_json:
        print_json({"path": str(output), "images": len(dataset.test)})
        return
    say(str(output))


def _show(client: NasClient, name: str, sheet: Path | None, *, as_json: bool) -> None:
    """Print a dataset, and write its sheet to a file if one is given; else say how to have it."""
    view = client.dataset(name)
    if sheet is not None:
        sheet.write_bytes(client.dataset_sheet(name))
    if as_json:
        print_json(view)
        return
    _print_dataset(view)
    if sheet is not None:
        say(f"sheet: {sheet}")
    elif view.sheet is not None:
        said = f"`{program()} dataset show {name} --sheet FILE.png` writes a picture of some of them"
        say(said)


def _print_dataset(view: DatasetView) -> None:
    facts, rows = view.facts, {"kind": view.kind, "settings": view.settings, "registered": view.registered_at}
    if facts is None:
        print_table(view.name, ["field", "value"], [("summary", view.summary), *rows.items()])
        return
    rows["images"] = f"{facts.height}x{facts.width} pixels, {facts.channels} channel(s)"
    print_table(view.name, ["field", "value"], list(rows.items()))
    print_table("images by class", ["class", *_PARTS], _class_rows(facts))
    print_remarks(facts.skipped or {}, facts.warnings or ())


def _class_rows(facts: DatasetReport) -> list[Sequence[object]]:
    """Return a row a class, of the first classes, and one of all; an earlier version did not count by class."""
    names, by_class = facts.class_names or (), facts.by_class or {}
    counted = [by_class[part] for part in _PARTS if part in by_class]
    rows: list[Sequence[object]] = [(name, *counts) for name, *counts in zip(names[:CLASSES], *counted, strict=False)]
    if len(names) > CLASSES:
        rows.append((f"and {len(names) - CLASSES:,} more", *("..." for _ in counted)))
    return [*rows, (f"all {len(names):,}", facts.train, facts.validation, facts.test)]
