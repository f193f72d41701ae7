"""`nas search arms|samples|rounds`: what a search knows, as tables and files."""

from typing import Annotated

import typer

from api.commands.identifiers import find_job, job_argument
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.rows import AsCsv, AsParquet, check_output, put_out
from api.console import print_json, print_table

SearchId = Annotated[str, job_argument("search")]

_ARMS = {
    "cell": "cell",
    "edge": "edge",
    "operation": "operation",
    "pulls": "pulls",
    "mean": "mean",
    "lower": "lower",
    "upper": "upper",
    "abandoned in round": "abandoned_round",
}
_SAMPLES = {
    "sample": "index",
    "wave": "wave",
    "reward": "reward",
    "clean": "clean_accuracy",
    "attacked": "attacked_accuracy",
    "fidelity": "fidelity",
    "steps": "steps",
    "OPs": "ops",
    "packed bytes": "packed_bytes",
    "seconds": "seconds",
    "architecture": "digest",
}
_DIGEST = 12  # letters of it in a table


def arms(  # noqa: PLR0913, PLR0917 - the options of the command line
    search_id: SearchId,
    edge: Annotated[str | None, typer.Option(help="Only those of this edge, as 0-2.")] = None,
    cell: Annotated[str | None, typer.Option(help="Only those of this kind of cell.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Only those that were not abandoned.")] = False,  # noqa: FBT002 - typer's way
    as_csv: AsCsv = False,  # noqa: FBT002 - as above
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print the statistics of every arm: why operations were kept or abandoned."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    chosen = {name: word for name, word in (("cell", cell), ("edge", edge)) if word is not None}
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        table = [arm for arm in client.arms(search_id, **chosen) if not live or arm.abandoned_round is None]
    if as_json:
        print_json(table)
        return
    has_odds = any(arm.best_probability is not None for arm in table)
    columns = {**_ARMS, **({"p(best)": "best_probability"} if has_odds else {})}
    put_out(f"arms of {search_id}", columns, [arm.model_dump() for arm in table], as_csv=as_csv, parquet=parquet)


def samples(
    search_id: SearchId,
    last: Annotated[int | None, typer.Option(min=1, help="Only so many, the newest.")] = None,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print the samples of a search in order: what was tried, and what it reached."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = list(client.samples(search_id))
    found = found if last is None else found[-last:]
    if as_json:
        print_json(found)
        return
    is_table = parquet is None and not as_csv
    rows = [
        row.model_dump()
        | {name: row.cost.get(name) for name in ("ops", "packed_bytes")}
        | ({"digest": row.digest[:_DIGEST]} if is_table else {})
        for row in found
    ]
    told = [name for name in ("clean_accuracy", "attacked_accuracy", "steps") if any(row[name] is not None for row in rows)]
    optional = {"clean_accuracy", "attacked_accuracy", "steps"} - set(told)
    columns = {title: name for title, name in _SAMPLES.items() if not (is_table and name in optional)}
    put_out(f"samples of {search_id}", columns, rows, as_csv=as_csv, parquet=parquet)


def rounds(search_id: SearchId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Print the rounds of a search that are over, and what was abandoned at the end of each."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = client.rounds(search_id)
    if as_json:
        print_json(found)
        return
    rows = [
        (entry.round, entry.samples, "\n".join(f"{arm.cell} {arm.edge} {arm.operation}" for arm in entry.abandoned))
        for entry in found.rounds
    ]
    print_table(f"rounds of {search_id}", ["round", "samples at its end", "abandoned"], rows)


def add_readers(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (arms, samples, rounds):
        app.command()(command)
