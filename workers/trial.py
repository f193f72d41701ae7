"""Ray Tune trials: each trains one network, resumes from its own checkpoint, and leaves files in the artifact store."""

import os
import socket
import time
from dataclasses import dataclass
from typing import Any

import torch
from ray import tune

from nas_service.candidate import CandidateRun
from nas_service.catalogue import build_method, build_space
from nas_service.data.dataset import ImageDataset
from nas_service.errors import CannotFreezeError, ExportError
from nas_service.reports import CandidateMetrics, EpochReport
from nas_service.storage.artifacts import ArtifactStore, StoredFile
from nas_service.storage.keys import candidate_key
from nas_service.tasks import CandidateTask, NetworkSource
from nas_service.training.candidate.full_precision import FullPrecisionPlan, load_network
from nas_service.training.candidate.run import TrainingRun
from search_spaces.errors import InvalidFieldError
from search_spaces.network import CellStack
from workers.delivery import Delivery
from workers.supernet_worker import pick_device

EPOCHS = "epochs_done"  # what early stopping compares candidates at ...
SCORE = "validation_accuracy"  # ... and by
NEWS = "news"  # under which a result carries what the trial tells
BEAT_S = 5.0  # between two beats of a trial

# What is wrong with the candidate and not with the world: trying again would end the same.
_ITS_OWN = (FloatingPointError, CannotFreezeError, ExportError, InvalidFieldError)


@dataclass(frozen=True)
class Began:
    """A trial took its network up: where, and after how many epochs that an earlier trial did, or the search."""

    worker: str
    device: str
    resumed_from: int
    by_search: bool = False


@dataclass(frozen=True)
class Attacking:
    """The network is trained and is being attacked."""


@dataclass(frozen=True)
class Attacked:
    """An attack ended: what share of the test images stands it."""

    attack: str
    accuracy: float


@dataclass(frozen=True)
class Exporting:
    """The network is being frozen and written, which may take a while without a beat."""


@dataclass(frozen=True)
class Done:
    """The network is trained; of a candidate, with its files and figures, and how long attacks took if there were any."""

    last: EpochReport
    files: dict[str, StoredFile]
    metrics: CandidateMetrics | None = None
    cost: dict[str, float] | None = None
    attack_seconds: float | None = None


@dataclass(frozen=True)
class Failed:
    """The network cannot be trained, and would fail again."""

    error: str


@dataclass(frozen=True)
class Beat:
    """The trial is alive."""


News = Began | EpochReport | Attacking | Attacked | Exporting | Done | Failed | Beat


@dataclass(frozen=True)
class TrialSetup:
    """What trials of one training have in common.

    Attributes:
        artifact_url: Where files go.
        cpus: Threads.
        gpus: Share of a GPU.
        checkpoint_every_s: Seconds between checkpoints; a trial that is cut off repeats no more than that.
    """

    artifact_url: str
    cpus: int
    gpus: float
    checkpoint_every_s: float


@dataclass(frozen=True)
class CandidateTrial:
    """A candidate and the networks that lie in the store for it.

    Attributes:
        task: What is to be done.
        checkpoint: Key of its checkpoint.
        teacher: What it learns from, if it needs that.
        substitute: What transfer attacks follow, if there are any.
        found: Key of the training that the search made of it, finished, if it trained it alike.
        is_control: Whether it is trained to compare with: then early stopping does not touch it.
    """

    task: CandidateTask
    checkpoint: str
    teacher: NetworkSource | None = None
    substitute: NetworkSource | None = None
    found: str | None = None
    is_control: bool = False


@dataclass(frozen=True)
class FullPrecisionTrial:
    """A full-precision network.

    Attributes:
        plan: What it is.
        checkpoint: Key of its checkpoint.
        key: Where it goes.
    """

    plan: FullPrecisionPlan
    checkpoint: str
    key: str


Trial = CandidateTrial | FullPrecisionTrial


def _tell(news: News) -> None:
    """Hand news to the driver; epochs are what early stopping looks at."""
    epoch = news.last if isinstance(news, Done) else news if isinstance(news, EpochReport) else None
    scores = {} if epoch is None else {EPOCHS: epoch.epoch + 1, SCORE: epoch.validation_accuracy}
    tune.report({NEWS: news, **scores})


