"""Training of one network with one method: epochs in, reports out. Knows neither Ray nor a database.

Every epoch draws from streams derived from (seed, epoch), so a training that is resumed from a checkpoint repeats the
uninterrupted one bit for bit on a CPU.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import Method, MethodState, Pass, Phase
from nas_service.binarization.network import binary_network
from nas_service.binarization.taps import Taps
from nas_service.data.dataset import Augmentation, ImageDataset
from nas_service.recipes.recipe import Recipe, schedule_factor
from nas_service.reports import Beat, EpochReport, no_beat
from nas_service.training.candidate.phases import REAL_WEIGHTS, phase_at, plan_phases
from nas_service.training.scoring.batch_norm import batch_norms, reestimate
from nas_service.training.scoring.counting import beating, count_correct, evaluating
from nas_service.training.scoring.latent_figures import bimodality, flip_ratio, sign_balance, signs
from nas_service.training.state.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from nas_service.training.state.seeding import derive_seed, derived_generator, global_seed
from nas_service.training.step.backpropagation import Backpropagation, Objective, Teacher
from nas_service.training.step.cp_loss import CpLoss
from nas_service.training.step.optimizer import RuledOptimizer
from nas_service.training.step.replayed import TrainingStep
from nas_service.training.step.workbench import Workbench
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack, Network
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class CandidatePlan:
    """What is trained, and how."""

    space: SearchSpace
    genotype: Genotype
    method: Method
    recipe: Recipe
    seed: int

    @property
    def needs_teacher(self) -> bool:
        """Whether the method or the recipe wants a full-precision network beside it."""
        return self.method.facts.needs_teacher or self.recipe.distillation > 0

    def digest(self, lesson: str, device: str) -> str:
        """Return the SHA-256 of everything that the trained network depends on, in hexadecimal, but for a teacher.

        Args:
            lesson: Digest of all that it is shown (`ImageDataset.lesson`).
            device: Type of what computes, such as cpu or cuda, by which accelerations are chosen that the recipe leaves open.
        """
        method = [type(self.method).__qualname__, self.method.settings.model_dump(mode="json"), self.method.revision]
        facts = [
            repr(self.space),
            self.genotype.to_dict(),
            method,
            self.recipe.model_dump(mode="json"),
            self.seed,
            lesson,
            device,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class CandidateTrainer:
    """A network of one genotype, trained with one method and one seed."""

    def __init__(
        self,
        plan: CandidatePlan,
        dataset: ImageDataset,
        device: torch.device,
        teacher: CellStack | None = None,
        *,
        beat: Beat = no_beat,
    ) -> None:
        """Build the network with weights that depend on the plan's seed alone and copy the data to `device`.

        Args:
            plan: What is trained.
            dataset: Its training and validation parts are used.
            device: Where.
            teacher: A trained network for the same images and classes, if the plan needs one.
            beat: Called after every training step and before every batch that is scored.

        Raises:
            ValueError: If the plan needs a teacher and there is none, or the recipe does not fit the method or the device.
        """
        self.recipe = plan.recipe
        self._method = plan.method
        self._seed = plan.seed
        self._phases = plan_phases(plan.method, plan.recipe)
        if not plan.recipe.augment:
            dataset = replace(dataset, augmentation=Augmentation())
        self.bench = Workbench(plan.method, plan.recipe, dataset, device, beat)
        if plan.needs_teacher and teacher is None:
            raise ValueError(f"{type(plan.method).__name__} with this recipe needs a teacher, and none was given")
        self._teacher = teacher.to(device).eval() if plan.needs_teacher and teacher is not None else None
        with global_seed(plan.seed, "network"):
            self._live = binary_network(plan.space, plan.genotype, plan.method, dataset.image_format).to(device)
            self._state = plan.method.start(self._live).to(device)
        given = plan.recipe.cp_loss
        self._cp_loss = None if given is None else CpLoss(given, self._live.classifier)
        self.bench.lay_out(self._live)
        self._ema: AveragedModel | None = None
        self._layers = binary_layers([self._live])
        self._epoch = self._steps = 0
        self._optimizer = self._start_phase(self._phases[0])

    @property
    def network(self) -> Network:
        """The network that is scored and exported: the moving average where the recipe has one."""
        network = self._live if self._ema is None else self._ema.module
        assert isinstance(network, Network)  # noqa: S101 - for the type checker; a copy of the live one
        return network

    @property
    def epoch(self) -> int:
        """Number of epochs done."""
        return self._epoch

    def fit(self) -> Iterator[EpochReport]:
        """Train the epochs that are left, yielding after each."""
        while self._epoch < self.recipe.epochs:
            yield self._run_epoch()

    @property
    def steps(self) -> int:
        """Optimizer steps so far, of the passes over the training images."""
        return self._steps

    def reestimate_norms(self, most: int) -> None:
        """Give the network that is scored the statistics of its own weights, from so many batches of training images; 0: none."""
        if most == 0:
            return
        generator = derived_generator(self.bench.device, self._seed, "batch norm", self._epoch)
        with evaluating(self.network):
            norms = batch_norms(self.network)
            for norm in norms:
                norm.train()
            images = (images for images, _ in islice(self.bench.epoch(generator), most))
            reestimate(norms, beating(self.network, self.bench.beat), images)

    def checkpoint(self) -> Checkpoint:
        """Return everything that a resumed training needs."""
        tensors = {f"network.{name}": tensor for name, tensor in self._live.state_dict().items()}
        tensors |= {f"state.{name}": tensor for name, tensor in self._state.state_dict().items()}
        if self._cp_loss is not None:
            tensors |= {f"cp_loss.{name}": tensor for name, tensor in self._cp_loss.state_dict().items()}
        if self._ema is not None:
            tensors |= {f"average.{name}": tensor for name, tensor in self._ema.state_dict().items()}
        tensors |= optimizer_tensors("optimizer.", self._optimizer.inner, self._optimizer.names)
        for name, optimizer in self._state.optimizers().items():
            tensors |= optimizer_tensors(f"adversary.{name}.", optimizer)
        return Checkpoint(tensors, {"epoch": self._epoch, "steps": self._steps})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Continue from `checkpoint` of the same training."""
        self._epoch, self._steps = int(checkpoint.facts["epoch"]), int(checkpoint.facts.get("steps", 0))
        # The phase of the last epoch that was done: where another begins, the next epoch starts it, as ever.
        self._optimizer = self._start_phase(phase_at(self._phases, max(0, self._epoch - 1))[0])
        self._live.load_state_dict(_named(checkpoint.tensors, "network."))
        self._state.load_state_dict(_named(checkpoint.tensors, "state."))
        if self._cp_loss is not None:
            self._cp_loss.load_state_dict(_named(checkpoint.tensors, "cp_loss."))
        if self._ema is not None:
            self._ema.load_state_dict(_named(checkpoint.tensors, "average."))
        restore_optimizer("optimizer.", self._optimizer.inner, checkpoint.tensors, self._optimizer.names)
        for name, optimizer in self._state.optimizers().items():
            restore_optimizer(f"adversary.{name}.", optimizer, checkpoint.tensors)

    def _start_phase(self, phase: Phase) -> RuledOptimizer:
        """Begin a phase: the method's preparations, a fresh optimizer, a fresh average."""
        real = phase.name == REAL_WEIGHTS
        self._hooks = self._state if self._state.in_real_stage or not real else MethodState()
        for layer in self._layers:
            layer.real_weights = real
        self._hooks.start_phase(phase, self._live)
        if self.recipe.ema_decay:
            average = get_ema_multi_avg_fn(self.recipe.ema_decay)
            self._ema = AveragedModel(self._live, multi_avg_fn=average, use_buffers=True)
        named = {name: parameter for name, parameter in self._live.named_parameters() if parameter.requires_grad}
        return self.bench.optimizer(named, self._layers, self._method, phase, in_real_stage=real)

    def _run_epoch(self) -> EpochReport:
        started = time.perf_counter()
        phase, first = phase_at(self._phases, self._epoch)
        if self._epoch == first and first > 0:
            self._optimizer = self._start_phase(phase)
        before = signs(self._layers)
        with global_seed(self._seed, "epoch", self._epoch):
            loss, correct, seen = self._train_epoch(phase, self._epoch - first)
            with torch.no_grad():
                self._hooks.end_epoch(self._live)
            if self._ema is not None:
                self._ema.update_parameters(self._live)  # what the method changed at the end: pruned filters, say
            self.reestimate_norms(self.recipe.norm_batches)
        after = signs(self._layers)
        with evaluating(self.network):
            forward = beating(self.network, self.bench.beat)
            validated = count_correct(forward, self.bench.validation) / len(self.bench.validation)
        self._epoch += 1
        return EpochReport(
            epoch=self._epoch - 1,
            phase=phase.name,
            train_loss=loss,
            train_accuracy=correct / seen,
            validation_accuracy=validated,
            flip_ratio=flip_ratio(before, after),
            sign_balance=sign_balance(after),
            bimodality=bimodality(self._layers),
            seconds=time.perf_counter() - started,
            extra=self._hooks.metrics(),
        )

    def _train_epoch(self, phase: Phase, epoch: int) -> tuple[float, int, int]:
        generator = derived_generator(self.bench.device, self._seed, "epoch", self._epoch)
        self._live.train()
        self._hooks.start_epoch(self._epoch, self.recipe.epochs)
        figures = [self._run_pass(phase, epoch, entry, generator) for entry in self._hooks.passes]
        return figures[0]

    def _run_pass(self, phase: Phase, epoch: int, entry: Pass, generator: torch.Generator) -> tuple[float, int, int]:
        recipe, whole = self.recipe, len(self.bench.train) // self.recipe.batch_size
        batches = self.bench.batches(min(whole, recipe.max_steps_per_epoch or whole))

        def factor(number: int) -> float:
            return _factor(recipe, phase, epoch + number / batches, first=phase is self._phases[0])

        losses: list[Tensor] = []
        correct = torch.zeros((), dtype=torch.int64, device=self.bench.device)
        seen = 0
        with self.training(entry) as step:
            for loss, logits, labels in self.bench.run(step, batches, factor, generator):
                if self._ema is not None:
                    self._ema.update_parameters(self._live)
                self._steps += 1
                losses.append(loss)
                correct += (logits.argmax(1) == labels).sum()
                seen += len(labels)
        return float(torch.stack(losses).mean()), int(correct), seen

    @contextmanager
    def training(self, entry: Pass) -> Iterator[TrainingStep]:
        """Yield the step of a pass: it listens where the method wants to, and trains only what the pass trains."""
        recipe = self.recipe
        objective = Objective(recipe.loss, recipe.label_smoothing, recipe.distillation, recipe.temperature)
        state = self._hooks if entry.trains is None else MethodState()
        cp_loss = self._cp_loss if entry.trains is None else None
        fixed = [] if entry.trains is None else _outside(self._live, entry.trains)
        with ExitStack() as stack:
            taps = stack.enter_context(Taps(self._live, state.taps)).outputs
            teacher = None
            if self._teacher is not None and (recipe.distillation or state.taps):
                teacher = Teacher(self._teacher, stack.enter_context(Taps(self._teacher, state.taps)).outputs)
            for parameter in fixed:
                parameter.requires_grad_(False)  # noqa: FBT003 - torch's own signature
            try:
                self.bench.attacks.manual_seed(derive_seed(self._seed, "attack", self._epoch, entry.name))
                plain = Backpropagation(self._live, self._layers, state, None, objective, taps, teacher, cp_loss=cp_loss)
                yield stack.enter_context(self.bench.training(plain, self._optimizer))
            finally:
                for parameter in fixed:
                    parameter.requires_grad_(True)  # noqa: FBT003 - as above


def _outside(network: CellStack, kinds: tuple[type[torch.nn.Module], ...]) -> list[torch.nn.Parameter]:
    inside = {
        id(parameter)
        for module in network.modules()
        if isinstance(module, kinds)
        for parameter in module.parameters(recurse=False)
    }
    return [parameter for parameter in network.parameters() if parameter.requires_grad and id(parameter) not in inside]


def _factor(recipe: Recipe, phase: Phase, progress_epochs: float, *, first: bool) -> float:
    """Return the factor on a phase's peak rate after so many of its epochs; only the `first` phase warms up."""
    warmup_epochs = recipe.warmup_epochs if first else 0.0
    if progress_epochs < warmup_epochs:
        return progress_epochs / warmup_epochs
    progress = min(1.0, (progress_epochs - warmup_epochs) / (phase.epochs - warmup_epochs))
    return schedule_factor(recipe.schedule, progress, recipe.milestones)


def _named(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
