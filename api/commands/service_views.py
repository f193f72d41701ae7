"""`nas status`, `nas system`, `nas usage`, `nas spec`: how a service does, what it stands on, gave, and takes."""

from datetime import datetime
from typing import Annotated

import typer

from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.schemas import FIELD_COLUMNS, field_rows
from api.console import age, console, print_json, print_table
from api.estimates import bytes_in_words, time_in_words
from api.system_views import SystemView
from nas_service.json_text import json_text

KINDS = ("search", "training", "registration")


def status(as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Say whether the service can work, and what is in its way; status 1 if it cannot."""
    with connect(url) as client:
        told = client.readiness()
    if as_json:
        print_json(told)
    else:
        rows = [("status", told.status), *told.checks.items(), ("jobs queued", told.queued), ("jobs at work", told.running)]
        print_table(f"service at {client.url}", ["what", "how it is"], rows)
    if told.status == "not-ready":
        raise typer.Exit(1)


def system(as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show what the service stands on, who works for it, and at what."""
    with connect(url) as client:
        told = client.system()
    if as_json:
        print_json(told)
        return
    print_table("system", ["what", "how it is"], _facts(told))
    workers = [
        (row.job_name or row.job, row.doing, row.host, row.device, None if row.since is None else age(row.since))
        for row in told.workers
    ]
    if workers:
        print_table("workers", ["job", "doing", "host", "device", "since"], workers)


def usage(
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only from this day on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only up to this day, that included.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what the jobs of this owner held.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Show what the jobs of every owner held: times of GPUs and processors."""
    with connect(url) as client:
        told = client.usage(*(None if moment is None else moment.date() for moment in (since, until)))
    if owner is not None:
        told = told.model_copy(update={"owners": [row for row in told.owners if row.owner == owner]})
    if as_json:
        print_json(told)
        return
    columns = ["owner", "project", "jobs", "at work", "CPU time", "GPU time"]
    rows = [
        (row.owner or "-", row.project or "-", row.jobs, *(time_in_words(held) if held else "0" for held in row.held))
        for row in told.owners
    ]
    print_table("usage", columns, rows)


def _facts(told: SystemView) -> list[tuple[str, str]]:
    capacity = told.launcher.capacity
    room = "not known now" if capacity is None else f"{capacity.cpus:g} CPUs, {capacity.gpus:g} GPUs"
    trouble = told.launcher.trouble
    queue = ", ".join(f"{count} {state}" for state, count in told.queue.items() if count)
    return [
        *((f"version of {name}", version) for name, version in told.versions.items()),
        ("drivers", f"{told.launcher.kind}, {room}" + ("" if trouble is None else f"; none can start: {trouble}")),
        *(("controller", f"{row.id}, last step {age(row.stepped_at)} ago") for row in told.controllers),
        ("jobs", queue or "none"),
        ("database", f"{told.database.kind}, {_bytes(told.database.bytes)}"),
        ("artifacts", _bytes(told.disk.artifact_bytes)),
        ("free space", _bytes(told.disk.home_free_bytes)),
        ("status", told.readiness.status),
    ]


def _bytes(count: int | None) -> str:
    return "size not known" if count is None else bytes_in_words(count)


def spec(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(KINDS)}.", autocompletion=lambda: [*KINDS])] = KINDS[0],
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """List the fields of what can be submitted, with what they take; --json prints the JSON schema."""
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind!r} cannot be submitted; allowed: {', '.join(KINDS)}")
    with connect(url) as client:
        schema = client.spec_schema(kind)
    if as_json:
        console.file.write(json_text(schema) + "\n")
        return
    print_table(f"fields of a {kind}", FIELD_COLUMNS, field_rows(schema), folds=FIELD_COLUMNS)
