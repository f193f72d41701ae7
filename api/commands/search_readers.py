"""`nas search arms|samples|rounds`: what a search knows, as tables and files."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer

from api.commands.identifiers import find_job, job_argument
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.pictures import LEAST, interval, spread_of
from api.commands.rows import AsCsv, AsParquet, Rows, check_output, put_out
from api.console import RULES, cell_text, console, is_narrow, print_json, print_table, say, width_of

SearchId = Annotated[str, job_argument("search")]

_ARMS = {
    "cell": "cell",
    "edge": "edge",
    "operation": "operation",
    "pulls": "pulls",
    "mean": "mean",
    "lower": "lower",
    "upper": "upper",
    "left in round": "abandoned_round",
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
_WIDEST = 60  # columns of a picture
_DIGEST = 12  # letters of it in a table
_OPTIONAL = ("clean_accuracy", "attacked_accuracy", "steps")  # not in a table where no sample has them
_SPARE = ("wave", "steps", "seconds", "packed_bytes", "fidelity")  # left out one after another where a terminal has no room


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
    rows = [arm.model_dump() for arm in table]
    if parquet is None and not as_csv:
        rows.sort(key=_standing)
        if console.is_terminal and (width := _room(columns, rows)) >= LEAST:
            columns, rows = _drawn(columns, rows, width)
    put_out(f"arms of {search_id}", columns, rows, as_csv=as_csv, parquet=parquet)


def _standing(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what arms are sorted by: their edge, those that live first, and the best of each first."""
    mean = row["mean"]
    return row["cell"], row["edge"], row["abandoned_round"] is not None, mean is None, -(mean or 0.0)


def _room(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> int:
    """Return how many columns of the terminal are left for a picture where lower and upper bounds have none of their own."""
    taken = 1 + RULES
    for title, name in columns.items():
        if name not in {"lower", "upper"}:
            widest = max((len(cell_text(row[name])) for row in rows), default=0)
            taken += max(widest, *map(len, title.split(" "))) + RULES
    return min(console.width - taken, _WIDEST)


def _drawn(
    columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]], width: int
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Return columns and rows with a picture of means and bounds in place of the bounds; its heading is the scale."""
    low, high = scale = spread_of([row[bound] for row in rows for bound in ("lower", "mean", "upper")])
    end = f"{high:.3g}"
    axis = f"{low:<{width - len(end)}.3g}{end}"
    kept = {title.replace(" ", "\n"): name for title, name in columns.items() if name not in {"lower", "upper"}}
    drawn = [dict(row) | {"drawn": interval(row["lower"], row["mean"], row["upper"], scale, width)} for row in rows]
    return kept | {axis: "drawn"}, drawn


_FORMS: dict[str, Callable[[Any], str]] = {
    "ops": "{:,.0f}".format,
    "packed_bytes": "{:,}".format,
    "seconds": "{:,.1f}".format,
    "digest": lambda digest: digest[:_DIGEST],
}


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
    rows = [row.model_dump() | {name: row.cost.get(name) for name in ("ops", "packed_bytes")} for row in found]
    if as_csv or parquet is not None:
        put_out("", _SAMPLES, rows, as_csv=as_csv, parquet=parquet)
    else:
        print_samples(f"samples of {search_id}", rows)


def print_samples(title: str, rows: Rows) -> None:
    """Print a table of samples, with the columns that there is room for; which are left out is said.

    Args:
        title: Of the table.
        rows: With a value for every name in `_SAMPLES`.
    """
    is_told = {name: any(row[name] is not None for row in rows) for name in _OPTIONAL}
    is_told["clean_accuracy"] = any(row["clean_accuracy"] not in {None, row["reward"]} for row in rows)
    columns = {heading: name for heading, name in _SAMPLES.items() if is_told.get(name, True)}
    told = [row | {name: _FORMS[name](row[name]) for name in _FORMS if row[name] is not None} for row in map(dict, rows)]
    left_out = []
    for spare in _SPARE:
        cells = [[row[name] for name in columns.values()] for row in told]
        if not is_narrow() or width_of(list(columns), cells) <= console.width:
            break
        left_out += [heading for heading, name in columns.items() if name == spare]
        columns = {heading: name for heading, name in columns.items() if name != spare}
    print_table(title, list(columns), [[row[name] for name in columns.values()] for row in told], folds=())
    if left_out:
        say(f"left out, since this terminal is narrow: {', '.join(left_out)}; --csv and --json have them")


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
