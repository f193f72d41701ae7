"""`nas architectures`, `nas candidates`, `nas download`: what came out."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import typer

from api.client import NasClient
from api.commands.files import require_writable
from api.commands.identifiers import find_job, find_result, recent_jobs, recent_results
from api.commands.options import Json, Url
from api.console import is_narrow, print_json, print_table, say, say_in_lines, short_id, short_ids
from api.training_views import ArchitectureCostView, CCostView, ComparisonView, ControlLineView, PairView
from api.views import ArchitectureView, CandidateView
from nas_service.reports import CandidateMetrics, RobustnessFigures
from nas_service.settings import Settings
from nas_service.wording import percent, printable
from search_spaces.errors import InvalidFieldError

_ATTACKS = {"clean": "clean", "FGSM": "fgsm", "PGD-20": "pgd-20", "transfer": "transfer-pgd-20"}  # column -> attack
_BALANCED = "balanced: the mean over the classes with test images"
_ROBUSTNESS = ["candidate", "method", "eps", *_ATTACKS, "all attacks", "masked"]

Search = Annotated[str | None, typer.Option(help="Only those of this search.", autocompletion=recent_jobs("search"))]

Pareto = Annotated[
    bool,
    typer.Option(
        "--pareto",
        help="With --search: only those that no other of them beats in score and what it trades, else OPs and bytes.",
    ),
]


def _of_jobs(client: NasClient, search: str | None, training: str | None) -> dict[str, str]:
    """Return the jobs that a list is of as filters, having asked for them: a list of what is not there would only be empty."""
    filters = {}
    if search:
        filters["search"] = client.search(find_job(client, "search", search)).id
    if training:
        filters["training"] = client.training(find_job(client, "training", training)).id
    return filters


def list_architectures(
    search: Search = None,
    pareto: Pareto = False,  # noqa: FBT002 - typer's way
    controls: Annotated[bool, typer.Option("--controls", help="Random ones that were drawn to compare with, instead.")] = False,  # noqa: FBT002 - as above
    in_c: Annotated[bool, typer.Option("--in-c", help="Also what generated C takes on a Cortex-M4.")] = False,  # noqa: FBT002 - as above
    as_json: Json = False,  # noqa: FBT002 - as above
    url: Url = None,
) -> None:
    """List discovered architectures."""
    filters = ({"pareto": "true"} if pareto else {}) | ({"controls": "true"} if controls else {})
    with NasClient(url or Settings().url) as client:
        filters |= _of_jobs(client, search, None)
        found = list(client.architectures(**filters))
        costs = {row.id: client.architecture_cost(row.id) for row in found} if in_c else {}
    if as_json:
        print_json([{**row.model_dump(mode="json"), **_in_c(costs[row.id])} for row in found] if in_c else found)
        return
    print_architectures("architectures", found, costs)
    for refused in dict.fromkeys(cost.c_refused for cost in costs.values() if cost.c_refused is not None):
        say(f"no C: {printable(refused)}")


def _in_c(cost: ArchitectureCostView) -> dict[str, object]:
    return cost.model_dump(mode="json", include={"c", "c_refused"})


def print_architectures(
    title: str, found: Sequence[ArchitectureView], costs: Mapping[str, ArchitectureCostView] = MappingProxyType({})
) -> None:
    """Print a table of architectures; with what they stand where a search sought that, with what they take in C by id."""
    attacked = any(row.attacked_score is not None for row in found)
    searches = short_ids([row.search_id for row in found])
    rows = [
        (
            *(shown, search, row.control or row.rank, row.score),
            *([row.attacked_score] if attacked else []),
            *(f"{row.cost['ops']:,.0f}", f"{row.cost['packed_bytes']:,}"),
        )
        for shown, search, row in zip(short_ids([row.id for row in found]), searches, found, strict=True)
    ]
    in_c = [costs[row.id].c for row in found] if costs else []
    more = [_c_cells(cost) for cost in in_c]
    titles = ["id", "search", "rank", "score", *(["under attack"] if attacked else []), "OPs", "packed bytes"]
    titles += ["flash bytes", "RAM bytes", "M4 instructions"] if costs else []
    print_table(title, titles, [(*row, *cost) for row, cost in zip(rows, more, strict=True)] if costs else rows, ["search"])


def _c_cells(cost: CCostView | None) -> tuple[str | None, ...]:
    if cost is None:
        return (None, None, None)
    return tuple(f"{figure:,}" for figure in (cost.flash_bytes, cost.arena_bytes, cost.cortex_m4_instructions))


def _robustness(shown: str, row: CandidateView, stood: RobustnessFigures) -> tuple[str, ...]:
    figures = (percent(stood.accuracies.get(name)) for name in _ATTACKS.values())
    return (shown, row.method["name"], f"{stood.eps:.3g}", *figures, percent(stood.worst), "yes" if stood.masked_by else "no")


def _is_uneven(known: CandidateMetrics) -> bool:
    """Whether balanced accuracy and accuracy differ: they are one figure where all classes have equally many test images."""
    balanced = known.test_balanced_accuracy
    return balanced is not None and not math.isclose(balanced, known.test_accuracy)


def _tested(row: CandidateView) -> str:
    """Return a candidate's test accuracy, and on a second line the balanced one where that is another figure."""
    told = percent(row.test_accuracy)
    if row.metrics is None or not _is_uneven(row.metrics):
        return told
    return f"{told}\n{percent(row.metrics.test_balanced_accuracy)} balanced"


