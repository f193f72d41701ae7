"""Training and scoring sampled paths of one supernet: the same code in a Ray actor and in a plain process.

A sample starts from the shared weights, trains its path with a fresh optimizer, is scored on validation images, and hands
back its path's weights; the supernet itself is put back. So the samples of a wave all start from the same weights wherever
they run, and a wave's result depends on seed and history alone. Sharing happens when the merged weights are loaded.

The shared state is the parameters. Batch-norm statistics are not shared: they are re-estimated from training images before
every score, since statistics gathered along other paths would not fit this one.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Method
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart, epoch_batches
from nas_service.search.loop import Evaluation
from nas_service.training.adversarial_step import training_step
from nas_service.training.attacks import fast_fgsm
from nas_service.training.evaluation import count_correct, evaluating, standing
from nas_service.training.optimization import RuledOptimizer, ruled_parameters
from nas_service.training.recipes import EvaluationSettings, schedule_factor
from nas_service.training.seeding import derived_generator, global_seed
from nas_service.training.step import Backpropagation
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace
from search_spaces.supernet import Supernet

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class TrainedPath:
    """A scored sample and the weights that its training left, by parameter name; empty if it diverged."""

    evaluation: Evaluation
    weights: Weights


def merge(paths: Sequence[Mapping[str, Tensor]]) -> Weights:
    """Merge the weights of a wave: one path's where one touched them, the mean where several did, in wave order."""
    touched: dict[str, list[Tensor]] = {}
    for weights in paths:
        for name, tensor in weights.items():
            touched.setdefault(name, []).append(tensor)
    return {name: tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(0) for name, tensors in touched.items()}


@dataclass(frozen=True)
class SupernetPlan:
    """What is searched, and how its samples are trained.

    Attributes:
        total_samples: Of the whole search; the learning rate falls over them.
    """

    space: SearchSpace
    method: Method
    settings: EvaluationSettings
    seed: int
    total_samples: int


class SupernetTrainer:
    """A supernet, the data it learns from, and the way a path is trained and scored."""

    def __init__(self, plan: SupernetPlan, dataset: ImageDataset, device: torch.device) -> None:
        """Build the supernet with weights that depend on the plan's seed alone and copy the data to `device`.

        Raises:
            ValueError: If the method needs a teacher: there is none for a path that was sampled a moment ago.
        """
        if plan.method.needs_teacher:
            raise ValueError(f"{type(plan.method).__name__} needs a teacher: it can train candidates, not a supernet")
        self._settings = plan.settings
        self._method = plan.method
        self._seed = plan.seed
        self._total_samples = plan.total_samples
        self._device = device
        self._augmentation = dataset.augmentation
        self._train = ResidentPart.of(dataset.train, device)
        self._validation = ResidentPart.of(dataset.validation, device, plan.settings.validation_images)
        with global_seed(plan.seed, "supernet"):
            self.supernet = Supernet(plan.space, plan.method, dataset.image_format).to(device)
            plan.method.adapt(self.supernet)
        for module in self.supernet.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # statistics are plain means over the calibration batches

    def weights(self) -> Weights:
        """Return copies of all shared weights on the CPU, by parameter name."""
        return {name: parameter.detach().cpu().clone() for name, parameter in self.supernet.named_parameters()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the shared weights named in `weights`."""
        parameters = dict(self.supernet.named_parameters())
        with torch.no_grad():
            for name, tensor in weights.items():
                parameters[name].copy_(tensor)

    def evaluate(self, index: int, genotype: Genotype) -> TrainedPath:
        """Train the path of `genotype` as sample `index` and score it; the shared weights stay as they are."""
        started = time.perf_counter()
        path = self.supernet.path_parameters(genotype)
        before = {name: parameter.detach().clone() for name, parameter in path.items()}
        with global_seed(self._seed, "sample", index):
            loss = self._train_path(index, genotype, path)
            clean, attacked = self.score(index, genotype)
        trained = {name: parameter.detach().cpu().clone() for name, parameter in path.items()}
        self.load(before)
        diverged = not (math.isfinite(loss) and all(bool(tensor.isfinite().all()) for tensor in trained.values()))
        adversarial = self._settings.adversarial
        evaluation = Evaluation(
            reward=0.0 if diverged else clean if attacked is None or adversarial is None else adversarial.reward(clean, attacked),
            loss=None if diverged else loss,
            diverged=diverged,
            seconds=time.perf_counter() - started,
            clean_accuracy=None if diverged else clean,
            attacked_accuracy=None if diverged else attacked,
        )
        return TrainedPath(evaluation, {} if diverged else trained)

    def _train_path(self, index: int, genotype: Genotype, path: dict[str, nn.Parameter]) -> float:
        settings = self._settings
        layers = binary_layers(self.supernet.path(genotype))
        state = self._method.start(self.supernet).to(self._device)
        optimizer = RuledOptimizer(
            ruled_parameters(path, layers, self._method),
            settings.optimizer,
            settings.learning_rate,
            settings.weight_decay,
        )
        factor = schedule_factor(settings.schedule, index / self._total_samples)
        generator = derived_generator(self._device, self._seed, "sample", index)
        chosen = max(1, round(len(self._train) * settings.train_fraction))
        subset = torch.randperm(len(self._train), generator=generator, device=self._device)[:chosen]
        replays = 1 if settings.adversarial is None else settings.adversarial.replays
        batches = max(1, len(subset) // settings.batch_size // replays)
        training = training_step(
            Backpropagation(self.supernet, layers, state, genotype),
            settings.adversarial,
            lambda: derived_generator(self._device, self._seed, "attack", index),
        )
        self.supernet.train()
        losses: list[Tensor] = []
        for epoch in range(settings.epochs):
            state.start_epoch(epoch, settings.epochs)
            images_and_labels = epoch_batches(self._train, settings.batch_size, self._augmentation, generator, subset)
            for _, (images, labels) in zip(range(batches), images_and_labels, strict=False):
                loss, _ = training.step(images, labels, optimizer, factor)
                losses.append(loss)
                if settings.max_steps is not None and len(losses) * replays >= settings.max_steps:
                    break
            with torch.no_grad():
                state.end_epoch(self.supernet)
            if settings.max_steps is not None and len(losses) * replays >= settings.max_steps:
                break
        return float(torch.stack(losses).mean())

    def score(self, index: int, genotype: Genotype) -> tuple[float, float | None]:
        """Return the validation accuracy with the weights as they are, and that under attack if the training is adversarial.

        Batch norm is re-estimated first, from training images that depend on `index`.
        """
        for module in self.supernet.path(genotype):
            for part in module.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.reset_running_stats()
        generator = derived_generator(self._device, self._seed, "calibration", index)
        batches = epoch_batches(self._train, self._settings.batch_size, self._augmentation, generator)
        self.supernet.train()
        with torch.no_grad():
            for _, (images, _) in zip(range(self._settings.calibration_batches), batches, strict=False):
                self.supernet(images, genotype)
        settings, count = self._settings.adversarial, len(self._validation)
        forward = partial(self.supernet, genotype=genotype)
        with evaluating(self.supernet):
            clean = count_correct(forward, self._validation) / count
            if settings is None:
                return clean, None
            generator = derived_generator(self._device, self._seed, "validation attack", index)
            return clean, int(standing(forward, fast_fgsm(settings.eps), self._validation, generator).sum()) / count
