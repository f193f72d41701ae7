"""Training and scoring sampled paths of one supernet: the same code in a Ray actor and in a plain process.

A sample starts from the shared weights, trains its path with a fresh optimizer, is scored on validation images, and hands
back its path's weights; the supernet itself is put back. So the samples of a wave all start from the same weights wherever
they run, and a wave's result depends on seed and history alone. Sharing happens when the merged weights are loaded.

The shared state is the parameters. Batch-norm statistics are not shared: they are re-estimated from training images before
every score, since statistics gathered along other paths would not fit this one.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import Method, MethodState
from nas_service.data.dataset import ImageDataset
from nas_service.data.loader import ResidentPart, epoch_batches
from nas_service.recipes.acceleration import Acceleration
from nas_service.recipes.recipe import EvaluationSettings, schedule_factor
from nas_service.search.loop import Evaluation
from nas_service.training.fast.accelerator import Accelerator
from nas_service.training.scoring.counting import correct_count, standing
from nas_service.training.state.path_weights import PathWeights, Weights, copy_all
from nas_service.training.state.seeding import derive_seed, derived_generator, global_seed
from nas_service.training.step.attacked import batch_step, scoring_attack
from nas_service.training.step.backpropagation import Backpropagation
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from nas_service.training.step.replayed import TrainingStep
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace
from search_spaces.supernet import Supernet


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


@dataclass(frozen=True)
class _Course:
    """One sampled path in training.

    Attributes:
        genotype: The path.
        modules: That it runs through.
        path: Their parameters by name.
        layers: The binary ones.
        state: The method's hooks.
    """

    genotype: Genotype
    modules: list[nn.Module]
    path: dict[str, nn.Parameter]
    layers: list[BinaryConv2d]
    state: MethodState


class SupernetTrainer:
    """A supernet, the data it learns from, and the way a path is trained and scored."""

    def __init__(self, plan: SupernetPlan, dataset: ImageDataset, device: torch.device) -> None:
        """Build the supernet with weights that depend on the plan's seed alone and copy the data to `device`.

        Raises:
            ValueError: If the method needs a teacher: there is none for a path that was sampled a moment ago.
            InvalidFieldError: If the acceleration cannot work on the device or with the method.
        """
        if plan.method.needs_teacher:
            raise ValueError(f"{type(plan.method).__name__} needs a teacher: it can train candidates, not a supernet")
        self._attack_generator = torch.Generator(device)
        self._accelerator = Accelerator(plan.settings.acceleration, device, plan.method, self._attack_generator)
        self._settings = plan.settings
        self._method = plan.method
        self._seed = plan.seed
        self._total_samples = plan.total_samples
        self.device = device
        self._augmentation = dataset.augmentation
        self._train = ResidentPart.of(dataset.train, device)
        self._validation = ResidentPart.of(dataset.validation, device, plan.settings.validation_images)
        with global_seed(plan.seed, "supernet"):
            self.supernet = Supernet(plan.space, plan.method, dataset.image_format).to(device)
            plan.method.adapt(self.supernet)
            self._accelerator.check(plan.method.start(self.supernet), plan.settings.epochs)
        self._accelerator.lay_out(self.supernet)
        self._parameters = dict(self.supernet.named_parameters())

    @property
    def acceleration(self) -> Acceleration:
        """What makes training fast here, every switch decided."""
        return self._accelerator.settings

    def weights(self) -> Weights:
        """Return copies of all shared weights on the CPU, by parameter name."""
        return {name: parameter.detach().cpu().clone() for name, parameter in self._parameters.items()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the shared weights named in `weights`."""
        if weights:
            copy_all([self._parameters[name].detach() for name in weights], list(weights.values()))

    def evaluate(self, index: int, genotype: Genotype) -> TrainedPath:
        """Train the path of `genotype` as sample `index` and score it; the shared weights stay as they are.

        The host waits for the device once, at the end.
        """
        started = time.perf_counter()
        with global_seed(self._seed, "sample", index):
            course = self._course(genotype)
            before = PathWeights.of(course.path)
            loss = self._train_path(index, course)
            correct, stood = self._count(index, course)
        trained = PathWeights.of(course.path)
        self.load(before.named)
        figures = torch.stack([part.double() for part in (loss, correct, stood, trained.finite())]).tolist()
        mean_loss, clean, attacked = figures[0], figures[1] / len(self._validation), figures[2] / len(self._validation)
        diverged = not (math.isfinite(mean_loss) and figures[3])
        adversarial = self._settings.adversarial
        evaluation = Evaluation(
            reward=0.0 if diverged else clean if adversarial is None else adversarial.reward(clean, attacked),
            loss=None if diverged else mean_loss,
            diverged=diverged,
            seconds=time.perf_counter() - started,
            clean_accuracy=None if diverged else clean,
            attacked_accuracy=None if diverged or adversarial is None else attacked,
        )
        return TrainedPath(evaluation, {} if diverged else trained.named)

    @contextmanager
    def training_step(self, genotype: Genotype) -> Iterator[TrainingStep]:
        """Yield what trains the path of `genotype`, for benchmarks of a step; the weights are put back after the block."""
        course = self._course(genotype)
        before = PathWeights.of(course.path)
        course.state.start_epoch(0, 1)
        _prepare(course.modules, training=True)
        with self._steps(course, self._optimizer(course)) as step:
            yield step
        self.load(before.named)

    def _course(self, genotype: Genotype) -> _Course:
        modules = self.supernet.path(genotype)
        touched = {id(parameter) for module in modules for parameter in module.parameters()}
        path = {name: parameter for name, parameter in self._parameters.items() if id(parameter) in touched}
        return _Course(genotype, modules, path, binary_layers(modules), self._method.start(self.supernet).to(self.device))

    def _optimizer(self, course: _Course) -> RuledOptimizer:
        settings = self._settings
        return RuledOptimizer(
            ruled_parameters(course.path, course.layers, self._method),
            settings.optimizer,
            settings.learning_rate,
            settings.weight_decay,
            fused=self._accelerator.fused_optimizer,
        )

    @contextmanager
    def _steps(self, course: _Course, optimizer: RuledOptimizer) -> Iterator[TrainingStep]:
        """Yield the step of one epoch."""
        backpropagation = Backpropagation(
            self.supernet, course.layers, course.state, course.genotype, arithmetic=self._accelerator.arithmetic
        )
        with self._accelerator.training(self.supernet, course.layers):
            training = batch_step(backpropagation, self._settings.adversarial, self._attack_generator)
            yield self._accelerator.step(training, optimizer)

    def _train_path(self, index: int, course: _Course) -> Tensor:
        """Return the mean loss."""
        settings, state = self._settings, course.state
        optimizer = self._optimizer(course)
        factor = schedule_factor(settings.schedule, index / self._total_samples)
        generator = derived_generator(self.device, self._seed, "sample", index)
        chosen = max(1, round(len(self._train) * settings.train_fraction))
        subset = torch.randperm(len(self._train), generator=generator, device=self.device)[:chosen]
        self._attack_generator.manual_seed(derive_seed(self._seed, "attack", index))
        replays = 1 if settings.adversarial is None else settings.adversarial.replays
        most = max(1, len(subset) // settings.batch_size // replays)
        _prepare(course.modules, training=True)
        losses: list[Tensor] = []
        for epoch in range(settings.epochs):
            state.start_epoch(epoch, settings.epochs)
            batches = epoch_batches(self._train, settings.batch_size, self._augmentation, generator, subset)
            with self._steps(course, optimizer) as step:
                for _, (images, labels) in zip(range(most), batches, strict=False):
                    losses.append(step(images, labels, factor)[0])
                    if settings.max_steps is not None and len(losses) * replays >= settings.max_steps:
                        break
            with torch.no_grad():
                state.end_epoch(self.supernet)
            if settings.max_steps is not None and len(losses) * replays >= settings.max_steps:
                break
        return torch.stack(losses).mean()

    def score(self, index: int, genotype: Genotype) -> float:
        """Return the validation accuracy of a path with the shared weights as they are, in [0, 1].

        Batch norm is re-estimated first, from training images that depend on `index`.
        """
        return int(self._count(index, self._course(genotype))[0]) / len(self._validation)

    def _count(self, index: int, course: _Course) -> tuple[Tensor, Tensor]:
        """Return how many validation images the path classifies correctly, and how many under attack (0 without attacks).

        It is run as it was trained: no network leaves here.
        """

        def forward(images: Tensor) -> Tensor:
            return self._accelerator.arithmetic.forward(self.supernet, images, course.genotype)[1]

        norms = [part for module in course.modules for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
        for norm in norms:
            norm.reset_running_stats()
            norm.track_running_stats = True
        for module in course.modules:
            module.train()
        generator = derived_generator(self.device, self._seed, "calibration", index)
        batches = epoch_batches(self._train, self._settings.batch_size, self._augmentation, generator)
        with torch.no_grad():
            for batch, (images, _) in zip(range(self._settings.calibration_batches), batches, strict=False):
                for norm in norms:
                    norm.momentum = 1 / (batch + 1)  # so the statistics are plain means over the batches
                forward(images)
            _prepare(course.modules, training=False)
            correct, settings = correct_count(forward, self._validation), self._settings.adversarial
            if settings is None:
                return correct, torch.zeros_like(correct)
            generator = derived_generator(self.device, self._seed, "validation attack", index)
            return correct, standing(forward, scoring_attack(settings), self._validation, generator).sum()


def _prepare(modules: list[nn.Module], *, training: bool) -> None:
    """Put the modules of a path into training or evaluation.

    Batch norms gather no statistics in training: those that count are gathered afterwards.
    """
    for module in modules:
        module.train(training)
        for part in module.modules():
            if training and isinstance(part, nn.BatchNorm2d):
                part.track_running_stats = False
                part.momentum = 0.0