def print_candidates(title: str, candidates: Sequence[CandidateView]) -> None:
    """Print a table of candidates, with the balanced accuracy where it is another figure, and one of those that were attacked."""
    rows = [
        (
            shown,
            row.method["name"] + ("" if row.control is None else f", control: {row.control}"),
            row.seed,
            row.state,
            percent(row.validation_accuracy),
            _tested(row),
            f"{row.cost['packed_bytes']:,}" if row.cost else None,
            f"{row.cost['ops']:,.0f}" if row.cost else None,
            f"{row.seconds:.0f}",
        )
        for shown, row in zip(short_ids([row.id for row in candidates]), candidates, strict=True)
    ]
    columns = ["candidate", "method", "seed", "state", "validation", "test", "packed bytes", "OPs", "seconds"]
    print_table(title, columns, rows, ["seconds", "OPs", "packed bytes"])
    known = [(row, row.metrics) for row in candidates if row.metrics is not None]
    if any(_is_uneven(metrics) for _, metrics in known):
        say_in_lines(_BALANCED)
    stood = [(row, metrics.robustness) for row, metrics in known if metrics.robustness is not None]
    ids = short_ids([row.id for row, _ in stood])
    if attacked := [_robustness(shown, *figures) for shown, figures in zip(ids, stood, strict=True)]:
        print_table("test accuracy under attack", _ROBUSTNESS, attacked)


