"""A finished search with five architectures, and a training of three methods with three seeds on them, in the database."""

from dataclasses import dataclass
from typing import Any

from nas_service.binarization.method import METHODS as METHODS_OF_TODAY
from nas_service.catalogue import build_method
from nas_service.job_events import DataRead
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import Component, SearchSpec, TrainingSpec
from nas_service.storage import architectures, candidates, events, jobs
from nas_service.storage.architectures import Discovery
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.session import Database, Session
from search_spaces.network import ImageFormat, network_cost
from search_spaces.space import SPACES
from tests.reports import COST, epoch_report, metrics
from tests.samples import digits, random_genotype

METHODS = {"bnn": 0.7, "xnor-net": 0.75, "rebnn": 0.8}
SEEDS = (0, 1, 2)
EPOCHS = 12


@dataclass(frozen=True)
class Written:
    """What was written: ids."""

    search: str
    architectures: list[str]
    training: str


def write_whole(settings: Settings, *, attacked: bool = True) -> Written:
    """Write search and training; the k-th architecture is 2 points better than the one before, the s-th seed 1 point."""
    database = Database(settings.database)
    with database.write() as session:
        spec = SearchSpec.model_validate({"space": "tiny", "method": "bnn"})
        search = jobs.create_job(session, jobs.SEARCH, "", spec.model_dump(mode="json"))
        search.state = JobState.SUCCEEDED.value
        found = [_discovery(seed, digits().image_format) for seed in range(5)]
        keys = [row.id for row in architectures.add_architectures(session, search.id, found)]
        training = write_training(session, keys, eps=0.1 if attacked else None)
    database.close()
    return Written(search.id, keys, training)


def write_hand_made(settings: Settings, **spec: Any) -> tuple[str, str]:  # noqa: ANN401 - fields of a spec
    """Write a search of ResNet-20 and a training of what it found; return the ids of its architecture and of the training."""
    database = Database(settings.database)
    space = SPACES.get("resnet-20")
    with database.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "", SearchSpec(space=Component(name=space.name)).model_dump(mode="json"))
        (found,) = architectures.add_architectures(session, search.id, [Discovery(space.only_genotype(), 0.5, dict(COST))])
        key = found.id
        training = write_training(session, [key], space=space.name, **spec)
    database.close()
    return key, training


def _discovery(seed: int, image: ImageFormat) -> Discovery:
    space = SPACES.get("tiny")
    genotype = random_genotype(space, seed)
    cost = network_cost(space, genotype, image, build_method(Component(name="bnn")).facts.precision)
    return Discovery(genotype, 0.9 - seed / 10, cost.to_dict())


def write_training(session: Session, keys: list[str], *, eps: float | None = None, digest: str = "d", **spec: Any) -> str:  # noqa: ANN401 - fields of a spec
    """Write a training whose candidates all succeeded, on data with this digest, and return its id."""
    named = {"space": "tiny", "dataset": "digits", "recipe": {"epochs": EPOCHS}, "methods": list(METHODS), "seeds": list(SEEDS)}
    parsed = TrainingSpec.model_validate({**named, "architectures": keys, **spec})
    job = jobs.create_job(session, jobs.TRAINING, "whole", parsed.model_dump(mode="json"))
    job.state = JobState.SUCCEEDED.value
    events.record(session, job.id, DataRead(digest=digest))
    planned = [PlannedCandidate(key, each.model_dump(), seed) for key in keys for each in parsed.methods for seed in parsed.seeds]
    for row in candidates.plan_candidates(session, job.id, planned):
        name = row.method["name"]
        _write_candidate(session, row.id, name, METHODS[name] + 0.02 * keys.index(row.architecture_id) + 0.01 * row.seed, eps)
    return job.id


def _write_candidate(session: Session, key: str, name: str, test: float, eps: float | None) -> None:
    candidates.begin(session, key, "host:1", "cpu", 0)
    for epoch in range(EPOCHS):
        report = epoch_report(epoch, validation_accuracy=test - 0.5 / (epoch + 1), train_loss=1 / (epoch + 3))
        candidates.add_epoch(session, key, report.model_copy(update={"extra": {"gamma": epoch / 7}}))
    known = metrics(test=test) if eps is None else metrics(test=test, pgd_20=test / 2, eps=eps)
    known = known.model_copy(update={"method_revision": METHODS_OF_TODAY.get(name).revision})
    candidates.succeed(session, key, known, COST | {"ops": 200.0 + 1000 * test}, None if eps is None else 1.5)
