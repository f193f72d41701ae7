"""Reports with made-up figures."""

from collections.abc import Sequence

from nas_service.reports import CandidateMetrics, ClassFigures, EpochReport, RobustnessFigures
from nas_service.search.control import Control
from nas_service.trained import FoundArchitecture, TrainedCandidate

COST = {"binary_parameters": 800, "float_parameters": 20, "flops": 100, "bops": 6400, "packed_bytes": 180, "ops": 200.0}


def epoch_report(epoch: int = 0, **figures: float) -> EpochReport:
    """Return the report of an epoch."""
    told = {
        "train_loss": 1.0,
        "train_accuracy": 0.5,
        "validation_accuracy": 0.6,
        "flip_ratio": 0.01,
        "sign_balance": 0.5,
        "bimodality": 0.4,
        "seconds": 2.0,
    } | figures
    return EpochReport.model_validate({"epoch": epoch, "phase": "train", "extra": {}, **told})


def class_figures(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> ClassFigures:
    """Return the figures of a network with this confusion matrix (rows: true class)."""
    pairs = [(label, guess) for label, row in enumerate(matrix) for guess, times in enumerate(row) for _ in range(times)]
    return ClassFigures.count(names, [label for label, _ in pairs], [guess for _, guess in pairs])


def even(correct: int) -> ClassFigures:
    """Return the figures of two classes of 500 images each, of which so many are classified correctly."""
    first = correct // 2
    return class_figures(("cat", "dog"), [[first, 500 - first], [500 - (correct - first), correct - first]])


def metrics(validation: float = 0.9, test: float = 0.8, pgd_20: float | None = None, eps: float = 0.1) -> CandidateMetrics:
    """Return what is known of a candidate: accuracies in thousandths, and what it stands if `pgd_20` is given."""
    scores = [even(round(1000 * share)) for share in (validation, test)]
    stood = None
    if pgd_20 is not None:
        accuracies = {"clean": test, "pgd-20": pgd_20}
        stood = RobustnessFigures(
            eps=eps, restarts=1, images=50, accuracies=accuracies, worst=pgd_20, masked_by=(), validation_pgd_20=pgd_20
        )
    return CandidateMetrics.of(epoch_report(), scores[0], scores[1], stood)


def trained(  # noqa: PLR0913 - what is compared
    known: CandidateMetrics,
    method: str = "bnn",
    architecture: str = "a",
    *,
    key: str = "id",
    training: str = "training",
    score: float = 0.5,
    seed: int = 0,
    ops: float = 200.0,
    control: Control | None = None,
) -> TrainedCandidate:
    """Return a candidate that succeeded, of an architecture that the search `search` found, or drew as a control."""
    found = FoundArchitecture(architecture, "search", 1, score, control)
    cost = COST | {"ops": ops}
    return TrainedCandidate(key, training, found, {"name": method, "settings": {}}, method, seed, known, cost, 2.0)
