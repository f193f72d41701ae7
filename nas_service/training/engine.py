"""Training of one network with one method: epochs in, reports out. Knows neither Ray nor a database.

Every epoch draws from streams derived from (seed, epoch), so a training that is resumed from a checkpoint repeats the
uninterrupted one bit for bit on a CPU.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Method, Phase
from nas_service.binarization.sign import sign
from nas_service.data.dataset import Augmentation, ImageDataset
from nas_service.data.loader import ResidentPart, epoch_batches
from nas_service.training.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from nas_service.training.evaluation import count_correct, evaluating
from nas_service.training.optimization import RuledOptimizer, ruled_parameters
from nas_service.training.recipes import Recipe, schedule_factor
from nas_service.training.report import EpochReport
from nas_service.training.seeding import derived_generator, global_seed
from nas_service.training.step import Backpropagation
from nas_service.training.taps import Taps
from search_spaces.genotype import Genotype
from search_spaces.network import Network
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class CandidatePlan:
    """What is trained, and how."""

    space: SearchSpace
    genotype: Genotype
    method: Method
    recipe: Recipe
    seed: int


class CandidateTrainer:
    """A network of one genotype, trained with one method and one seed."""

    def __init__(self, plan: CandidatePlan, dataset: ImageDataset, device: torch.device) -> None:
        """Build the network with weights that depend on the plan's seed alone and copy the data to `device`.

        Raises:
            ValueError: If the method needs a teacher.
        """
        self.recipe = plan.recipe
        self._method = plan.method
        self._seed = plan.seed
        self._device = device
        self._augmentation = dataset.augmentation if plan.recipe.augment else Augmentation()
        self._train = ResidentPart.of(dataset.train, device)
        self._validation = ResidentPart.of(dataset.validation, device)
        with global_seed(plan.seed, "network"):
            self.network = Network(plan.space, plan.genotype, plan.method, dataset.image_format).to(device)
            self._state = plan.method.start(self.network).to(device)
        if self._state.needs_teacher:
            message = f"{type(plan.method).__name__} needs a teacher, and this trainer has none"
            raise ValueError(message)
        self._layers = binary_layers([self.network])
        self._phases = plan.method.phases(plan.recipe.epochs)
        self._epoch = 0
        self._optimizer = self._start_phase(self._phases[0])

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self._epoch

    def fit(self) -> Iterator[EpochReport]:
        """Train the epochs that are left, yielding after each."""
        while self._epoch < self.recipe.epochs:
            yield self._run_epoch()

    def checkpoint(self) -> Checkpoint:
        """Return everything that a resumed training needs."""
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"state.{name}": tensor for name, tensor in self._state.state_dict().items()}
        tensors |= optimizer_tensors(self._optimizer.inner, self._optimizer.names)
        return Checkpoint(tensors, {"epoch": self._epoch})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint` of the same training."""
        self._epoch = int(checkpoint.facts["epoch"])
        # The phase of the last epoch that was done: where another begins, the next epoch starts it, as ever.
        self._optimizer = self._start_phase(self._phase_at(max(0, self._epoch - 1))[0])
        self.network.load_state_dict(_named(checkpoint.tensors, "network."))
        self._state.load_state_dict(_named(checkpoint.tensors, "state."))
        restore_optimizer(self._optimizer.inner, self._optimizer.names, checkpoint.tensors)

    def _phase_at(self, epoch: int) -> tuple[Phase, int]:
        first = 0
        for phase in self._phases:
            if epoch < first + phase.epochs:
                return phase, first
            first += phase.epochs
        message = f"the phases of {type(self._method).__name__} end before epoch {epoch}"
        raise ValueError(message)

    def _start_phase(self, phase: Phase) -> RuledOptimizer:
        self._state.start_phase(phase, self.network)
        named = {name: parameter for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        return RuledOptimizer(
            ruled_parameters(named, self._layers, self._method),
            self.recipe.optimizer,
            self.recipe.learning_rate * phase.lr_multiplier,
            self.recipe.weight_decay if phase.decays else 0.0,
        )

    def _run_epoch(self) -> EpochReport:
        started = time.perf_counter()
        phase, first = self._phase_at(self._epoch)
        if self._epoch == first and first > 0:
            self._optimizer = self._start_phase(phase)
        before = [sign(layer.weight) for layer in self._layers]
        with global_seed(self._seed, "epoch", self._epoch):
            loss, correct, seen = self._train_epoch(phase, self._epoch - first)
            with torch.no_grad():
                self._state.end_epoch(self.network)
        flips = sum((old != sign(layer.weight)).sum() for old, layer in zip(before, self._layers, strict=True))
        with evaluating(self.network):
            validated = count_correct(self.network, self._validation) / len(self._validation)
        self._epoch += 1
        return EpochReport(
            epoch=self._epoch - 1,
            phase=phase.name,
            train_loss=loss,
            train_accuracy=correct / seen,
            validation_accuracy=validated,
            flip_ratio=float(flips) / max(1, sum(old.numel() for old in before)),
            seconds=time.perf_counter() - started,
            extra=self._state.metrics(),
        )

    def _train_epoch(self, phase: Phase, epoch: int) -> tuple[float, int, int]:
        recipe = self.recipe
        generator = derived_generator(self._device, self._seed, "epoch", self._epoch)
        steps = max(1, len(self._train) // recipe.batch_size)
        steps = min(steps, recipe.max_steps_per_epoch or steps)
        batches = epoch_batches(self._train, recipe.batch_size, self._augmentation, generator)
        self.network.train()
        self._state.start_epoch(self._epoch, recipe.epochs)
        losses: list[Tensor] = []
        correct = torch.zeros((), dtype=torch.int64, device=self._device)
        seen = 0
        with ExitStack() as stack:
            taps = stack.enter_context(Taps(self.network, self._state.taps)).outputs
            backpropagate = Backpropagation(
                self.network, self._layers, self._state, label_smoothing=recipe.label_smoothing, taps=taps
            )
            for step, (images, labels) in zip(range(steps), batches, strict=False):
                loss, logits = backpropagate(images, labels)
                self._optimizer.step(_factor(recipe, phase, epoch + step / steps))
                self._state.end_step(self._layers)
                losses.append(loss)
                correct += (logits.argmax(1) == labels).sum()
                seen += len(labels)
        return float(torch.stack(losses).mean()), int(correct), seen


def _factor(recipe: Recipe, phase: Phase, progress_epochs: float) -> float:
    if progress_epochs < recipe.warmup_epochs:
        return progress_epochs / recipe.warmup_epochs
    span = max(1e-9, phase.epochs - recipe.warmup_epochs)
    return schedule_factor(recipe.schedule, min(1.0, (progress_epochs - recipe.warmup_epochs) / span))


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
