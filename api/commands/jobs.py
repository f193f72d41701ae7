"""What `nas search`, `nas training` and `nas registration` have in common: list, show, cancel, pause, resume."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.identifiers import find_job, job_argument
from api.commands.job_lists import SHOWN, Limit, ListedStates, Owner, Tag, Text, chosen, owner_column, print_jobs
from api.commands.messages import print_messages
from api.commands.options import Json, Url
from api.console import print_data_remarks, print_json, print_table, say, tell
from api.views import JobView
from nas_service.settings import Settings


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
        columns: That its list has beside id, name, state, progress and time.
        is_kept: Whether what it has done so far outlives it.
    """

    name: str
    plural: str
    get: Callable[[NasClient, str], JobView]
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
    _add_story(app, kind)
    _add_stream(app, kind)
    words = _KEEPING if kind.is_kept else _BEGINNING_ANEW
    for request, text in _REQUESTS.items():
        _add_request(app, kind, request, text.format(name=kind.name, **words))


def _add_readers(app: typer.Typer, kind: JobKind) -> None:
    @app.command("list", help=f"List {kind.plural}, newest first.")
    def list_jobs(  # noqa: PLR0913, PLR0917 - the options of the command line
        state: ListedStates = None,
        text: Text = None,
        tag: Tag = None,
        owner: Owner = None,
        limit: Limit = SHOWN,
        as_json: Json = False,  # noqa: FBT002 - typer's way
        url: Url = None,
    ) -> None:
        filters = chosen(kind=kind.name, state=state, text=text, tag=tag, owner=owner)
        with connect(url) as client:
            found = list(islice(client.jobs(**filters), limit + 1))
            columns = [*kind.columns, *owner_column(client, found[:limit])]
        print_jobs(kind.plural, found, limit, columns, as_json=as_json)

    @app.command("show", help=f"Show one {kind.name} with its spec.")
    def show_job(job_id: Annotated[str, job_argument(kind.name)], as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            if as_json:
                print_json(job)
                return
            _print_job(client, job)


def _add_story(app: typer.Typer, kind: JobKind) -> None:
    @app.command("events", help=f"Print what happened to a {kind.name}, oldest first.")
    def list_events(job_id: Annotated[str, job_argument(kind.name)], as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            found = list(client.events_of(job))
        if as_json:
            print_json(found)
            return
        rows = [(event.created_at, event.kind, event.data.model_dump(mode="json", exclude_none=True)) for event in found]
        print_table(f"events of {job.id}", ["when", "kind", "what"], rows)

    @app.command("logs", help=f"Print what the driver of a {kind.name} printed.")
    def show_log(
        job_id: Annotated[str, job_argument(kind.name)],
        tail: Annotated[int, typer.Option(min=1, help="Lines, the last ones.")] = 200,
        attempt: Annotated[int | None, typer.Option(min=1, help="Of this attempt; the last one if left out.")] = None,
        as_json: Json = False,  # noqa: FBT002 - typer's way
        url: Url = None,
    ) -> None:
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            log = client.log(job, attempt=attempt, tail=tail)
        if as_json:
            print_json(log)
            return
        for line in log.lines:
            say(line)
        if log.missing is not None:
            tell(log.missing)


def _add_stream(app: typer.Typer, kind: JobKind) -> None:
    @app.command("stream", help=f"Print what happens to a {kind.name} while it happens, until it is over: a message a line.")
    def stream_job(
        job_id: Annotated[str, job_argument(kind.name)],
        after: Annotated[int | None, typer.Option(min=0, help="Event after which to begin; from now on if left out.")] = None,
        log: Annotated[bool, typer.Option("--log", help="Lines that its driver prints, too.")] = False,  # noqa: FBT002 - typer's way
        as_json: Json = False,  # noqa: FBT002 - as above
        url: Url = None,
    ) -> None:
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            print_messages(client.stream(job, after, log=log), as_json=as_json)


def _print_job(client: NasClient, job: JobView) -> None:
    told = {} if job.progress is None else job.progress.model_dump(exclude={"kind"})
    facts = job.model_dump(exclude={"spec", "progress"}) | told | {"spec": job.spec}
    print_table(f"{job.kind} {job.id}", ["field", "value"], list(facts.items()))
    print_data_remarks(client, job)


def _add_request(app: typer.Typer, kind: JobKind, request: str, text: str) -> None:
    @app.command(request, help=text)
    def act(job_id: Annotated[str, job_argument(kind.name)], as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            ask: Callable[[str], JobView] = getattr(client, f"{request}_{kind.name}")
            job = ask(find_job(client, kind.name, job_id))
        if as_json:
            print_json(job)
        else:
            say(f"{kind.name} {job.id} is {job.state}")
