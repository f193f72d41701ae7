"""Estimates: what a search or a training would take, as models for programs and as words for people. No FastAPI here."""

import math
from collections.abc import Sequence

from pydantic import Field

from api.views import View

_NEVER = "not known: nothing like it ran here yet"
_MINUTE_S, _MINUTES, _HOURS = 60, 60, 24
_HALF = 0.5
_ALWAYS_TOLD = ("ops", "packed_bytes")
_LARGE = 10**9  # from here on a count is told by its power of ten


class TrainingEstimateView(View):
    """What a training will take at most, before it starts: early stopping may save some of it.

    Bytes are counted from the architectures: 1 bit a binary weight and 4 bytes a float in a bundle, 4 bytes a weight before that.
    A training that a search starts is counted with the heaviest architectures of its space, since none is found yet.
    """

    candidates: int = Field(description="Architectures x methods x seeds.")
    epochs: int = Field(description="Of all candidates together.")
    training_images: int = Field(description="In the dataset's split: what an epoch goes over.")
    images: int = Field(
        description="Trained on, by candidates and full-precision networks, each once an epoch; methods that go over the images "
        "twice an epoch take more."
    )
    attack_steps: int = Field(description="Gradient steps of attacks, each on one image: while training, and on what is trained.")
    full_precision_networks: int = Field(
        description="Trained before the candidates, to teach them or to attack them from; those that the store holds are not "
        "trained again."
    )
    full_precision_epochs: int = Field(description="Of those networks together.")
    bundle_bytes: int = Field(description="Of the bundles: packed weights, source, and test images where they are small.")
    weights_bytes: int = Field(description="Of the weights before packing, and of the full-precision networks.")
    disk_bytes: int = Field(description="Kept in the artifact store when all is done: bundles and weights.")
    checkpoint_bytes: int = Field(
        description="Beside that while it runs: weights, moments and moving averages of the candidates in training at once."
    )
    seconds: float | None = Field(
        description="Of the candidates' epochs, as many at once as fit, from candidates of the same space, data, method, recipe "
        "and resources that were trained here; null where a method was not. Full-precision networks, attacks and bundles come on "
        "top."
    )
    seconds_from: int = Field(description="Number of candidates that the time is taken from.")
    without_c: list[str] = Field(
        description="Methods whose networks have no exact form in C, and so none in ONNX: they multiply with real numbers. Their "
        "bundles run in PyTorch alone."
    )


class CostRangeView(View):
    """What the architectures of a space take of a quantity, counted for the method and images of a search."""

    quantity: str = Field(description="As the limit in `constraints` is called.")
    least: float = Field(description="Of the cheapest architecture.")
    median: float = Field(description="Of a uniformly drawn one.")
    most: float = Field(description="Of the dearest.")
    limit: float | None = Field(description="Of the spec; null: none.")


class ExceedingView(View):
    """A method to train with whose networks may cost more than a limit, which is counted for the method of the search."""

    method: str = Field(description="Of the training that follows.")
    quantity: str = Field(description="As the limit in `constraints` is called.")
    most: float = Field(description="What an architecture within the limits takes at most when it is trained with the method.")
    limit: float = Field(description="Of the spec.")


class SpaceCostsView(View):
    """Costs over a space, and how many architectures keep the limits."""

    ranges: list[CostRangeView] = Field(description="One a quantity.")
    feasible: float = Field(description="Share of the architectures that keep all limits; 1 where there are none.")
    counted: int = Field(description="Architectures that the share is taken from: all, or drawn uniformly where there are many.")
    exceeding: list[ExceedingView] = Field(description="Methods of the training that may break a limit; empty: none.")


class EstimateView(View):
    """What a search will take, before it starts."""

    samples: int = Field(description="Paths that are trained and scored; a strategy may end early.")
    epochs: float = Field(description="Passes over the whole training set, all samples together.")
    training_images: int = Field(description="In the dataset's split.")
    images: int = Field(description="Trained on, all samples together: whole batches; full-precision parents included.")
    attack_steps: int = Field(description="Gradient steps of attacks, each on one image: while training and scoring samples.")
    arms: int = Field(
        description="Operations to choose from, over all edges and cell types; within the limits, if there are any."
    )
    genotypes: str = Field(description="Size of the space; a string, since it can be larger than JSON readers keep.")
    supernet_parameters: int = Field(description="Weights of all operations on all edges; a full-precision parent's included.")
    actors: int = Field(description="Ray actors that share a wave: as asked, else as many as fit.")
    memory_bytes: int = Field(
        description="4 bytes for each of weights, gradients, two moments and a copy in every actor; activations come on top."
    )
    checkpoint_bytes: int = Field(
        description="In the artifact store while it runs, at most: the shared weights, twice for a moment, or whole trainings."
    )
    seconds: float | None = Field(
        description="From the newest search of the same space, data, method, strategy, evaluation and size of workers that ran "
        "here; null where there is none. Starting Ray and saving come on top."
    )
    seconds_from: int = Field(description="Number of samples that the time is taken from, the newest of that search.")
    costs: SpaceCostsView = Field(description="What the architectures of the space cost, and which share keeps the limits.")
    method: str = Field(description="That binarizes the samples; costs are counted for it.")
    objectives: list[str] = Field(description="What is traded against the reward; empty: the reward alone counts.")
    controls: int = Field(
        description="Random architectures among those that are trained: as asked, or as many as the space holds."
    )
    without_c: list[str] = Field(description="The method of the samples, if its networks have no exact form in C; else nothing.")
    training: TrainingEstimateView | None = Field(description="Of the training that it starts; null where the spec has none.")


