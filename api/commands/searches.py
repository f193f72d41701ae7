"""`nas search ...`: submit, watch, delete, run, report, and what every job has."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.embedded import embedded_service, serve_on
from api.commands.files import require_writable
from api.commands.identifiers import find_job, named_in, recent_jobs
from api.commands.interruption import cancelled_if_interrupted, kept_if_it_fails, told_that_it_goes_on
from api.commands.job_changes import add_best, add_changes
from api.commands.jobs import JobKind, add_job_commands, connect
from api.commands.options import Json, Name, Priority, Url, Watching
from api.commands.results import finish_run, print_architectures, print_candidates, print_controls
from api.commands.search_readers import SearchId, add_readers
from api.commands.search_views import add_views
from api.commands.specs import Given, Sets, SpecFile, as_written, asked, make_robust, read_spec
from api.console import console, errors, print_json, print_table, say, serving, tell, watch_search
from api.estimates import search_rows
from api.views import ArchitectureView, CandidateView, JobView
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError

app = typer.Typer(no_args_is_help=True, help="Submit searches and look at them.")
KIND = JobKind("search", "searches", NasClient.search, ["space", "strategy"])
add_job_commands(app, KIND)
add_changes(app, KIND)
add_best(app, KIND, NasClient.best_of_search)
add_readers(app)
add_views(app)

Space = Annotated[
    str | None, typer.Option(help="Search space; `nas catalogue spaces` lists them.", autocompletion=named_in("spaces"))
]
DatasetName = Annotated[
    str | None,
    typer.Option("--dataset", help="Dataset; `nas catalogue datasets` lists them.", autocompletion=named_in("datasets")),
]
MethodName = Annotated[
    str | None,
    typer.Option("--method", help="Method that binarizes the networks of samples.", autocompletion=named_in("methods")),
]
StrategyName = Annotated[str | None, typer.Option("--strategy", help="Search strategy.", autocompletion=named_in("strategies"))]
Seed = Annotated[str | None, typer.Option(metavar="NUMBER", help="Seed of the search.")]
WaveSize = Annotated[
    str | None, typer.Option("--wave", metavar="NUMBER", help="Samples trained together; 1 is the published algorithm.")
]
Train = Annotated[
    list[str] | None,
    typer.Option("--train", help="Train the best with this method; may be repeated.", autocompletion=named_in("methods")),
]
Epochs = Annotated[str | None, typer.Option("--epochs", metavar="NUMBER", help="Epochs of those trainings.")]
Adversarial = Annotated[
    bool,
    typer.Option("--adversarial", help="Search robust networks: train on attacked images, and attack what was trained."),
]
Eps = Annotated[
    str | None,
    typer.Option(metavar="NUMBER", help="With --adversarial: largest change of a pixel in [0, 1]; 8/255."),
]
FromSearch = Annotated[
    str | None,
    typer.Option(
        "--from-search",
        help="Id of another search whose samples are a prior; abandit-plus, screen-and-train.",
        autocompletion=recent_jobs("search"),
    ),
]


def spec_options(  # noqa: PLR0913, PLR0917 - the options of the command line
    space: str | None,
    dataset: str | None,
    method: str | None,
    strategy: str | None,
    seed: str | None,
    wave: str | None,
    from_search: str | None,
    train: list[str] | None,
    epochs: str | None,
) -> dict[str, object]:
    """Return the short options as fields of a spec."""
    return {
        "space": space,
        "dataset": dataset,
        "method": method,
        "strategy": strategy,
        "seed": as_written(seed),
        "wave": as_written(wave),
        "from_search": from_search,
        "training.methods": train or None,
        "training.recipe.epochs": as_written(epochs),
    }


def made_robust(given: Given, eps: str | None, *, adversarial: bool) -> Given:
    """Return a spec made that of a robust search where that was asked for; `eps` without --adversarial is a fault."""
    if adversarial:
        make_robust(given.body, as_written(eps))
    elif eps is not None:
        return replace(given, faults=(*given.faults, InvalidFieldError("--eps", eps, "nothing without --adversarial")))
    return given


@app.command()
def submit(  # noqa: PLR0913, PLR0917 - the options of the command line
    spec: SpecFile = None,
    space: Space = None,
    dataset: DatasetName = None,
    method: MethodName = None,
    strategy: StrategyName = None,
    seed: Seed = None,
    wave: WaveSize = None,
    from_search: FromSearch = None,
    train: Train = None,
    epochs: Epochs = None,
    adversarial: Adversarial = False,  # noqa: FBT002 - typer's way
    eps: Eps = None,
    sets: Sets = None,
    name: Name = None,
    priority: Priority = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would take.")] = False,  # noqa: FBT002 - typer's way
    watching: Watching = False,  # noqa: FBT002 - as above
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Queue a search and print its id."""
    options = spec_options(space, dataset, method, strategy, seed, wave, from_search, train, epochs) | {"name": name}
    given = made_robust(read_spec(spec, options, sets), eps, adversarial=adversarial)
    with connect(url) as client:
        if dry_run:
            estimate = asked(client.estimate, given, client.estimate)
            if as_json:
                print_json(estimate)
            else:
                print_table("estimate: nothing was started", ["figure", "value"], search_rows(estimate))
            return
        job = asked(partial(client.submit_search, priority=priority or 0), given, client.estimate)
        if watching:
            tell(f"search: {job.id}")
            _watch_all(client, job.id, as_json=as_json)
            return
    if as_json:
        print_json(job)
    else:
        say(job.id)


