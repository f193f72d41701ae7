"""What a search gained over chance: the best of what it found beside random architectures that were trained alike. No SQL."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nas_service.comparison import ComparedPair, best, compare
from nas_service.likeness import recipe_of
from nas_service.search.control import Control
from nas_service.search.controls import TOLERANCE
from nas_service.trained import SpentSteps, TrainedCandidate, TrainingFacts

LEAST = 3  # seeds, and architectures, under which a spread says too little for a test


@dataclass(frozen=True)
class Controls:
    """The controls of one kind, beside the best of what was found; of each architecture the mean over the same seeds counts.

    Attributes:
        control: Which kind.
        architectures: How many.
        left_out: How many more have not all the seeds of the best: they failed, or are not over; of those of like cost also those
            that cost otherwise than the best does.
        mean: Mean test accuracy over the architectures.
        spread: Sample standard deviation between them; None for one.
        best: Test accuracy of the one with the highest validation accuracy, as a random search would have chosen.
        apart: Largest distance of one from the best in OPs or parameters, as a share of the best's.
        gain: Mean test accuracy of the best, less `mean`.
        gain_error: Its standard error, with the spread of the paired differences over seeds and between architectures:
            sqrt(s_S^2 / S + s_A^2 / A); None with fewer than two of either.
        p_value: One-sided p of a gain of 0 in a t-test with that error; None with fewer than three of either: too few to tell.
    """

    control: Control
    architectures: int
    left_out: int
    mean: float
    spread: float | None
    best: float
    apart: float
    gain: float
    gain_error: float | None
    p_value: float | None


@dataclass(frozen=True)
class ControlLine:
    """One method: the best of what a search found beside its controls.

    Attributes:
        method: Label.
        search_id: The search.
        architecture: Id of the best, by mean validation accuracy over seeds.
        test_mean: Its mean test accuracy.
        test_spread: Sample standard deviation over its seeds; None for one.
        seeds: How many.
        uniform: Controls that were drawn uniformly; None: there are none yet.
        like_cost: Controls of about its cost; None: there are none yet, or none of them costs what the best does.
        unlike: Controls of like cost that cost otherwise than the best, by more than a tenth: its gain would be one of size.
        trainings_paid: Whole trainings that the optimizer steps of the search would have paid for; None where they are not known.
        random_best: Expected test accuracy of the best of so many random trainings, rounded down, chosen by validation accuracy
            from the uniform controls; None where there are fewer controls than that.
    """

    method: str
    search_id: str
    architecture: str
    test_mean: float
    test_spread: float | None
    seeds: int
    uniform: Controls | None
    like_cost: Controls | None
    unlike: int
    trainings_paid: float | None
    random_best: float | None


def beside_controls(
    candidates: Sequence[TrainedCandidate], facts: Sequence[TrainingFacts], steps: Mapping[str, SpentSteps]
) -> list[ControlLine]:
    """Return a line for every search and method of which controls were trained with the best.

    Args:
        candidates: Trained on the same data; labels tell apart what was not trained alike.
        facts: Of their trainings.
        steps: What the searches took, by id, where that is known.
    """
    lines = []
    trainings = {entry.id: entry for entry in facts}
    for search_id, label in dict.fromkeys((entry.found.search, entry.label) for entry in candidates if entry.found.control):
        own = [entry for entry in candidates if (entry.found.search, entry.label) == (search_id, label)]
        chosen = best(own)
        if chosen is None:
            continue
        pairs = compare(own)[0]
        (winner,) = [pair for pair in pairs if pair.architecture == chosen.architecture]
        uniform = _beside(winner, pairs, Control.UNIFORM)
        whole = _whole_steps(trainings[own[0].training], own[0].method, steps.get(search_id))
        spent = steps.get(search_id)
        paid = None if spent is None or not whole else spent.steps / whole
        lines.append(
            ControlLine(
                method=label,
                search_id=search_id,
                architecture=winner.architecture,
                test_mean=winner.test_mean,
                test_spread=winner.test_spread,
                seeds=winner.seeds,
                uniform=uniform,
                like_cost=_beside(winner, pairs, Control.LIKE_COST),
                unlike=sum(_distance(pair, winner) > TOLERANCE for pair in pairs if pair.control is Control.LIKE_COST),
                trainings_paid=paid,
                random_best=None if paid is None else _best_of(_alike(winner, pairs, Control.UNIFORM), int(paid)),
            )
        )
    return lines


def _whole_steps(training: TrainingFacts, method: Mapping[str, Any], spent: SpentSteps | None) -> int | None:
    """Return the optimizer steps of one whole training with a method; None where the number of images is not known."""
    if spent is None or spent.images is None:
        return None
    recipe = recipe_of(training, method)
    epoch = max(1, spent.images // int(recipe["batch_size"]))
    return int(recipe["epochs"]) * min(epoch, int(recipe["max_steps_per_epoch"] or epoch))


def _alike(winner: ComparedPair, pairs: Sequence[ComparedPair], control: Control) -> list[ComparedPair]:
    """Return the controls of a kind that have all seeds of the winner, of those of like cost the ones that are like it.

    They were drawn around one architecture that was trained, and another may have turned out best.
    """
    seeds, most = {run.seed for run in winner.runs}, TOLERANCE if control is Control.LIKE_COST else math.inf
    found = [pair for pair in pairs if pair.control is control and seeds <= {run.seed for run in pair.runs}]
    return [pair for pair in found if _distance(pair, winner) <= most]


def _by_seed(pair: ComparedPair, winner: ComparedPair) -> list[float]:
    tests = {run.seed: run.test_accuracy for run in pair.runs}
    return [tests[run.seed] for run in winner.runs]


def _beside(winner: ComparedPair, pairs: Sequence[ComparedPair], control: Control) -> Controls | None:
    alike = _alike(winner, pairs, control)
    if not alike:
        return None
    own, others = _by_seed(winner, winner), [_by_seed(pair, winner) for pair in alike]
    means = [statistics.fmean(row) for row in others]
    over_seeds = [mine - statistics.fmean(column) for mine, *column in zip(own, *others, strict=True)]
    gain = statistics.fmean(over_seeds)
    error, p_value = _error(gain, over_seeds, [statistics.fmean(own) - mean for mean in means])
    return Controls(
        control=control,
        architectures=len(alike),
        left_out=sum(pair.control is control for pair in pairs) - len(alike),
        mean=statistics.fmean(means),
        spread=statistics.stdev(means) if len(means) > 1 else None,
        best=means[max(range(len(alike)), key=lambda place: (alike[place].validation_mean, -place))],
        apart=max(_distance(pair, winner) for pair in alike),
        gain=gain,
        gain_error=error,
        p_value=p_value,
    )


def _distance(pair: ComparedPair, winner: ComparedPair) -> float:
    figures = [(one.cost["ops"], one.cost["binary_parameters"] + one.cost["float_parameters"]) for one in (pair, winner)]
    distances: list[float] = [abs(mine / aim - 1) for mine, aim in zip(*figures, strict=True)]
    return max(distances)


def _error(gain: float, over_seeds: Sequence[float], over_architectures: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the standard error of a mean difference whose seeds and architectures are both drawn, and the p of a gain of 0.

    Noise of single runs is in both variances, so the error is a little too large. Degrees of freedom: Satterthwaite, 1946.
    """
    sides = over_seeds, over_architectures
    if min(map(len, sides)) < 2:  # noqa: PLR2004 - of one there is no spread
        return None, None
    shares = [statistics.variance(side) / len(side) for side in sides]
    error = math.sqrt(sum(shares))
    if min(map(len, sides)) < LEAST or error == 0:
        return error, None
    freedom = sum(shares) ** 2 / sum(share**2 / (len(side) - 1) for share, side in zip(shares, sides, strict=True))
    from scipy.stats import t  # noqa: PLC0415 - it takes 2 s, for which every command would wait

    return error, float(t.sf(gain / error, freedom))


def _best_of(controls: Sequence[ComparedPair], count: int) -> float | None:
    """Return the mean, over all choices of `count` controls, of the test accuracy of the one that validation images choose.

    In order of validation accuracy the i-th of n is that one in C(i - 1, count - 1) of C(n, count) choices.
    """
    if not 1 <= count <= len(controls):
        return None
    order = sorted(controls, key=lambda pair: pair.validation_mean)
    ways = math.comb(len(order), count)
    return sum(math.comb(place, count - 1) / ways * pair.test_mean for place, pair in enumerate(order))
