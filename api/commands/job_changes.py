"""`change`, `clone` and `best` of jobs: what people say of a job, what they submit again, and what came out in front."""

from collections.abc import Callable
from copy import deepcopy
from typing import Annotated, Any

import typer

from api.client import NasClient
from api.commands.identifiers import find_job, job_argument
from api.commands.jobs import JobKind, connect
from api.commands.options import Json, Name, Priority, Url
from api.commands.specs import Sets, asked, read_spec
from api.console import print_json, print_table, say
from api.views import BestView, JobView
from nas_service.wording import percent
from search_spaces.errors import InvalidFieldError


def add_changes(app: typer.Typer, kind: JobKind) -> None:
    """Add `change` and `clone`."""

    @app.command("change", help=f"Rename, note, tag or rank a {kind.name}, in any state.")
    def change_job(  # noqa: PLR0913, PLR0917 - the options of the command line
        job_id: Annotated[str, job_argument(kind.name)],
        name: Name = None,
        note: Annotated[str | None, typer.Option(help="Replaces the note that was there.")] = None,
        tag: Annotated[list[str] | None, typer.Option(help="Replaces the tags that were there; may be repeated.")] = None,
        no_tags: Annotated[bool, typer.Option("--no-tags", help="Take all tags away.")] = False,  # noqa: FBT002 - typer's way
        priority: Priority = None,
        as_json: Json = False,  # noqa: FBT002 - as above
        url: Url = None,
    ) -> None:
        if no_tags and tag:
            raise InvalidFieldError("--no-tags", no_tags, "--tag or --no-tags, not both")
        tags = [] if no_tags else tag or None
        if name is None and note is None and tags is None and priority is None:
            raise InvalidFieldError("change", "nothing", "one or more of --name, --note, --tag, --no-tags and --priority")
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            changed = client.change(job, name=name, note=note, tags=tags, priority=priority)
        if as_json:
            print_json(changed)
        else:
            print_table(
                f"{kind.name} {job.id}",
                ["field", "value"],
                [
                    ("name", changed.name),
                    ("note", changed.note),
                    ("tags", ", ".join(changed.tags)),
                    ("priority", changed.priority),
                ],
            )

    @app.command("clone", help=f"Submit a {kind.name} again, with some fields of its spec changed, and print the new id.")
    def clone_job(
        job_id: Annotated[str, job_argument(kind.name)],
        sets: Sets = None,
        name: Name = None,
        as_json: Json = False,  # noqa: FBT002 - typer's way
        url: Url = None,
    ) -> None:
        with connect(url) as client:
            job = kind.get(client, find_job(client, kind.name, job_id))
            spec = read_spec(None, {"name": name}, sets, deepcopy(job.spec))
            made = asked(lambda given: client.clone(job, _changes(job, given)), spec)
        if as_json:
            print_json(made)
        else:
            say(made.id)


def _changes(job: JobView, spec: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a spec that are not as those of the job: a clone takes whole fields."""
    return {field: value for field, value in spec.items() if field not in job.spec or job.spec[field] != value}


def add_best(app: typer.Typer, kind: JobKind, ask: Callable[[NasClient, str], BestView]) -> None:
    """Add `best`."""

    @app.command("best", help=f"Show the best trained candidate of a {kind.name}, by the mean over its seeds.")
    def show_best(job_id: Annotated[str, job_argument(kind.name)], as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
        with connect(url) as client:
            job_id = find_job(client, kind.name, job_id)
            found = ask(client, job_id)
        if as_json:
            print_json(found)
            return
        spread = "one seed, no spread" if found.spread is None else f"± {100 * found.spread:.2f} over {found.seeds} seeds"
        rows = [
            ("candidate", found.candidate.id),
            ("architecture", found.candidate.architecture_id),
            ("method", found.candidate.method_label),
            ("seed", found.candidate.seed),
            (found.quantity.replace("_", " "), percent(found.value)),
            ("mean", f"{percent(found.mean)}, {spread}"),
            ("test accuracy", percent(found.candidate.test_accuracy)),
        ]
        print_table(f"best of {kind.name} {job_id}", ["what", "value"], rows)