def _watch_all(client: NasClient, search_id: str, *, as_json: bool) -> None:
    with told_that_it_goes_on("search", search_id):
        jobs = watch_search(client, search_id, errors if as_json else console)
    if as_json:
        print_json(jobs)
    exit_for(jobs)


@app.command()
def watch(search_id: SearchId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Show the progress of a search, and of the training it starts, until they are over."""
    with connect(url) as client:
        _watch_all(client, find_job(client, "search", search_id), as_json=as_json)


@app.command()
def delete(
    search_id: SearchId,
    trainings: Annotated[bool, typer.Option("--trainings", help="Also the trainings of what it found.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Delete a search that is over, with its results and their files."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        client.delete_search(search_id, trainings=trainings)
    if as_json:
        print_json({"deleted": search_id})
    else:
        say(f"search {search_id} is deleted")


@app.command()
def beliefs(search_id: SearchId, as_json: Json = False, url: Url = None) -> None:  # noqa: FBT002 - typer's way
    """Print how far the models of a search believe sizes, short trainings and another search, as slopes that they learned."""
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        told = client.beliefs(search_id)
    if as_json:
        print_json(told)
        return
    columns = ["model", "covariate", "expected", "slope", "deviation"]
    rows = [(row.model, row.covariate, row.expected, row.slope, row.deviation) for row in told.beliefs]
    print_table(f"beliefs of {search_id} after {told.at} samples", columns, rows)
    if told.prior is not None:
        prior = told.prior
        said = (
            f"prior search: {prior.search}, {prior.told:,} of its first {prior.samples:,} samples, fidelity {prior.fidelity:.3g}"
        )
        say(said)


@app.command()
def report(
    search_id: SearchId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; report-ID.html if left out.")] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Write a search on one page: HTML that needs neither script nor network."""
    if output is not None:
        require_writable("--output", output)
    with connect(url) as client:
        search_id = find_job(client, "search", search_id)
        path = output or Path(f"report-{search_id}.html")
        content = client.report(search_id)
    path.write_bytes(content)
    if as_json:
        print_json({"path": str(path), "size_bytes": len(content)})
    else:
        say(str(path))


@app.command()
def run(  # noqa: PLR0913, PLR0917 - the options of the command line
    spec: SpecFile = None,
    space: Space = None,
    dataset: DatasetName = None,
    method: MethodName = None,
    strategy: StrategyName = None,
    seed: Seed = None,
    wave: WaveSize = None,
    from_search: FromSearch = None,
    train: Train = None,
    epochs: Epochs = None,
    adversarial: Adversarial = False,  # noqa: FBT002 - typer's way
    eps: Eps = None,
    sets: Sets = None,
    keep: Annotated[bool, typer.Option("--keep", help="Go on serving the pages afterwards, until Ctrl-C.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Start an embedded service, search, train the winner, save its bundle: the whole line in one command.

    Without --spec the winner is trained with bnn and xnor-net; a spec without `training` (and no --train) only searches.
    """
    methods = train or (None if spec else ["bnn", "xnor-net"])
    options = spec_options(space, dataset, method, strategy, seed, wave, from_search, methods, epochs)
    given = made_robust(read_spec(spec, options, sets), eps, adversarial=adversarial)
    settings = Settings()
    with embedded_service(settings) as address, NasClient(address) as client:
        where = errors if as_json else console
        say(f"service: {address} (API documentation at {address}/docs)", where)
        job = asked(client.submit_search, given, client.estimate)
        say(f"search: {job.id}", where)
        say(f"its page: {address}/searches/{job.id}", where)
        with kept_if_it_fails(job.id, settings.home):
            with cancelled_if_interrupted(client, job.id, settings.home):
                jobs = watch_search(client, job.id, where)
            exit_for(jobs)
            found = list(client.architectures(search=job.id))
            bundle, candidates = finish_run(client, job.id, settings.home) if job.spec["training"] else (None, [])
            trainings = list(client.trainings(parent=job.id))
            controls = [line for training in trainings for line in client.comparison(training.id).controls]
        if as_json:
            print_json(
                {
                    "search": job.id,
                    "bundle": bundle and str(bundle),
                    "architectures": [row.model_dump(mode="json") for row in found],
                    "candidates": [row.model_dump(mode="json") for row in candidates],
                    "controls": [line.model_dump(mode="json") for line in controls],
                }
            )
        else:
            print_controls(controls)
            _print_run(found, candidates, bundle, settings.home)
        if keep:
            serve_on(f"{address}/searches/{job.id}")


def _print_run(found: Sequence[ArchitectureView], candidates: list[CandidateView], bundle: Path | None, home: Path) -> None:
    print_architectures("architectures", found)
    if bundle is not None:
        print_candidates("trained candidates", candidates)
    say(f"{serving(home)} shows all of it again")
    untrained = "trained: nothing, since the spec has no training; --train METHOD trains the best architecture"
    say(f"bundle: {bundle}" if bundle is not None else untrained)


def exit_for(jobs: list[JobView]) -> None:
    """End with status 1 if a job did not succeed, saying why."""
    for job in jobs:
        if job.state != JobState.SUCCEEDED:
            said = f"{job.kind} {job.id} {job.state}: {job.error or 'as somebody asked'}"
            tell(said)
            raise typer.Exit(1)
