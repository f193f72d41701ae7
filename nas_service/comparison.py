"""Comparing trained candidates: methods x architectures, with spread over seeds and ranks, and the best. No SQL, no torch."""

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nas_service.reports import CandidateMetrics, ClassFigures

MIN_FOR_CORRELATION = 3  # two points always lie on a line


@dataclass(frozen=True)
class TrainedCandidate:
    """What is compared of a candidate that succeeded.

    Attributes:
        id: Its id.
        architecture: Its architecture's id.
        score: What the search thought of the architecture.
        method: Name, settings and recipe, as it was asked for.
        metrics: Accuracies and, if it was attacked, what it stands.
        packed_bytes: Of the frozen network.
        seconds: Of its training.
    """

    id: str
    architecture: str
    score: float
    method: Mapping[str, Any]
    metrics: CandidateMetrics
    packed_bytes: int
    seconds: float


class Quantity(StrEnum):
    """What the best candidate is chosen by; test images have no say."""

    VALIDATION_ACCURACY = "validation_accuracy"
    VALIDATION_PGD_20 = "validation_pgd_20"  # on validation images under PGD-20


@dataclass(frozen=True)
class Best:
    """The best of several candidates.

    Attributes:
        candidate: Its id.
        quantity: On which it is best.
        value: Of the quantity, in [0, 1].
    """

    candidate: str
    quantity: Quantity
    value: float


def best(candidates: Sequence[TrainedCandidate]) -> Best | None:
    """Return the best of candidates that succeeded, all judged by one quantity; the first of equal ones; None of none.

    Where every one was attacked, with one eps, that is the accuracy under PGD-20; else the clean one.
    """
    if not candidates:
        return None
    attacked = [entry.metrics.robustness for entry in candidates]
    stood = [figures.validation_pgd_20 for figures in attacked if figures is not None]
    if len(stood) == len(candidates) and len({figures.eps for figures in attacked if figures is not None}) == 1:
        quantity, values = Quantity.VALIDATION_PGD_20, stood
    else:
        quantity, values = Quantity.VALIDATION_ACCURACY, [entry.metrics.validation_accuracy for entry in candidates]
    place = max(range(len(values)), key=lambda index: (values[index], -index))
    return Best(candidates[place].id, quantity, values[place])


@dataclass(frozen=True)
class ComparedPair:
    """One method on one architecture, over all seeds.

    Attributes:
        method: Label: name, with the settings that were given.
        architecture: Its id.
        seeds: Number of trained candidates.
        test_mean: Mean test accuracy.
        test_spread: Sample standard deviation over seeds; None for one seed.
        validation_mean: Mean validation accuracy.
        balanced_mean: Mean balanced test accuracy; None, as the next three, if an earlier version trained one of the candidates.
        balanced_spread: As `test_spread`, of the balanced test accuracy.
        worst_class: Name of the class with the lowest test accuracy, the mean over seeds; the first of equal ones.
        worst_class_mean: Its mean test accuracy.
        rank: Among the methods on this architecture by `test_mean`, 1 best; equal means share the mean of their ranks.
        packed_bytes: Of the frozen network, the mean.
        seconds: Of a training, the mean.
    """

    method: str
    architecture: str
    seeds: int
    test_mean: float
    test_spread: float | None
    validation_mean: float
    balanced_mean: float | None
    balanced_spread: float | None
    worst_class: str | None
    worst_class_mean: float | None
    rank: float
    packed_bytes: float
    seconds: float


@dataclass(frozen=True)
class ComparedMethod:
    """One method over all architectures.

    Attributes:
        method: Label.
        test_mean: Mean over its pairs.
        balanced_mean: Mean over its pairs; None if one has none.
        mean_rank: Mean over its pairs.
        score_correlation: Spearman's rank correlation between the search's score of an architecture and `test_mean`; None with
            fewer than three architectures, or where one side is constant.
    """

    method: str
    test_mean: float
    balanced_mean: float | None
    mean_rank: float
    score_correlation: float | None


def method_label(method: Mapping[str, Any]) -> str:
    """Return `name`, or `name(setting=value, recipe.epochs=9)` where something was asked for."""
    asked = [f"{key}={json.dumps(value)}" for key, value in sorted(method.get("settings", {}).items())]
    asked += [f"recipe.{key}={json.dumps(value)}" for key, value in sorted(method.get("recipe", {}).items())]
    return f"{method['name']}({', '.join(asked)})" if asked else str(method["name"])


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
    """Return pairs, by architecture and rank, and methods, best first."""
    groups: dict[tuple[str, str], list[TrainedCandidate]] = defaultdict(list)
    for candidate in candidates:
        groups[candidate.architecture, method_label(candidate.method)].append(candidate)
    scores = {architecture: group[0].score for (architecture, _), group in groups.items()}
    pairs: list[ComparedPair] = []
    for architecture in scores:
        here = {method: group for (where, method), group in groups.items() if where == architecture}
        means = [statistics.fmean(entry.metrics.test_accuracy for entry in group) for group in here.values()]
        ranks = _ranks([-mean for mean in means])
        rows = [_pair(method, group, rank) for (method, group), rank in zip(here.items(), ranks, strict=True)]
        pairs += sorted(rows, key=lambda row: row.rank)
    methods = [_method(method, pairs, scores) for method in dict.fromkeys(pair.method for pair in pairs)]
    return pairs, sorted(methods, key=lambda row: (row.mean_rank, -row.test_mean))


def _pair(method: str, group: Sequence[TrainedCandidate], rank: float) -> ComparedPair:
    tests = [entry.metrics.test_accuracy for entry in group]
    by_class = _by_class(group)
    balanced = [figures.balanced_accuracy for figures in by_class]
    worst = _worst_class(by_class)
    return ComparedPair(
        method=method,
        architecture=group[0].architecture,
        seeds=len(group),
        test_mean=statistics.fmean(tests),
        test_spread=_spread(tests),
        validation_mean=statistics.fmean(entry.metrics.validation_accuracy for entry in group),
        balanced_mean=statistics.fmean(balanced) if balanced else None,
        balanced_spread=_spread(balanced),
        worst_class=worst and worst[0],
        worst_class_mean=worst and worst[1],
        rank=rank,
        packed_bytes=statistics.fmean(entry.packed_bytes for entry in group),
        seconds=statistics.fmean(entry.seconds for entry in group),
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


def _method(method: str, pairs: Sequence[ComparedPair], scores: Mapping[str, float]) -> ComparedMethod:
    own = [pair for pair in pairs if pair.method == method]
    balanced = [pair.balanced_mean for pair in own if pair.balanced_mean is not None]
    return ComparedMethod(
        method=method,
        test_mean=statistics.fmean(pair.test_mean for pair in own),
        balanced_mean=statistics.fmean(balanced) if len(balanced) == len(own) else None,
        mean_rank=statistics.fmean(pair.rank for pair in own),
        score_correlation=rank_correlation([scores[pair.architecture] for pair in own], [pair.test_mean for pair in own]),
    )
