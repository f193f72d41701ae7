"""Training steps on perturbed images, around the plain step."""

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from nas_service.recipes.adversarial import AdversarialTraining, AttackName
from nas_service.training.scoring.attacks import Attack, fast_fgsm
from nas_service.training.step.backpropagation import Backpropagation
from nas_service.training.step.optimizer import RuledOptimizer


class BatchStep(Protocol):
    """What a training step does with a batch."""

    def step(self, images: Tensor, labels: Tensor, optimizer: RuledOptimizer, factor: float) -> tuple[Tensor, Tensor]:
        """Train on a batch; return loss and logits, detached. Arguments as of `Backpropagation.step`."""
        ...


@dataclass(frozen=True)
class AttackedStep:
    """Perturb the batch against the weights as they are, in training mode, then take the plain step on what came out.

    The attack's forward passes also move batch norm's running statistics, as in the published training loops.
    """

    plain: Backpropagation
    attack: Attack
    generator: torch.Generator

    def step(self, images: Tensor, labels: Tensor, optimizer: RuledOptimizer, factor: float) -> tuple[Tensor, Tensor]:
        """Train on the perturbed batch; arguments as of `Backpropagation.step`."""
        perturbed = self.attack.perturb(self.plain.logits, images, labels, self.generator)
        return self.plain.step(perturbed, labels, optimizer, factor, images)


@dataclass
class FreeStep:
    """Free adversarial training: `replays` optimizer steps on one batch, whose gradients also move the perturbation.

        delta <- clip(delta + step_size sign(dL/dx), -eps, eps), x + delta in [0, 1]

    delta is kept from batch to batch of an epoch, starting at 0, in one tensor, so that a step can be recorded and replayed.
    Where a method steps in turns, dL/dx is the sum over the turns.

    References:
        Shafahi et al., "Adversarial Training for Free!", NeurIPS 2019, arXiv 1904.12843, algorithm 1.
    """

    plain: Backpropagation
    settings: AdversarialTraining
    delta: Tensor | None = field(default=None)

    def step(self, images: Tensor, labels: Tensor, optimizer: RuledOptimizer, factor: float) -> tuple[Tensor, Tensor]:
        """Replay the batch; return the mean loss and the logits of the last replay."""
        eps, step_size = self.settings.eps, self.settings.resolved_step_size
        if self.delta is None:
            self.delta = torch.zeros_like(images)
        losses = []
        logits = images  # for the type checker; there is at least one replay
        for _ in range(self.settings.replays):
            perturbed = (images + self.delta).clamp(0, 1).requires_grad_()
            loss, logits = self.plain.step(perturbed, labels, optimizer, factor, images)
            assert perturbed.grad is not None  # noqa: S101 - for the type checker; a leaf of the backward pass
            self.delta.add_(step_size * perturbed.grad.sign()).clamp_(-eps, eps)
            losses.append(loss)
        return torch.stack(losses).mean(), logits


def scoring_attack(settings: AdversarialTraining) -> Attack:
    """Return what a sample is scored under: the attack it was trained with, one-step FGSM for free training."""
    if settings.attack is AttackName.FREE:
        return fast_fgsm(settings.eps)
    return Attack(settings.eps, settings.resolved_steps, settings.resolved_step_size)


def batch_step(plain: Backpropagation, settings: AdversarialTraining | None, generator: torch.Generator) -> BatchStep:
    """Return the step that the settings ask for: the plain one without an attack or with eps 0."""
    if settings is None or settings.eps == 0:
        return plain
    if settings.attack is AttackName.FREE:
        return FreeStep(plain, settings)
    return AttackedStep(plain, scoring_attack(settings), generator)
