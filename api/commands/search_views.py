"""`nas search series|leader|sample|history|correlation`: what a search knows, in time and one by one."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.files import write_drawing
from api.commands.identifiers import find_job, job_argument
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.pictures import course, spread_of
from api.commands.rows import AsCsv, AsParquet, check_output, put_out
from api.console import console, figure, print_json, print_table
from nas_service.wording import percent
from search_spaces.errors import InvalidFieldError

SearchId = Annotated[str, job_argument("search")]
_SHOWN = "index,reward,best,fidelity,ops,packed_bytes,seconds"  # of a series, in a table
At = Annotated[int | None, typer.Option(min=1, help="As of so many samples.")]


def series(  # noqa: PLR0913, PLR0917 - the options of the command line
    search_id: SearchId,
    fields: Annotated[str | None, typer.Option(help="Names by commas: reward,best,ops; the service names all.")] = None,
    points: Annotated[int, typer.Option(min=4, help="Samples at most; the first, the last and new bests are kept.")] = 100,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print the samples of a search as columns, thinned for charts."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        is_table = parquet is None and not (as_csv or as_json)
        wanted = fields or (_SHOWN if is_table else None)
        found = client.series(search_id, points=points, **({} if wanted is None else {"fields": wanted}))
    if as_json:
        print_json(found)
        return
    rows = [
        dict(zip(found.fields, values, strict=True))
        for values in zip(*(found.columns[name] for name in found.fields), strict=True)
    ]
    many = f"{found.points:,} of {found.points_total:,} samples" if found.thinned else f"{found.points:,} samples"
    columns = {name.replace("_", " "): name for name in found.fields}
    put_out(f"{many} of {search_id}", columns, rows, as_csv=as_csv, parquet=parquet)


def leader(search_id: SearchId, at: At = None, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show the genotype in front: its operations, what the search thinks of it, what it costs."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = client.leader(search_id) if at is None else client.leader(search_id, at=at)
    if as_json:
        print_json(found)
        return
    unit = found.score_unit.replace("-", " ")
    told = percent(found.score) if unit == "accuracy" else f"{found.score:.4f}"
    rows = [
        ("digest", found.digest),
        (f"score, {unit}", told),
        *((name.replace("_", " "), figure(value)) for name, value in (found.cost or {}).items()),
        ("genotype", found.genotype),
    ]
    print_table(f"leader of {search_id} after {found.at:,} samples", ["what", "value"], rows)


def sample(
    search_id: SearchId,
    index: Annotated[int, typer.Argument(min=0, help="Which sample, from 0.")],
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Show one sample of a search: what was tried, what it reached, what it costs."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = client.sample(search_id, index)
    if as_json:
        print_json(found)
        return
    rows = [(name.replace("_", " "), value) for name, value in found.model_dump().items()]
    print_table(f"sample {index} of {search_id}", ["field", "value"], rows)


def history(  # noqa: PLR0913, PLR0917 - the options of the command line
    search_id: SearchId,
    edge: Annotated[str, typer.Option(help="Which edge, as 0-2.")],
    cell: Annotated[str, typer.Option(help="Which kind of cell.")],
    points: Annotated[int, typer.Option(min=2, max=500, help="Numbers of samples to tell of, at most.")] = 20,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Show the means of the arms of one edge over time; --csv and --parquet have a column an operation."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = client.arm_history(search_id, cell, edge, points)
    if as_json:
        print_json(found)
        return
    title = f"means of {cell} {edge} of {search_id}"
    if parquet is not None or as_csv or not console.is_terminal:
        rows = [
            {"samples": at} | {arm.operation: arm.mean[place] for arm in found.operations} for place, at in enumerate(found.at)
        ]
        columns = {name: name for name in ("samples", *(arm.operation for arm in found.operations))}
        put_out(title, columns, rows, as_csv=as_csv, parquet=parquet)
        return
    scale = spread_of([mean for arm in found.operations for mean in arm.mean])
    told = [
        (arm.operation, arm.pulls[-1], arm.mean[-1], arm.abandoned_round, course(arm.mean, scale)) for arm in found.operations
    ]
    over = f"{scale[0]:.4g} to {scale[1]:.4g}, over {found.at[-1]:,} samples"
    print_table(title, ["operation", "pulls", "mean", "left in round", over], told)


def correlation(search_id: SearchId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Print what the search thought of its architectures, against what they reached when they were trained."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        found = client.correlation(search_id)
    if as_json:
        print_json(found)
        return
    points = [(row.rank, row.method, row.dataset, row.score, percent(row.test_mean), row.seeds) for row in found.points]
    print_table(
        f"scores and trained accuracies of {search_id}", ["rank", "method", "dataset", "score", "test mean", "seeds"], points
    )
    told = [(row.method, row.dataset, "not known" if row.rho is None else f"{row.rho:.2f}", row.n) for row in found.methods]
    print_table("rank correlation", ["method", "dataset", "Spearman's rho", "architectures"], told)


def diagram(
    search_id: SearchId,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; leader-ID.svg or sample-N-ID.svg if left out.")
    ] = None,
    at: At = None,
    index: Annotated[int | None, typer.Option("--sample", min=0, help="Instead of the leader: this sample, from 0.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Draw the cells of the genotype in front, or of a sample, as SVG."""
    if at is not None and index is not None:
        raise InvalidFieldError("--sample", index, "--at or --sample, not both")

    def draw(found: str) -> str:
        if index is not None:
            return client.sample_diagram(found, index)
        return client.leader_diagram(found) if at is None else client.leader_diagram(found, at=at)

    with connect(url) as client:
        what = "leader" if index is None else f"sample-{index}"
        write_drawing(output, what, lambda: find_job(client, "search", search_id), draw, as_json=as_json)


def add_views(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (series, leader, sample, history, correlation, diagram):
        app.command()(command)
