"""Comparing trained candidates: methods x architectures, with spread over seeds and ranks, and the best. No SQL, no torch."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from nas_service.reports import ClassFigures, RobustnessFigures
from nas_service.search.control import Control
from nas_service.terms import Quantity
from nas_service.trained import TrainedCandidate

MIN_FOR_CORRELATION = 3  # two points always lie on a line


@dataclass(frozen=True)
class AttackConditions:
    """How accuracies under attack were measured: only those measured alike are put side by side.

    Attributes:
        eps: Largest change of a pixel, pixels being in [0, 1].
        restarts: Random starts of every attack that has one.
        images: Number of test images.
        attacks: Names of all attacks.
    """

    eps: float
    restarts: int
    images: int
    attacks: tuple[str, ...]

    @classmethod
    def of(cls, figures: RobustnessFigures) -> Self:
        """Return how figures were measured."""
        return cls(figures.eps, figures.restarts, figures.images, tuple(sorted(figures.accuracies)))


@dataclass(frozen=True)
class Run:
    """One seed of a pair.

    Attributes:
        candidate: Its id.
        training: Id of its training.
        seed: Of weights and order of images.
        test_accuracy: Of the frozen network.
        validation_accuracy: As `test_accuracy`.
        attacked: Share of the test images that stand every attack; None if it was not attacked.
    """

    candidate: str
    training: str
    seed: int
    test_accuracy: float
    validation_accuracy: float
    attacked: float | None


@dataclass(frozen=True)
class Best:
    """The best of several candidates.

    Attributes:
        candidate: Its id.
        architecture: Id of its architecture.
        quantity: On which it is best.
        value: Of the quantity, in [0, 1].
        mean: Of the quantity, over the seeds of its method on its architecture.
        spread: Sample standard deviation over those seeds; None for one.
        seeds: How many they are.
    """

    candidate: str
    architecture: str
    quantity: Quantity
    value: float
    mean: float
    spread: float | None
    seeds: int


def best(candidates: Sequence[TrainedCandidate]) -> Best | None:
    """Return the best of candidates that succeeded, all judged by one quantity; the first of equal ones; None of none.

    Where every one was attacked, with one eps, that is the accuracy under PGD-20; else the clean one. Method and architecture
    are judged by their mean over seeds, and the best of these seeds stands for them: the best of single runs is the luckiest.
    Where more seeds of a training were ended early (or failed) than of others, those that are left were chosen by what is
    judged: only methods and architectures with the most seeds of their training are looked at. Controls are never the best.
    """
    candidates = [entry for entry in candidates if entry.found.control is None]
    if not candidates:
        return None
    quantity, values = _judged(candidates)
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for place, entry in enumerate(candidates):
        groups[entry.training, entry.found.id, entry.label].append(place)
    most: dict[str, int] = defaultdict(int)
    for (training, *_), places in groups.items():
        most[training] = max(most[training], len(places))
    whole = [places for (training, *_), places in groups.items() if len(places) == most[training]]
    places = max(whole, key=lambda group: (statistics.fmean(values[place] for place in group), -group[0]))
    first = max(places, key=lambda place: (values[place], -place))
    own = [values[place] for place in places]
    chosen = candidates[first]
    return Best(chosen.id, chosen.found.id, quantity, values[first], statistics.fmean(own), _spread(own), len(own))


def _judged(candidates: Sequence[TrainedCandidate]) -> tuple[Quantity, list[float]]:
    """Return what all can be judged by, and its values."""
    attacked = [entry.metrics.robustness for entry in candidates]
    stood = [figures.validation_pgd_20 for figures in attacked if figures is not None]
    if len(stood) == len(candidates) and len({figures.eps for figures in attacked if figures is not None}) == 1:
        return Quantity.VALIDATION_PGD_20, stood
    return Quantity.VALIDATION_ACCURACY, [entry.metrics.validation_accuracy for entry in candidates]


@dataclass(frozen=True)
class ComparedPair:
    """One method on one architecture, over all seeds.

    Attributes:
        method: Label: name, with the settings that were given.
        architecture: Its id.
        search_id: Of the search that found the architecture.
        architecture_rank: Among what that search found, 1 best.
        architecture_score: What the search thought of it, in the unit of its strategy; None of a control.
        control: Which kind of control the architecture is; None of one that was found.
        seeds: Number of trained candidates; a seed that several trainings trained alike counts once, the newest.
        runs: One entry a seed, by seed.
        test_mean: Mean test accuracy.
        test_spread: Sample standard deviation over seeds; None for one seed.
        validation_mean: Mean validation accuracy.
        balanced_mean: Mean balanced test accuracy; None, as the next three, if an earlier version trained one of the candidates.
        balanced_spread: As `test_spread`, of the balanced test accuracy.
        worst_class: Name of the class with the lowest test accuracy, the mean over seeds; the first of equal ones.
        worst_class_mean: Its mean test accuracy.
        rank: Among the methods on this architecture by `test_mean`, 1 best; equal means share the mean of their ranks.
        packed_bytes: Of the frozen network, the mean.
        ops: FLOPs + BOPs / 64 for one image, the mean.
        cost: As `Cost.to_dict`, every figure the mean: networks that were pruned differ from seed to seed.
        seconds: Of a training, the mean.
        attack: How the accuracies under attack were measured; None, as the next two, if a seed was not attacked or not alike.
        attacked_mean: Mean share of the test images that stand every attack.
        attacked_spread: As `test_spread`, of that share.
    """

    method: str
    architecture: str
    search_id: str
    architecture_rank: int
    architecture_score: float | None
    control: Control | None
    seeds: int
    runs: tuple[Run, ...]
    test_mean: float
    test_spread: float | None
    validation_mean: float
    balanced_mean: float | None
    balanced_spread: float | None
    worst_class: str | None
    worst_class_mean: float | None
    rank: float
    packed_bytes: float
    ops: float
    cost: Mapping[str, float]
    seconds: float
    attack: AttackConditions | None
    attacked_mean: float | None
    attacked_spread: float | None


@dataclass(frozen=True)
class ComparedMethod:
    """One method over all architectures that were found; controls are left out.

    Attributes:
        method: Label.
        test_mean: Mean over its pairs.
        balanced_mean: Mean over its pairs; None if one has none.
        mean_rank: Mean over its pairs.
        score_correlation: Spearman's rank correlation between the search's score of an architecture and `test_mean`; None with
            fewer than three architectures, where one side is constant, or where several searches found them: their scores have
            nothing in common.
    """

    method: str
    test_mean: float
    balanced_mean: float | None
    mean_rank: float
    score_correlation: float | None


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    """Return Spearman's rho, or None where it means nothing."""
    if len(left) < MIN_FOR_CORRELATION or len(set(left)) == 1 or len(set(right)) == 1:
        return None
    return statistics.correlation(_ranks(left), _ranks(right))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 1 on, the mean rank where some are equal."""
    from scipy.stats import rankdata  # noqa: PLC0415 - it takes 2 s, for which every command would wait

    return [float(rank) for rank in rankdata(values)]


def compare(candidates: Iterable[TrainedCandidate]) -> tuple[list[ComparedPair], list[ComparedMethod]]:
    """Return pairs, by architecture and rank, and methods, best first; all candidates must have learnt the same data."""
    groups: dict[tuple[str, str], list[TrainedCandidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.found.id, candidate.label].append(candidate)
    pairs: list[ComparedPair] = []
    for architecture in dict.fromkeys(where for where, _ in groups):
        here = [_newest(group) for (where, _), group in groups.items() if where == architecture]
        means = [statistics.fmean(entry.metrics.test_accuracy for entry in group) for group in here]
        ranks = _ranks([-mean for mean in means])
        pairs += sorted(map(_pair, here, ranks), key=lambda row: row.rank)
    found = [pair for pair in pairs if pair.control is None]
    methods = [_method(method, found) for method in dict.fromkeys(pair.method for pair in found)]
    return pairs, sorted(methods, key=lambda row: (row.mean_rank, -row.test_mean))


def _newest(group: Sequence[TrainedCandidate]) -> list[TrainedCandidate]:
    """Return one candidate a seed, by seed: trained twice alike it says nothing new, and would make the spread look small."""
    by_seed = {entry.seed: entry for entry in sorted(group, key=lambda entry: entry.id)}
    return [by_seed[seed] for seed in sorted(by_seed)]


def _run(entry: TrainedCandidate) -> Run:
    known = entry.metrics
    stood = None if known.robustness is None else known.robustness.worst
    return Run(entry.id, entry.training, entry.seed, known.test_accuracy, known.validation_accuracy, stood)


def _mean_cost(group: Sequence[TrainedCandidate]) -> dict[str, float]:
    return {name: statistics.fmean(entry.cost[name] for entry in group) for name in group[0].cost}


def _attacked(group: Sequence[TrainedCandidate]) -> tuple[AttackConditions | None, list[float]]:
    """Return how all were attacked and what they stand; None and nothing where one was not, or not as the others."""
    figures = [entry.metrics.robustness for entry in group]
    known = [entry for entry in figures if entry is not None]
    conditions = {AttackConditions.of(entry) for entry in known}
    if len(known) < len(figures) or len(conditions) != 1:
        return None, []
    return conditions.pop(), [entry.worst for entry in known]


def _pair(group: Sequence[TrainedCandidate], rank: float) -> ComparedPair:
    tests = [entry.metrics.test_accuracy for entry in group]
    by_class = _by_class(group)
    balanced = [figures.balanced_accuracy for figures in by_class]
    worst = _worst_class(by_class)
    cost = _mean_cost(group)
    attack, stood = _attacked(group)
    found = group[0].found
    return ComparedPair(
        method=group[0].label,
        architecture=found.id,
        search_id=found.search,
        architecture_rank=found.rank,
        architecture_score=None if found.control is not None else found.score,
        control=found.control,
        seeds=len(group),
        runs=tuple(map(_run, group)),
        test_mean=statistics.fmean(tests),
        test_spread=_spread(tests),
        validation_mean=statistics.fmean(entry.metrics.validation_accuracy for entry in group),
        balanced_mean=statistics.fmean(balanced) if balanced else None,
        balanced_spread=_spread(balanced),
        worst_class=worst and worst[0],
        worst_class_mean=worst and worst[1],
        rank=rank,
        packed_bytes=cost["packed_bytes"],
        ops=cost["ops"],
        cost=cost,
        seconds=statistics.fmean(entry.seconds for entry in group),
        attack=attack,
        attacked_mean=statistics.fmean(stood) if stood else None,
        attacked_spread=_spread(stood),
    )


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _by_class(group: Sequence[TrainedCandidate]) -> list[ClassFigures]:
    """Return the figures of all candidates, or none if an earlier version trained one of them."""
    figures = [found for entry in group if (found := entry.metrics.test_classes) is not None]
    return figures if len(figures) == len(group) else []


def _worst_class(by_class: Sequence[ClassFigures]) -> tuple[str, float] | None:
    """Return the class with the lowest mean accuracy over seeds, and that mean; None without figures."""
    shares: dict[str, list[float]] = defaultdict(list)
    for figures in by_class:
        for name, share in zip(figures.names, figures.accuracies, strict=True):
            if share is not None:
                shares[name].append(share)
    means = {name: statistics.fmean(of_seeds) for name, of_seeds in shares.items()}
    return min(means.items(), key=lambda entry: entry[1], default=None)


def _method(method: str, pairs: Sequence[ComparedPair]) -> ComparedMethod:
    own = [pair for pair in pairs if pair.method == method]
    scores = [pair.architecture_score for pair in own if pair.architecture_score is not None]
    balanced = [pair.balanced_mean for pair in own if pair.balanced_mean is not None]
    means = [pair.test_mean for pair in own]
    alike = len({pair.search_id for pair in own}) == 1
    return ComparedMethod(
        method=method,
        test_mean=statistics.fmean(means),
        balanced_mean=statistics.fmean(balanced) if len(balanced) == len(own) else None,
        mean_rank=statistics.fmean(pair.rank for pair in own),
        score_correlation=rank_correlation(scores, means) if alike else None,
    )
