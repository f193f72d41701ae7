"""What `nas search`, `nas training` and `nas registration` have in common: list, show, cancel, pause, resume."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.options import Json, Url
from api.console import console, describe, print_data_remarks, print_json, print_table
from api.views import JobView
from nas_service.settings import Settings

JobId = Annotated[str, typer.Argument(help="Id of the job.")]


def connect(url: str | None) -> NasClient:
    """Return a client for the address given, or the settings' own."""
    return NasClient(url or Settings().url)


@dataclass(frozen=True)
class JobKind:
    """How the commands reach one kind of job.

    Attributes:
        name: `search`, `training` or `registration`.
        plural: Of it.
        get: Of one job.
        list_all: Of all, newest first.
        columns: That its list has beside id, name, state, progress and time.
        is_kept: Whether what it has done so far outlives it.
    """

    name: str
    plural: str
    get: Callable[[NasClient, str], JobView]
    list_all: Callable[[NasClient], Iterator[JobView]]
    columns: Sequence[str] = ()
    is_kept: bool = True


_REQUESTS = {
    "cancel": "Cancel a {name}; {found}.",
    "pause": "Let a {name} rest: its processes end within seconds, and {kept}.",
    "resume": "Put a paused {name} back into the queue; it ends as if it had not rested.",
}
_KEEPING = {"found": "what it has so far is kept", "kept": "everything is kept"}
_BEGINNING_ANEW = {"found": "nothing of it is kept", "kept": "it begins anew when it goes on"}


def add_job_commands(app: typer.Typer, kind: JobKind) -> None:
    """Add the commands that all kinds have."""
    _add_readers(app, kind)
    words = _KEEPING if kind.is_kept else _BEGINNING_ANEW
    for request, text in _REQUESTS.items():
        _add_request(app, kind, request, text.format(name=kind.name, **words))


def _add_readers(app: typer.Typer, kind: JobKind) -> None:
    @app.command("list", help=f"List {kind.plural}, newest first.")
    def list_jobs(as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            jobs = list(kind.list_all(client))
        if as_json:
            print_json(jobs)
            return
        rows = [
            (job.id, job.name, *(job.spec[field]["name"] for field in kind.columns), job.state, describe(job)[2], job.created_at)
            for job in jobs
        ]
        print_table(kind.plural, ["id", "name", *kind.columns, "state", "progress", "created"], rows)

    @app.command("show", help=f"Show one {kind.name} with its spec.")
    def show_job(job_id: JobId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            job = kind.get(client, job_id)
            if as_json:
                print_json(job)
                return
            _print_job(client, job)


def _print_job(client: NasClient, job: JobView) -> None:
    told = {} if job.progress is None else job.progress.model_dump(exclude={"kind"})
    facts = job.model_dump(exclude={"spec", "progress"}) | told | {"spec": job.spec}
    print_table(f"{job.kind} {job.id}", ["field", "value"], list(facts.items()))
    print_data_remarks(client, job)


def _add_request(app: typer.Typer, kind: JobKind, request: str, text: str) -> None:
    @app.command(request, help=text)
    def act(job_id: JobId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            ask: Callable[[str], JobView] = getattr(client, f"{request}_{kind.name}")
            job = ask(job_id)
        if as_json:
            print_json(job)
        else:
            console.print(f"{kind.name} {job.id} is {job.state}", highlight=False)