def list_candidates(
    search: Search = None,
    training: Annotated[
        str | None, typer.Option(help="Only those of this training.", autocompletion=recent_jobs("training"))
    ] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """List trained networks."""
    with NasClient(url or Settings().url) as client:
        found = list(client.candidates(**_of_jobs(client, search, training)))
    if as_json:
        print_json(found)
    else:
        print_candidates("candidates", found)


def _whose(pair: PairView) -> str:
    """Return the id of an architecture, and that it is a control where it is one."""
    return short_id(pair.architecture) if pair.control is None else _stacked(short_id(pair.architecture), f"({pair.control})")


def _stacked(*parts: str) -> str:
    """Return parts of a cell, below each other where a terminal is narrow."""
    return ("\n" if is_narrow() else " ").join(parts)


def _compared_classes(pair: PairView, worst: str) -> tuple[str, ...]:
    figures = percent(pair.balanced_mean), percent(pair.balanced_spread)
    return (_whose(pair), pair.method, *figures, f"{printable(worst)} {percent(pair.worst_class_mean)}")


def compare(
    trainings: Annotated[
        list[str],
        typer.Argument(metavar="TRAINING...", help="Ids of trainings on the same data.", autocompletion=recent_jobs("training")),
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Compare the methods of trainings: mean and spread over seeds, rank, and whether the search's score foretold it."""
    with NasClient(url or Settings().url) as client:
        trainings = [find_job(client, "training", word) for word in trainings]
        if as_csv:
            say(client.comparison_csv(*trainings).removesuffix("\n"))
            return
        found = client.comparison(*trainings)
    if as_json:
        print_json(found)
        return
    print_comparison(found)


def print_comparison(found: ComparisonView) -> None:
    """Print the pairs, their classes, and the methods; or that there are none yet."""
    if not found.pairs:
        say("No candidate is trained to its end yet: there is nothing to compare.")
        return
    rows = [
        (_whose(pair), pair.method, pair.seeds, percent(pair.test_mean), percent(pair.test_spread), f"{pair.rank:g}")
        for pair in found.pairs
    ]
    print_table(
        "methods by architecture", ["architecture", "method", "seeds", "test mean", "spread", "rank"], rows, folds=["method"]
    )
    if balanced := [_compared_classes(pair, pair.worst_class) for pair in found.pairs if pair.worst_class is not None]:
        columns = ["architecture", "method", "balanced", "spread", "worst class"]
        title = "balanced test accuracy by architecture: the mean over the classes with test images"
        print_table(title, columns, balanced, folds=["method", "worst class"])
    summary = [
        (
            row.method,
            percent(row.test_mean),
            percent(row.balanced_mean),
            f"{row.mean_rank:.2f}",
            None if row.score_correlation is None else f"{row.score_correlation:.2f}",
        )
        for row in found.methods
    ]
    print_table("methods", ["method", "test mean", "balanced", "mean rank", "correlation with the search's score"], summary)
    print_controls(found.controls)
    _print_hand_made(found)


def print_controls(lines: Sequence[ControlLineView]) -> None:
    """Print what was gained over random architectures that were trained alike; nothing where there are none."""
    rows = [
        (
            line.method,
            *([] if is_narrow() else [_best(line)]),  # which is told below
            _stacked(str(group.architectures), group.control),
            _with_error(percent(group.mean), group.spread),
            percent(group.best),
            _with_error(f"{100 * group.gain:+.2f}", group.gain_error),
            _stacked("too few", "to tell") if group.p_value is None else f"{group.p_value:.3g}",
        )
        for line in lines
        for group in (line.uniform, line.like_cost)
        if group is not None
    ]
    if rows:
        best = [] if is_narrow() else ["best of the search"]
        columns = ["method", *best, "random", "their mean", "best of them", "gain, points", "p, one-sided"]
        print_table("beside random architectures, trained alike", columns, rows, folds=["method"])
    for line in lines:
        if is_narrow() and (line.uniform or line.like_cost):
            say_in_lines(f"{line.method}: the best of the search is {_best(line)}")
        if line.unlike:
            some = _count(line.unlike, "like-cost control")
            said = f"{line.method}: {some} left out, further than a tenth from what the best of the search costs"
            say_in_lines(said)
        if line.trainings_paid is not None:
            say_in_lines(_paid(line))


def _best(line: ControlLineView) -> str:
    error = "" if line.test_spread is None else f" ± {100 * line.test_spread:.2f}"
    return f"{short_id(line.architecture)} {percent(line.test_mean)}{error}, {_count(line.seeds, 'seed')}"


def _with_error(figure: str, error: float | None) -> str:
    return figure if error is None else _stacked(figure, f"± {100 * error:.2f}")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _paid(line: ControlLineView) -> str:
    """Return what as many random trainings as the search's steps paid for would have found."""
    many = _count(int(line.trainings_paid or 0), "whole training")
    said = f"{line.method}: the search's steps would have paid for {many}"
    if line.random_best is not None:
        return f"{said}; the best of as many random ones is expected at {percent(line.random_best)}"
    there = 0 if line.uniform is None else line.uniform.architectures
    return f"{said}; {_count(there, 'uniform control')} cannot tell what the best of as many random ones would reach"


def _print_hand_made(found: ComparisonView) -> None:
    """Print what networks of the literature reach at like cost, or how to have one trained."""
    rows = [
        (
            short_id(line.architecture),
            line.method,
            f"{line.network} {percent(line.test_mean)}, {_count(line.seeds, 'seed')}",
            _with_error(f"{100 * line.gain:+.2f}", line.gain_error),
            f"{line.ops_ratio:.2f}",
            f"{line.bytes_ratio:.2f}",
        )
        for line in found.hand_made
    ]
    if rows:
        columns = ["architecture", "method", "hand-made", "gain, points", "OPs", "bytes"]
        title = "beside networks of the literature, trained alike; OPs and bytes: found / hand-made"
        print_table(title, columns, rows, folds=["method", "hand-made"])
        if without := sorted({pair.method for pair in found.pairs} - {line.method for line in found.hand_made}):
            said = f"none of like cost was trained alike with: {', '.join(map(printable, without))}"
            say_in_lines(said)
    elif found.networks and not found.under_way:
        training = found.pairs[0].runs[0].training
        said = "No network of the literature was trained alike at like cost yet, to its end:"
        said = f"{said} nas training hand-made {training} trains one."
        say_in_lines(said)
    for live in found.under_way:
        said = f"{live.network} is {live.state}, to be trained alike: nas {live.kind} watch {live.job}"
        say_in_lines(said)


def download(
    identifier: Annotated[
        str,
        typer.Argument(
            help="Id of a candidate, or of an architecture with --architecture; the beginning of one, or latest.",
            autocompletion=recent_results("candidates"),
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; its own name if left out.")] = None,
    file_format: Annotated[
        str,
        typer.Option("--format", help="bundle, c (what of it a program in C needs), onnx, qonnx, or safetensors (to train on)."),
    ] = "bundle",
    architecture: Annotated[bool, typer.Option("--architecture", help="The id is an architecture's.")] = False,  # noqa: FBT002 - typer's way
    as_json: Json = False,  # noqa: FBT002 - typer's way
    url: Url = None,
) -> None:
    """Download the files of a candidate or architecture."""
    kind = "architectures" if architecture else "candidates"
    if architecture and file_format != "bundle":
        raise InvalidFieldError("--format", file_format, "bundle: an architecture was not trained and has no other files")
    if output is not None:
        require_writable("--output", output)
    with NasClient(url or Settings().url) as client:
        identifier = find_result(client, kind, identifier)
        name, content = client.download(kind, identifier, None if architecture else file_format)
    path = output or Path(name)
    path.write_bytes(content)
    if as_json:
        print_json({"path": str(path), "size_bytes": len(content)})
    else:
        say(str(path))


def finish_run(client: NasClient, search_id: str, home: Path) -> tuple[Path, list[CandidateView]]:
    """Save the bundle of the best candidate, as the service judges it, and the search's report beside it.

    Returns the bundle and all candidates.

    Raises:
        ApiError: If no candidate was trained.
    """
    best = client.best_of_search(search_id).candidate
    name, content = client.download("candidates", best.id)
    folder = home / "bundles"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    (folder / f"report-{search_id}.html").write_bytes(client.report(search_id))
    return path, list(client.candidates(search=search_id))