def bytes_in_words(count: int) -> str:
    """Return a size with three digits and a decimal unit: 203 kB."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 999.5:  # noqa: PLR2004 - from there on it would be shown as 1000
            break
        size, unit = size / 1000, larger
    return f"{size:.3g} {unit}"


def time_in_words(seconds: float) -> str:
    """Return a time in one or two units: 40 s, 4 min, 2 h 30 min, 3 days 4 h."""
    if (whole := max(1, round(seconds))) < _MINUTE_S:
        return f"{whole} s"
    if (minutes := round(seconds / _MINUTE_S)) < _MINUTES:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, _MINUTES)
    if hours < _HOURS:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    days, hours = divmod(round(seconds / _MINUTE_S / _MINUTES), _HOURS)
    return f"{days} day(s)" + (f" {hours} h" if hours else "")


def _time(seconds: float | None, count: int, kind: str) -> str:
    return _NEVER if seconds is None else f"about {time_in_words(seconds)}, from {count:,} {kind}(s) that ran here"


def _many(digits: str) -> str:
    return f"{int(digits):,}" if len(digits) <= len(str(_LARGE)) else f"about 10^{len(digits) - 1}"


def _attacks(steps: int) -> str:
    return f"{steps:,} gradient steps, each on one image" if steps else "none"


def search_rows(estimate: EstimateView) -> list[tuple[str, str]]:
    """Return the figures of a search for people, with their units."""
    passes = f"{estimate.images:,} ({estimate.epochs:.3g} epochs of {estimate.training_images:,})"
    traded = " and ".join(name.replace("_", " ") for name in estimate.objectives)
    rows = [
        ("method of the samples", estimate.method),
        ("objectives", f"a Pareto set of reward and {traded}" if traded else "the reward alone"),
        ("samples", f"{estimate.samples:,}, on {estimate.actors:,} actor(s)"),
        ("images trained on", passes),
        ("attacks", _attacks(estimate.attack_steps)),
        ("arms", f"{estimate.arms:,}; {_many(estimate.genotypes)} genotypes"),
        ("supernet", f"{estimate.supernet_parameters:,} parameters"),
        ("memory", f"{bytes_in_words(estimate.memory_bytes)} in all actors, and activations"),
        ("disk while it runs", bytes_in_words(estimate.checkpoint_bytes)),
        ("time", _time(estimate.seconds, estimate.seconds_from, "sample")),
        *_cost_rows(estimate.costs),
        *_without_c(estimate.without_c),
    ]
    if estimate.training is None:
        return [*rows, ("training", "none: the spec has none")]
    if estimate.controls:
        rows.append(("training: controls", f"{estimate.controls:,} random architectures among those that are trained"))
    return rows + [(f"training: {name}", value) for name, value in training_rows(estimate.training)]


def _cost_rows(costs: SpaceCostsView) -> list[tuple[str, str]]:
    """Return the spans of sizes and operations, and of what is limited; then the share that keeps the limits."""
    rows = []
    for entry in costs.ranges:
        if entry.limit is not None or entry.quantity in _ALWAYS_TOLD:
            told = bytes_in_words if entry.quantity.endswith("bytes") else _figure
            span = f"{told(round(entry.least))} to {told(round(entry.most))}, median {told(round(entry.median))}"
            limit = "" if entry.limit is None else f"; at most {entry.limit:,.15g}"
            rows.append((f"architectures: {entry.quantity.replace('_', ' ')}", span + limit))
    if any(entry.limit is not None for entry in costs.ranges):
        rows.append(("within the limits", _share(costs.feasible, costs.counted)))
    for over in costs.exceeding:
        words = f"{over.quantity.replace('_', ' ')} up to {over.most:,.15g}, above the limit of {over.limit:,.15g}"
        rows.append((f"trained with {over.method}", words))
    return rows


def _share(share: float, counted: int) -> str:
    if share == 0:
        return f"rare: some architecture is, and none of {counted:,} drawn at random"
    told = f"{100 * share:.2g}" if share < _HALF else f"{math.floor(1000 * share) / 10:g}"  # all of them alone are 100 %
    return f"{told} % of {counted:,} architectures"


def _figure(count: int) -> str:
    return f"{count:,}"


def training_rows(estimate: TrainingEstimateView) -> list[tuple[str, str]]:
    """Return the figures of a training for people, with their units."""
    networks = f"{estimate.full_precision_networks:,}, {estimate.full_precision_epochs:,} epochs"
    kept = f"{bytes_in_words(estimate.bundle_bytes)} bundles, {bytes_in_words(estimate.weights_bytes)} weights"
    return [
        ("candidates", f"{estimate.candidates:,}, {estimate.epochs:,} epochs of {estimate.training_images:,} images"),
        ("full precision first", networks if estimate.full_precision_networks else "none"),
        ("images trained on", f"{estimate.images:,}"),
        ("attacks", _attacks(estimate.attack_steps)),
        ("disk", f"{bytes_in_words(estimate.disk_bytes)}: {kept}"),
        ("disk while it runs", f"{bytes_in_words(estimate.checkpoint_bytes)} more"),
        ("time", _time(estimate.seconds, estimate.seconds_from, "candidate")),
        *_without_c(estimate.without_c),
    ]


def _without_c(methods: Sequence[str]) -> list[tuple[str, str]]:
    return [("no C and no ONNX", f"of networks of {', '.join(methods)}, which multiply with real numbers")] if methods else []
