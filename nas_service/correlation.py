"""Correlation: what a search thought of its architectures against what they reached when they were trained. No SQL."""

from collections.abc import Sequence
from dataclasses import dataclass

from nas_service.comparison import compare
from nas_service.likeness import data_of, dataset_label, told_apart
from nas_service.trained import TrainedCandidate, TrainingFacts


@dataclass(frozen=True)
class ScorePoint:
    """One method on one architecture.

    Attributes:
        architecture: Its id.
        rank: Of the architecture among what the search found, 1 best.
        score: What the search thought of it.
        method: Label.
        dataset: That it was trained on; its name, with the settings that were given.
        test_mean: Mean test accuracy over seeds.
        seeds: How many.
    """

    architecture: str
    rank: int
    score: float
    method: str
    dataset: str
    test_mean: float
    seeds: int


@dataclass(frozen=True)
class ScoreCorrelation:
    """One method on one dataset.

    Attributes:
        method: Label.
        dataset: As of the points.
        rho: Spearman's rank correlation between score and mean test accuracy; None with fewer than three architectures, or
            where one side is constant.
        n: Number of architectures.
    """

    method: str
    dataset: str
    rho: float | None
    n: int


def correlate(
    candidates: Sequence[TrainedCandidate], trainings: Sequence[TrainingFacts]
) -> tuple[list[ScorePoint], list[ScoreCorrelation]]:
    """Return points by dataset, architecture and rank of the method, and correlations; what was trained apart is kept apart.

    Controls have no score.
    """
    keys = data_of(trainings)
    names = _names(trainings, keys)
    labelled = told_apart([entry for entry in candidates if entry.found.control is None], trainings)
    points: list[ScorePoint] = []
    methods: list[ScoreCorrelation] = []
    for key, name in names.items():
        pairs, compared = compare(entry for entry in labelled if keys[entry.training] == key)
        points += [
            ScorePoint(
                pair.architecture,
                pair.architecture_rank,
                pair.architecture_score,
                pair.method,
                name,
                pair.test_mean,
                pair.seeds,
            )
            for pair in pairs
            if pair.architecture_score is not None
        ]
        counts = {row.method: sum(pair.method == row.method for pair in pairs) for row in compared}
        methods += [ScoreCorrelation(row.method, name, row.score_correlation, counts[row.method]) for row in compared]
    return points, methods


def _names(trainings: Sequence[TrainingFacts], keys: dict[str, str]) -> dict[str, str]:
    """Return a name for each kind of data; where the same name stands for other images, the beginning of their digest is told."""
    names = {keys[training.id]: dataset_label(training) for training in trainings}
    shared = [name for name in names.values() if list(names.values()).count(name) > 1]
    return {key: f"{name} ({key[:8]})" if name in shared else name for key, name in names.items()}
