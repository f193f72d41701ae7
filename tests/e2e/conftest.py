"""A whole service: `nas serve` in a process of its own, its drivers, their Ray."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest
import torch

from api.client import NasClient
from api.commands.embedded import embedded_service
from api.views import ArmView, JobView, SampleView
from nas_service.data.dataset import DATASETS
from nas_service.lifecycle import FINISHED
from nas_service.reports import SearchProgress, TrainingProgress
from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.loop import run_search
from nas_service.search.strategy import Ranked
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from tests.nas_service.data.files import write_cifar_parquet
from tests.waiting import wait_until
from workers.supernet_worker import build_search, build_trainer


@dataclass(frozen=True)
class Running:
    """A running service."""

    settings: Settings
    client: NasClient

    def finish(self, search_id: str) -> JobView:
        """Wait for the end of a search, and of what it started."""
        job = wait_until(lambda: self.client.search(search_id), lambda job: job.state in FINISHED)
        for training in list(self.client.trainings(parent=search_id)):
            wait_until(lambda key=training.id: self.client.training(key), lambda job: job.state in FINISHED)  # type: ignore[misc]  # mypy cannot infer a lambda's default
        return job

    def train(self, **spec: object) -> JobView:
        """Submit a training and wait for its end."""
        training = self.client.submit_training(spec)
        return wait_until(lambda: self.client.training(training.id), lambda job: job.state in FINISHED)

    def search(self, **spec: object) -> JobView:
        """Submit a search and wait for its end."""
        return self.finish(self.client.submit_search(spec).id)


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a service for all end-to-end tests, with CIFAR-10-like files under its data root."""
    settings = Settings(
        home=tmp_path_factory.mktemp("service"), object_store_bytes=100_000_000, poll_s=0.2, checkpoint_s=0.5, litter_s=2.0
    )
    settings.data.mkdir()
    write_cifar_parquet(settings.data)
    with embedded_service(settings) as address, NasClient(address) as client:
        yield Running(settings, client)


@dataclass(frozen=True)
class Bare:
    """What the engine finds without Ray, database and service."""

    history: History
    arms: tuple[Arm, ...]
    ranked: tuple[Ranked, ...]


@pytest.fixture(scope="session")
def bare() -> Callable[..., Bare]:
    """Return a function that carries out a spec in this process."""

    def search(**fields: object) -> Bare:
        spec = SearchSpec.model_validate(fields)
        strategy = build_search(spec)[1]
        dataset = DATASETS.get(spec.dataset.name).from_settings(spec.dataset.settings).load(Settings().data)
        threads = torch.get_num_threads()
        torch.set_num_threads(spec.resources.cpus_per_worker)
        evaluator = LocalEvaluator(build_trainer(spec, dataset.without_test(), torch.device("cpu")))
        history = run_search(strategy, evaluator, (), spec.wave, lambda _: None)
        torch.set_num_threads(threads)
        return Bare(history, strategy.arms(history), strategy.rank(history, spec.keep))

    return search


def arm_table(arms: Iterable[ArmView]) -> list[tuple[object, ...]]:
    """Return arms as plain rows."""
    return [tuple(arm.model_dump().values()) for arm in arms]


def bare_table(arms: tuple[Arm, ...]) -> list[tuple[object, ...]]:
    """Return arms as plain rows."""
    return [(*arm.key, arm.pulls, arm.mean, arm.lower, arm.upper, arm.abandoned_round, arm.best_probability) for arm in arms]


def sample_rows(samples: Iterable[SampleView]) -> list[tuple[object, ...]]:
    """Return what must repeat of samples: not their seconds, workers and attempts."""
    return [(sample.index, sample.digest, sample.reward, sample.loss) for sample in samples]


def samples_of(job: JobView) -> int:
    """Return the number of committed samples of a search."""
    return job.progress.samples if isinstance(job.progress, SearchProgress) else 0


def epochs_of(job: JobView) -> int:
    """Return the number of epochs that a training has done."""
    return job.progress.epochs if isinstance(job.progress, TrainingProgress) else 0