class _Pulse:
    """Beats now and then, from the thread that does the work: a device that hangs stops it."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._last >= BEAT_S:
            self._last = now
            _tell(Beat())


def _load(source: NetworkSource | None, trial: CandidateTrial, dataset: ImageDataset, store: ArtifactStore) -> CellStack | None:
    """Read a network from the store.

    Raises:
        ExportError: If the store has lost it.
    """
    if source is None:
        return None
    content = store.get(source.key)
    if content is None:
        raise ExportError(f"the artifact store has lost the network {source.key}")
    method = None if source.method is None else build_method(source.method)
    return load_network(build_space(trial.task.space), source.genotype, method, dataset.image_format, content)


def _train(run: TrainingRun, checkpoint: str, store: ArtifactStore, setup: TrialSetup, found: str | None = None) -> EpochReport:
    """Train what is left, telling every epoch but the last, which is told when all is done; return the last.

    A training goes on from its own checkpoint, or else takes the one that lies under `found`, which is whole.

    Epochs before the checkpoint are told again: the driver may have died before it wrote them down. The last epoch is told
    together with the files, so that early stopping cannot come between a whole training and its export.
    """
    saved, by_search = store.get(checkpoint), False
    if saved is None and found is not None:
        saved = store.get(found)
        by_search = saved is not None
    if saved is not None:
        run.restore(saved)
    device = torch.cuda.get_device_name() if setup.gpus else "cpu"
    _tell(Began(f"{socket.gethostname()}:{os.getpid()}", device[:50], len(run.reports), by_search))
    for earlier in run.reports[: run.trainer.recipe.epochs - 1]:
        _tell(earlier)
    saved_at = time.monotonic()
    for report in run.train():
        if time.monotonic() - saved_at > setup.checkpoint_every_s or run.is_done:
            store.put(checkpoint, run.checkpoint())
            saved_at = time.monotonic()
        if not run.is_done:
            _tell(report)
    return run.reports[-1]


def _train_candidate(trial: CandidateTrial, setup: TrialSetup, dataset: ImageDataset, pulse: _Pulse) -> Done:
    store, task = ArtifactStore(setup.artifact_url), trial.task
    teacher = _load(trial.teacher, trial, dataset, store)
    run = CandidateRun(task, dataset, pick_device(setup.gpus), teacher, pulse)
    last = _train(run, trial.checkpoint, store, setup, trial.found)
    if task.robustness is not None:
        _tell(Attacking())
    began = time.monotonic()
    substitute = _load(trial.substitute, trial, dataset, store)
    robustness = run.attack(substitute, lambda attack, accuracy: _tell(Attacked(attack, accuracy)))
    attack_seconds = None if robustness is None else time.monotonic() - began
    _tell(Exporting())
    exported = run.export(robustness)
    contents = {"bundle": ("bundle.zip", exported.content), "safetensors": ("latent.safetensors", run.weights())}
    files = {}
    for kind, (name, content) in contents.items():
        key = candidate_key(task.candidate_id, name)
        store.put(key, content)
        files[kind] = StoredFile.of(key, content)
    return Done(last, files, exported.metrics, exported.cost, attack_seconds)


def _train_full_precision(trial: FullPrecisionTrial, setup: TrialSetup, dataset: ImageDataset, pulse: _Pulse) -> Done:
    store = ArtifactStore(setup.artifact_url)
    run = TrainingRun(trial.plan.trainer(dataset, pick_device(setup.gpus), pulse))
    last = _train(run, trial.checkpoint, store, setup)
    store.put(trial.key, run.weights())
    return Done(last, {})


def train(config: dict[str, Any], trials: dict[str, Trial], setup: TrialSetup, delivery: Delivery) -> None:
    """Tune's trainable: train the network that the configuration names."""
    trial = trials[config["name"]]
    torch.set_num_threads(setup.cpus)
    pulse = _Pulse()
    dataset = delivery.received(lambda *_: pulse())
    try:
        if isinstance(trial, CandidateTrial):
            done = _train_candidate(trial, setup, dataset, pulse)
        else:
            done = _train_full_precision(trial, setup, dataset, pulse)
    except _ITS_OWN as error:
        _tell(Failed(f"{type(error).__name__}: {error}" if isinstance(error, FloatingPointError) else str(error)))
    else:
        _tell(done)
