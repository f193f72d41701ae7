"""`nas training ...`: submit, watch, delete, and what every job has."""

from functools import partial
from typing import Annotated, Any

import typer

from api.client import NasClient
from api.commands.identifiers import find_job, job_argument, named_in, recent_jobs, recent_results
from api.commands.interruption import told_that_it_goes_on
from api.commands.job_changes import add_best, add_changes
from api.commands.jobs import JobKind, add_job_commands, connect
from api.commands.options import Json, Name, Priority, Url, Watching
from api.commands.rows import AsCsv, AsParquet, check_output, put_out
from api.commands.searches import exit_for
from api.commands.specs import Sets, SpecFile, as_written, asked, read_spec
from api.console import console, errors, print_data_remarks, print_json, print_table, say, short_ids, tell
from api.console import watch as watch_job
from api.estimates import training_rows
from search_spaces.errors import InvalidFieldError

app = typer.Typer(no_args_is_help=True, help="Train architectures with any methods and seeds.")
KIND = JobKind("training", "trainings", NasClient.training)
add_job_commands(app, KIND)
add_changes(app, KIND)
add_best(app, KIND, NasClient.best_of_training)

_CURVES = "validation_accuracy,train_loss"
TrainingId = Annotated[str, job_argument("training")]


def _subjects(client: NasClient, architectures: list[str], search: str | None, top: int) -> dict[str, Any]:
    """Return the fields of a spec that say what is trained: architectures with the space and dataset of their search."""
    if search is not None:
        search = find_job(client, "search", search)
        architectures = [row.id for row in client.architectures(search=search)][:top]
    elif architectures:
        search = client.architecture(architectures[0]).search_id
    if search is None:
        return {}
    spec = client.search(search).spec
    return {"architectures": architectures, "space": spec["space"], "dataset": spec["dataset"]}


@app.command()
def submit(  # noqa: PLR0913, PLR0917 - the options of the command line
    spec: SpecFile = None,
    architecture: Annotated[
        list[str] | None,
        typer.Option(help="Id of an architecture; may be repeated.", autocompletion=recent_results("architectures")),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Instead: the best architectures of this search.", autocompletion=recent_jobs("search"))
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many of them.")] = 1,
    method: Annotated[
        list[str] | None, typer.Option(help="Binarization method; may be repeated.", autocompletion=named_in("methods"))
    ] = None,
    seed: Annotated[list[str] | None, typer.Option(metavar="NUMBER", help="Seed; may be repeated.")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="NUMBER", help="Epochs of the shared recipe.")] = None,
    sets: Sets = None,
    name: Name = None,
    priority: Priority = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,  # noqa: FBT002 - typer's way
    watching: Watching = False,  # noqa: FBT002 - as above
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Queue architectures x methods x seeds and print the training's id; space and dataset are those of the search."""
    if search is not None and architecture:
        raise InvalidFieldError("--search", search, "--architecture or --search, not both")
    with connect(url) as client:
        options = _subjects(client, architecture or [], search, top)
        seeds = None if seed is None else [as_written(word) for word in seed]
        options |= {"methods": method, "seeds": seeds, "recipe.epochs": as_written(epochs), "name": name}
        given = read_spec(spec, options, sets)
        if dry_run:
            estimate = asked(client.estimate_training, given, client.estimate_training)
            if as_json:
                print_json(estimate)
            else:
                print_table("estimate: nothing was started", ["figure", "value"], training_rows(estimate))
            return
        job = asked(partial(client.submit_training, priority=priority or 0), given, client.estimate_training)
        if watching:
            tell(f"training: {job.id}")
            _watch(client, job.id, as_json=as_json)
            return
    if as_json:
        print_json(job)
    else:
        say(job.id)


def _watch(client: NasClient, training_id: str, *, as_json: bool) -> None:
    where = errors if as_json else console
    with told_that_it_goes_on("training", training_id):
        job = watch_job(partial(client.training, training_id), where, partial(print_data_remarks, client, where=where))
    if as_json:
        print_json(job)
    exit_for([job])


@app.command()
def watch(training_id: TrainingId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show the progress of a training until it is over."""
    with connect(url) as client:
        _watch(client, find_job(client, "training", training_id), as_json=as_json)


@app.command()
def curves(  # noqa: PLR0913, PLR0917 - the options of the command line
    training_id: TrainingId,
    fields: Annotated[str, typer.Option(help="Figures by commas: validation_accuracy,train_loss,flip_ratio ...")] = _CURVES,
    points: Annotated[int, typer.Option(min=6, help="Epochs a candidate at most; extremes are kept.")] = 20,
    as_csv: AsCsv = False,  # noqa: FBT002 - typer's way
    parquet: AsParquet = None,
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """Print the epochs of all candidates of a training, a line an epoch."""
    check_output(parquet, as_csv=as_csv, as_json=as_json)
    with connect(url) as client:
        training_id = find_job(client, "training", training_id)
        found = client.training_curves(training_id, fields.split(","), points)
    if as_json:
        print_json(found)
        return
    names = list(dict.fromkeys(name for curve in found.candidates for name in curve.columns)) or fields.split(",")
    ids = [curve.candidate for curve in found.candidates]
    ids = ids if as_csv or parquet is not None else short_ids(ids)
    rows = [
        {"candidate": shown, "method": curve.method, "seed": curve.seed}
        | {"epoch": epoch}
        | {name: curve.columns[name][place] if name in curve.columns else None for name in names}
        for shown, curve in zip(ids, found.candidates, strict=True)
        for place, epoch in enumerate(curve.epoch)
    ]
    columns = {name.replace("_", " "): name for name in ("candidate", "method", "seed", "epoch", *names)}
    put_out(f"epochs of {training_id}" + (", thinned" if found.thinned else ""), columns, rows, as_csv=as_csv, parquet=parquet)


@app.command("hand-made")
def hand_made(
    training_id: TrainingId,
    network: Annotated[str, typer.Option(help="resnet-20, resnet-18, vgg-small or vgg-binarynet.")] = "resnet-20",
    channels: Annotated[int | None, typer.Option(help="Width of its first cells; left out: that of like OPs.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Only this method of the training; may be repeated.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Train a network of the literature, of like cost, as this training trains what was found; print its search's id.

    `nas compare` then says what the search has gained over it. Methods that cost otherwise at its width are left out.
    """
    with connect(url) as client:
        training_id = find_job(client, "training", training_id)
        job = client.train_hand_made(training_id, network, channels, method)
        given = {entry["name"] for entry in client.training(training_id).spec["methods"]}
    if as_json:
        print_json(job)
    else:
        say(job.id)
    width = job.spec["space"]["settings"]["channels"]
    tell(f"{network} with {width} channels; nas compare {training_id} tells the gain once it is trained")
    left = sorted(given - {entry["name"] for entry in job.spec["training"]["methods"]} if method is None else set())
    if left:
        tell(f"left out, since they cost otherwise at this width: {', '.join(left)}; --method trains them")


@app.command()
def delete(training_id: TrainingId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Delete a training that is over, with its candidates and their files."""
    with connect(url) as client:
        training_id = find_job(client, "training", training_id)
        client.delete_training(training_id)
    if as_json:
        print_json({"deleted": training_id})
    else:
        say(f"training {training_id} is deleted")
