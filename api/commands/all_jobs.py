"""`nas jobs ...`: jobs of every kind: list, counts, stream."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated

import typer

from api.commands.identifiers import named_in
from api.commands.job_lists import SHOWN, Limit, ListedStates, Owner, Tag, Text, chosen, owner_column, print_jobs
from api.commands.jobs import connect
from api.commands.messages import print_messages
from api.commands.options import Json, Url
from api.console import print_json, print_table
from api.views import PLURALS

app = typer.Typer(no_args_is_help=True, help="Look at jobs of every kind at once.")

Kinds = Annotated[
    list[str] | None,
    typer.Option(
        "--kind", help=f"Only those of this kind: {', '.join(PLURALS)}; may be repeated.", autocompletion=lambda: [*PLURALS]
    ),
]
Space = Annotated[str | None, typer.Option(help="Only those in this search space.", autocompletion=named_in("spaces"))]
DatasetName = Annotated[
    str | None, typer.Option("--dataset", help="Only those on this dataset.", autocompletion=named_in("datasets"))
]
StrategyName = Annotated[
    str | None, typer.Option("--strategy", help="Only searches with this strategy.", autocompletion=named_in("strategies"))
]


@app.command("list")
def list_jobs(  # noqa: PLR0913, PLR0917 - the options of the command line
    kinds: Kinds = None,
    state: ListedStates = None,
    text: Text = None,
    tag: Tag = None,
    space: Space = None,
    dataset: DatasetName = None,
    strategy: StrategyName = None,
    owner: Owner = None,
    limit: Limit = SHOWN,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """List jobs of every kind, newest first."""
    filters = chosen(kind=kinds, state=state, text=text, tag=tag, space=space, dataset=dataset, strategy=strategy, owner=owner)
    with connect(url) as client:
        found = list(islice(client.jobs(**filters), limit + 1))
        columns = ["kind", *owner_column(client, found[:limit])]
    print_jobs("jobs", found, limit, columns, as_json=as_json)


@app.command()
def counts(  # noqa: PLR0913, PLR0917 - as above
    kinds: Kinds = None,
    text: Text = None,
    tag: Tag = None,
    space: Space = None,
    dataset: DatasetName = None,
    strategy: StrategyName = None,
    owner: Owner = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Count jobs by state."""
    with connect(url) as client:
        filters = chosen(kind=kinds, text=text, tag=tag, space=space, dataset=dataset, strategy=strategy, owner=owner)
        found = client.count_jobs(**filters)
    if as_json:
        print_json(found)
        return
    rows: Sequence[tuple[str, int]] = [(state, count) for state, count in found.by_state.items() if count]
    print_table("jobs", ["state", "jobs"], [*rows, ("all", found.total)])


@app.command()
def stream(
    after: Annotated[int | None, typer.Option(min=0, help="Event after which to begin; from now on if left out.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Print how all jobs move, while they do, until Ctrl-C."""
    with connect(url) as client:
        print_messages(client.stream_jobs(after), as_json=as_json)
