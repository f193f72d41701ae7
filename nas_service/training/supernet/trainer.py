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
from itertools import islice

import torch
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Method
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.recipe import EvaluationSettings, schedule_factor
from nas_service.reports import Beat, no_beat
from nas_service.search.loop import Evaluation
from nas_service.training.scoring.batch_norm import reestimate
from nas_service.training.scoring.counting import correct_on_device, standing
from nas_service.training.state.path_weights import PathWeights, Weights, copy_all
from nas_service.training.state.seeding import derive_seed, derived_generator, global_seed
from nas_service.training.step.attacked import scoring_attack
from nas_service.training.step.backpropagation import Backpropagation
from nas_service.training.step.optimizer import RuledOptimizer
from nas_service.training.step.workbench import Workbench
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
class Course:
    """One sampled path in training.

    Attributes:
        modules: That it runs through.
        path: Their parameters by name.
        plain: The plain step on it, with its binary layers and the method's hooks.
        optimizer: Of its parameters.
    """

    modules: list[nn.Module]
    path: dict[str, nn.Parameter]
    plain: Backpropagation
    optimizer: RuledOptimizer

    def prepare(self, *, training: bool) -> None:
        """Put the modules into training or evaluation.

        Batch norms gather no statistics in training: those that count are gathered afterwards.
        """
        for module in self.modules:
            module.train(training)
            for part in module.modules():
                if training and isinstance(part, nn.BatchNorm2d):
                    part.track_running_stats = False
                    part.momentum = 0.0


class SupernetTrainer:
    """A supernet, the data it learns from, and the way a path is trained and scored."""

    def __init__(self, plan: SupernetPlan, dataset: ImageDataset, device: torch.device, *, beat: Beat = no_beat) -> None:
        """Build the supernet with weights that depend on the plan's seed alone and copy the data to `device`.

        Args:
            plan: What is searched.
            dataset: Its training and validation parts are used.
            device: Where.
            beat: Called after every training step and before every batch that is calibrated with, scored or attacked.

        Raises:
            ValueError: If the method needs a teacher: there is none for a path that was sampled a moment ago.
            InvalidFieldError: If the acceleration cannot work on the device or with the method.
        """
        if plan.method.facts.needs_teacher:
            raise ValueError(f"{type(plan.method).__name__} needs a teacher: it can train candidates, not a supernet")
        self._plan = plan
        self._settings = plan.settings
        self.device = device
        self.bench = Workbench(
            plan.method, plan.settings, dataset, device, beat, validation_images=plan.settings.validation_images
        )
        with global_seed(plan.seed, "supernet"):
            self.supernet = Supernet(plan.space, plan.method, dataset.image_format).to(device)
            plan.method.adapt(self.supernet)
        self.bench.lay_out(self.supernet)
        self._parameters = dict(self.supernet.named_parameters())

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
        with global_seed(self._plan.seed, "sample", index):
            course = self.course(genotype)
            before = PathWeights.of(course.path)
            loss, steps = self._train_path(index, course)
            correct, stood = self.count(index, course)
        trained = PathWeights.of(course.path)
        self.load(before.named)
        figures = torch.stack([part.double() for part in (loss, correct, stood, trained.finite())]).tolist()
        images = len(self.bench.validation)
        mean_loss, clean, attacked = figures[0], figures[1] / images, figures[2] / images
        diverged = not (math.isfinite(mean_loss) and figures[3])
        adversarial = self._settings.adversarial
        evaluation = Evaluation(
            reward=0.0 if diverged else clean if adversarial is None else adversarial.reward(clean, attacked),
            loss=None if diverged else mean_loss,
            diverged=diverged,
            seconds=time.perf_counter() - started,
            clean_accuracy=None if diverged else clean,
            attacked_accuracy=None if diverged or adversarial is None else attacked,
            steps=steps,
        )
        return TrainedPath(evaluation, {} if diverged else trained.named)

    def course(self, genotype: Genotype) -> Course:
        """Return the path of `genotype`, about to be trained from the shared weights."""
        modules = self.supernet.path(genotype)
        touched = {id(parameter) for module in modules for parameter in module.parameters()}
        path = {name: parameter for name, parameter in self._parameters.items() if id(parameter) in touched}
        layers, method = binary_layers(modules), self._plan.method
        plain = Backpropagation(self.supernet, layers, method.start(self.supernet).to(self.device), genotype)
        return Course(modules, path, plain, self.bench.optimizer(path, layers, method))

    def _train_path(self, index: int, course: Course) -> tuple[Tensor, int]:
        """Return the mean loss and the number of steps."""
        settings, state, bench, seed = self._settings, course.plain.state, self.bench, self._plan.seed
        factor = schedule_factor(settings.schedule, index / self._plan.total_samples)
        generator = derived_generator(self.device, seed, "sample", index)
        chosen = max(1, round(len(bench.train) * settings.train_fraction))
        subset = torch.randperm(len(bench.train), generator=generator, device=self.device)[:chosen]
        bench.attacks.manual_seed(derive_seed(seed, "attack", index))
        each = bench.batches(chosen // settings.batch_size)
        most = settings.epochs * each if settings.max_steps is None else bench.batches(settings.max_steps)
        course.prepare(training=True)
        losses: list[Tensor] = []
        for epoch in range(settings.epochs):
            state.start_epoch(epoch, settings.epochs)
            batches = min(each, most - len(losses))
            with bench.training(course.plain, course.optimizer) as step:
                losses += [loss for loss, _, _ in bench.run(step, batches, lambda _: factor, generator, subset)]
            with torch.no_grad():
                state.end_epoch(self.supernet)
            if len(losses) >= most:
                break
        return torch.stack(losses).mean(), len(losses)

    def count(self, index: int, course: Course) -> tuple[Tensor, Tensor]:
        """Return how many validation images the path classifies correctly, and how many under attack (0 without attacks).

        It is run as it was trained: no network leaves here. Batch norm is re-estimated first, from training images that depend
        on `index`.
        """
        bench, seed = self.bench, self._plan.seed

        def forward(images: Tensor) -> Tensor:
            bench.beat()
            return bench.arithmetic.forward(self.supernet, images, course.plain.genotype)[1]

        norms = [part for module in course.modules for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
        for norm in norms:
            norm.track_running_stats = True
        for module in course.modules:
            module.train()
        generator = derived_generator(self.device, seed, "calibration", index)
        reestimate(norms, forward, (images for images, _ in islice(bench.epoch(generator), self._settings.calibration_batches)))
        with torch.no_grad():
            course.prepare(training=False)
            correct, settings = correct_on_device(forward, bench.validation), self._settings.adversarial
            if settings is None:
                return correct, torch.zeros_like(correct)
            generator = derived_generator(self.device, seed, "validation attack", index)
            return correct, standing(forward, scoring_attack(settings), bench.validation, generator).sum()
