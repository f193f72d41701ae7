"""One training step, the same for a path of a supernet and for a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import MethodState, Step
from nas_service.recipes.recipe import TaskLoss
from nas_service.training.step.arithmetic import Arithmetic
from nas_service.training.step.cp_loss import CpLoss
from nas_service.training.step.optimizer import RuledOptimizer
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack


@dataclass(frozen=True)
class Objective:
    """What the labels and a teacher ask of the logits.

    Attributes:
        loss: Of the labels.
        label_smoothing: Of the cross entropy.
        distillation: Share of the teacher's part, in [0, 1].
        temperature: T of the teacher's part: T^2 times the cross entropy between the softmaxes of logits / T.
    """

    loss: TaskLoss = TaskLoss.CROSS_ENTROPY
    label_smoothing: float = 0.0
    distillation: float = 0.0
    temperature: float = 1.0

    def __call__(self, logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
        """Return the loss, a scalar; logits (N, classes), labels (N,)."""
        if self.distillation == 0:
            return self._hard(logits, labels)
        assert teacher_logits is not None  # noqa: S101 - for the type checker; the trainer refuses to start without a teacher
        temperature = self.temperature
        soft = F.cross_entropy(logits / temperature, (teacher_logits / temperature).softmax(1)) * temperature**2
        if self.distillation == 1:
            return soft
        return (1 - self.distillation) * self._hard(logits, labels) + self.distillation * soft

    def _hard(self, logits: Tensor, labels: Tensor) -> Tensor:
        if self.loss is TaskLoss.CROSS_ENTROPY:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        classes = torch.arange(logits.shape[1], device=labels.device)  # F.one_hot waits for the labels
        targets = (labels.unsqueeze(1) == classes) * 2.0 - 1
        return (1 - targets * logits).clamp_min(0).square().mean()


@dataclass(frozen=True)
class Teacher:
    """A trained network in evaluation whose outputs the student sees; its weights never change.

    Attributes:
        network: The teacher.
        taps: Where the outputs of its modules appear, under the names that the student's have.
    """

    network: CellStack
    taps: Mapping[str, Tensor] = field(default_factory=dict)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of pixels (N, C, H, W)."""
        logits: Tensor = self.network.classifier(self.network.features(images))
        return logits


@dataclass(frozen=True)
class Backpropagation:
    """Runs forward, the method's adversary and losses, and backward; the gradients stay on the parameters.

    Attributes:
        network: A supernet, or a network.
        layers: The binary layers on the way.
        state: The method's hooks.
        genotype: The path of a supernet; None for a network.
        objective: The task's loss.
        taps: Where the outputs of the modules appear that the method listens to.
        teacher: A full-precision network, if the method or the objective wants one.
        arithmetic: How the network is run; hooks and losses see float32 whatever it is.
        cp_loss: What the recipe adds to all of that, if anything.
    """

    network: CellStack
    layers: Sequence[BinaryConv2d]
    state: MethodState
    genotype: Genotype | None = None
    objective: Objective = field(default_factory=Objective)
    taps: Mapping[str, Tensor] = field(default_factory=dict)
    teacher: Teacher | None = None
    arithmetic: Arithmetic = field(default_factory=Arithmetic)
    cp_loss: CpLoss | None = None

    def logits(self, images: Tensor) -> Tensor:
        """Return logits (N, classes) of pixels (N, C, H, W) in the network's present mode: what an attack differentiates."""
        return self.arithmetic.forward(self.network, images, self.genotype)[1]

    def step(
        self, images: Tensor, labels: Tensor, optimizer: RuledOptimizer, factor: float, clean: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Train on a batch, in as many turns as the rules have; return loss and logits of the first, detached.

        Args:
            images: Pixels in [0, 1], (N, C, H, W).
            labels: Class indices, (N,).
            optimizer: Of the parameters that are trained.
            factor: On its peak learning rate.
            clean: What a teacher sees where `images` are attacked ones.
        """
        teacher_logits = None if self.teacher is None else self.teacher(images if clean is None else clean)
        first, *others = optimizer.turns
        loss, logits = self._backward(images, labels, teacher_logits, adversary=True)
        optimizer.step(factor, first)
        for turn in others:
            self._backward(images, labels, teacher_logits, adversary=False)
            optimizer.step(factor, turn)
        self.state.end_step(self.layers)
        if self.cp_loss is not None:
            self.cp_loss.end_step()
        return loss, logits

    def _backward(
        self, images: Tensor, labels: Tensor, teacher_logits: Tensor | None, *, adversary: bool
    ) -> tuple[Tensor, Tensor]:
        features, logits = self.arithmetic.forward(self.network, images, self.genotype)
        step = Step(
            layers=self.layers,
            images=images,
            labels=labels,
            features=features,
            logits=logits,
            taps={name: output.float() for name, output in self.taps.items()} if self.arithmetic.bf16 else self.taps,
            teacher_taps={} if self.teacher is None else self.teacher.taps,
            teacher_logits=teacher_logits,
        )
        if adversary:
            self.state.adversary_step(step)
        loss = self.objective(logits, labels, teacher_logits)
        extras = list(self.state.losses(step).values())
        if self.cp_loss is not None:
            extras += self.cp_loss.losses(step).values()
        for extra in extras:
            loss = loss + extra
        loss.backward()
        return loss.detach(), logits.detach()
