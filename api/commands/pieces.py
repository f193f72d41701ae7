"""`nas architecture ...` and `nas candidate ...`: one of what came out."""

from pathlib import Path
from typing import Annotated

import typer

from api.commands.files import write_drawing
from api.commands.identifiers import find_result, result_argument
from api.commands.jobs import connect
from api.commands.options import Json, Url
from api.commands.rows import AsCsv, AsParquet, check_output, put_out
from api.console import figure, print_json, print_table

architectures = typer.Typer(no_args_is_help=True, help="Look at one architecture: what it is, what it costs, how it is drawn.")
candidates = typer.Typer(no_args_is_help=True, help="Look at one trained network: its figures and its epochs.")

ArchitectureId = Annotated[str, result_argument("architectures")]
CandidateId = Annotated[str, result_argument("candidates")]


@architectures.command("show")
def show_architecture(identifier: ArchitectureId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show an architecture: its search, its score, its genotype."""
    with connect(url) as client:
        found = client.architecture(find_result(client, "architectures", identifier))
    if as_json:
        print_json(found)
        return
    facts = found.model_dump(exclude={"cost", "genotype"}) | {name: figure(value) for name, value in found.cost.items()}
    rows = [(name.replace("_", " "), value) for name, value in facts.items() if value is not None]
    print_table(f"architecture {found.id}", ["what", "value"], [*rows, ("genotype", found.genotype)])


@architectures.command()
def cost(
    identifier: ArchitectureId,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print what an architecture costs, by cell, edge, layer and bit width."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        identifier = find_result(client, "architectures", identifier)
        found = client.architecture_cost(identifier)
    if as_json:
        print_json(found)
        return
    columns = {"cell": "cell", "edge": "edge", "layer": "layer", "bits": "weight_bits", "parameters": "parameters", "OPs": "ops"}
    columns |= {"bytes": "bytes"}
    is_table = parquet is None and not as_csv
    names = {} if is_table else {"kind": "cell_type", "operation": "operation", "flops": "flops", "bops": "bops"}
    put_out(f"cost of {identifier}", columns | names, [row.model_dump() for row in found.rows], as_csv=as_csv, parquet=parquet)
    if is_table:
        rows = [(name.replace("_", " "), figure(value)) for name, value in found.totals.items()]
        in_c = {} if found.c is None else found.c.model_dump()
        rows += [(f"in C: {name.replace('_', ' ')}", figure(value)) for name, value in in_c.items()]
        rows += [] if found.c_refused is None else [("no C", found.c_refused)]
        print_table("sums", ["what", "value"], rows)


@architectures.command()
def diagram(
    identifier: ArchitectureId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; architecture-ID.svg if left out.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Draw the cells of an architecture as SVG."""
    with connect(url) as client:
        write_drawing(
            output,
            "architecture",
            lambda: find_result(client, "architectures", identifier),
            client.architecture_diagram,
            as_json=as_json,
        )


@candidates.command("show")
def show_candidate(identifier: CandidateId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show a candidate: its method, its figures, where and how long it was trained."""
    with connect(url) as client:
        found = client.candidate(find_result(client, "candidates", identifier))
    if as_json:
        print_json(found)
        return
    facts = found.model_dump(exclude={"cost", "metrics", "method"}, exclude_none=True)
    facts |= {name: figure(value) for name, value in found.cost.items()}
    metrics = None if found.metrics is None else found.metrics.model_dump(exclude_none=True, exclude={"test_classes"})
    rows = [(name.replace("_", " "), value) for name, value in {**facts, **(metrics or {})}.items()]
    print_table(f"candidate {found.id}", ["what", "value"], rows)


@candidates.command()
def curves(
    identifier: CandidateId,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print the epochs of a candidate's training."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        identifier = find_result(client, "candidates", identifier)
        epochs = list(client.curves(identifier))
    if as_json:
        print_json(epochs)
        return
    columns = {
        "epoch": "epoch",
        "phase": "phase",
        "loss": "train_loss",
        "training": "train_accuracy",
        "validation": "validation_accuracy",
        "flips": "flip_ratio",
        "seconds": "seconds",
    }
    if parquet is not None or as_csv:
        columns |= {"balance": "sign_balance", "bimodality": "bimodality"}
    put_out(f"epochs of {identifier}", columns, [row.model_dump() for row in epochs], as_csv=as_csv, parquet=parquet)
