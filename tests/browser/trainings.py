"""Trainings with all that their page shows, written through the storage as drivers do."""

import math
from dataclasses import dataclass

from nas_service.lifecycle import JobState
from nas_service.reports import RobustnessFigures
from nas_service.search.control import Control
from nas_service.search.history import Sample
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage import architectures, candidates, jobs
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Candidate
from nas_service.storage.session import Database, Session
from search_spaces.space import SPACES
from tests.holds import held
from tests.reports import epoch_report, metrics

METHODS = ("bnn", "rebnn", "xnor-net")
EPOCHS = 6
ATTACKS = ("fgsm", "pgd-20", "pgd-100", "transfer", "square")


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        search: Id of the search.
        training: Id of the training.
        architectures: Ids, the best first.
    """

    search: str
    training: str
    architectures: list[str]


def _found(session: Session, count: int, name: str, space: str, controls: int) -> tuple[str, list[str]]:
    strategy = STRATEGIES.get("random").from_settings(SPACES.get(space), {}, 0)
    genotypes = strategy.suggest((), 1 if SPACES.get(space).is_reference else 8)
    history = tuple(Sample(index, genotype, 0.5 + index / 50) for index, genotype in enumerate(genotypes))
    spec = SearchSpec.model_validate({"space": space, "name": name, "strategy": "random"})
    jobs.create_job(session, jobs.SEARCH, spec.name, spec.model_dump(mode="json"))
    job, _ = held(session)
    ranked = strategy.rank(history, count)
    cost = [{"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 1e6}] * count
    kinds = [None] * (len(ranked) - controls) + [Control.UNIFORM] * controls
    kept = [
        architectures.Discovery(entry.genotype, entry.score, known, kind)
        for entry, known, kind in zip(ranked, cost, kinds, strict=False)
    ]
    rows = architectures.add_architectures(session, job.id, kept)
    jobs.move(session, job.id, JobState.SUCCEEDED)
    return job.id, [row.id for row in rows]


def _accuracy(method: int, architecture: int, seed: int) -> float:
    return round(0.62 + 0.06 * method + 0.035 * architecture + 0.011 * math.sin(7 * seed + 3 * method + architecture), 3)


def _robustness(accuracy: float, method: int) -> RobustnessFigures:
    stood = {name: round(accuracy * (0.75 - 0.07 * place), 3) for place, name in enumerate(ATTACKS)}
    masked = ("square",) if method == 0 else ()
    worst = min(stood.values())
    return RobustnessFigures(
        eps=0.1, restarts=3, images=360, accuracies=stood, worst=worst, masked_by=masked, validation_pgd_20=stood["pgd-20"]
    )


def _train(session: Session, row: Candidate, method: int, architecture: int, *, is_attacked: bool) -> None:
    candidates.begin(session, row.id, f"host:{100 + method % 2}", "cpu", 0)
    accuracy = _accuracy(method, architecture, row.seed)
    for epoch in range(EPOCHS):
        so_far = accuracy * (1 - math.exp(-(epoch + 1) / 2))
        figures = {"validation_accuracy": so_far, "train_accuracy": so_far * 1.02, "train_loss": 2 * math.exp(-epoch / 3)}
        candidates.add_epoch(session, row.id, epoch_report(epoch, **figures, flip_ratio=0.05 / (epoch + 1)))
    known = metrics(validation=accuracy, test=accuracy)
    if is_attacked:
        known = known.model_copy(update={"robustness": _robustness(accuracy, method)})
    ops = 1e6 * (1 + architecture) * (1 + 0.1 * method)
    cost = {"binary_parameters": 8000, "float_parameters": 200, "flops": ops / 2, "bops": 32 * ops, "ops": ops}
    candidates.succeed(session, row.id, known, cost | {"packed_bytes": 4000 + 900 * architecture + 300 * method}, 1.5)


def write_training(  # noqa: PLR0913 - what there is of one
    store: Database,
    *,
    seeds: int = 3,
    count: int = 3,
    attacked: bool = True,
    left: int = 0,
    name: str = "three methods",
    space: str = "tiny",
    controls: int = 0,
) -> Written:
    """Write a search and a training of all methods on its architectures, of which the last `controls` are controls.

    The last `left` candidates are still to come.
    """
    with store.write() as session:
        search, keys = _found(session, count, name, space, controls)
        spec = TrainingSpec.model_validate(
            {
                "name": name,
                "architectures": keys,
                "space": space,
                "dataset": "digits",
                "methods": list(METHODS),
                "seeds": list(range(seeds)),
                "recipe": {"epochs": EPOCHS},
                "robustness": {"eps": 0.1} if attacked else None,
            }
        )
        jobs.create_job(session, jobs.TRAINING, name, spec.model_dump(mode="json"))
        job, _ = held(session)
        planned = [
            PlannedCandidate(key, {"name": method, "settings": {}, "recipe": {}}, seed)
            for key in keys
            for method in METHODS
            for seed in range(seeds)
        ]
        rows = candidates.plan_candidates(session, job.id, planned)
        for row in rows[: len(rows) - left]:
            place = keys.index(row.architecture_id)
            _train(session, row, METHODS.index(row.method["name"]), place, is_attacked=attacked)
        if not left:
            jobs.move(session, job.id, JobState.SUCCEEDED)
    return Written(search, job.id, keys)
