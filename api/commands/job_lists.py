"""Lists of jobs: their filters, and their rows."""

from collections.abc import Sequence
from typing import Annotated

import typer

from api.client import NasClient
from api.console import age, print_json, print_table, short_ids, tell
from api.job_views import JobRow, Wanted
from api.job_words import describe
from nas_service.lifecycle import JobState

SHOWN = 20  # jobs in a list, unless more are asked for

ListedStates = Annotated[list[JobState] | None, typer.Option("--state", help="Only those in this state; may be repeated.")]
Text = Annotated[str | None, typer.Option(help="Only those with this in their name, or at the start of their id.")]
Tag = Annotated[str | None, typer.Option(help="Only those with this tag.")]
Owner = Annotated[str | None, typer.Option(help="Only those that this owner of a key submitted.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


def chosen(**given: str | Sequence[str] | None) -> dict[str, Wanted]:
    """Return the filters that were given."""
    return {name: wanted if isinstance(wanted, str) else list(wanted) for name, wanted in given.items() if wanted}


def owner_column(client: NasClient, found: Sequence[JobRow]) -> list[str]:
    """Return the column of owners, where there are several, or another than who asks."""
    owners = {job.owner for job in found}
    is_told = len(owners) > 1 or (owners - {None} and owners != {client.caller().owner})
    return ["owner"] if is_told else []


def print_jobs(title: str, found: Sequence[JobRow], limit: int, columns: Sequence[str], *, as_json: bool) -> None:
    """Print jobs, with more columns beside those of all; say if there are more."""
    jobs, is_cut = found[:limit], len(found) > limit
    if as_json:
        print_json(jobs)
        return
    rows = [
        (
            shown,
            job.name,
            *(getattr(job, field) or "-" for field in columns),
            job.state,
            describe(job)[2],
            age(job.created_at),
        )
        for shown, job in zip(short_ids([job.id for job in jobs]), jobs, strict=True)
    ]
    print_table(
        title, ["id", "name", *columns, "state", "progress", "age"], rows, [name for name in reversed(columns) if name != "kind"]
    )
    if is_cut:
        tell(f"there are more: --limit {2 * limit}, --state, --text, --tag, --owner")
