"""Settings of attacks: how networks are trained against one, and how their robustness is measured. No torch.

Every eps is in pixel units: pixels lie in [0, 1] and the normalisation is inside the network, so 8/255 is 0.0314.
"""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_EPS = 8 / 255


class AttackName(StrEnum):
    """Attacks to train against."""

    FGSM = "fgsm"  # one step from a random start: the "fast" training of ABanditNAS
    PGD = "pgd"
    FREE = "free"  # every batch is replayed, and each gradient serves weights and perturbation


_STEPS = {AttackName.FGSM: 1, AttackName.PGD: 7, AttackName.FREE: 4}
_STEP_SHARES = {AttackName.FGSM: 1.25, AttackName.PGD: 0.25, AttackName.FREE: 1.0}


class AdversarialTraining(BaseModel):
    """Training on perturbed images: min over weights of the loss at x + delta, |delta| <= eps, x + delta in [0, 1].

    References:
        fgsm: Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, algorithm 1, after Wong et al.,
        "Fast is better than free", ICLR 2020, arXiv 2001.03994 (step 1.25 eps). pgd: Madry et al., ICLR 2018, arXiv 1706.06083
        (7 steps of eps / 4). free: Shafahi et al., NeurIPS 2019, arXiv 1904.12843 (step eps).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    attack: AttackName = Field(
        AttackName.FGSM, description="fgsm (one step from a random start), pgd, or free (replayed batches)."
    )
    eps: float = Field(DEFAULT_EPS, ge=0, le=1, description="Largest change of a pixel, pixels being in [0, 1]; 8/255.")
    steps: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="Gradient steps (pgd) or replays of a batch (free); null: 1 for fgsm, 7 for pgd, 4 for free.",
    )
    step_size: float | None = Field(
        None, gt=0, le=2, description="Of one step; null: 1.25 eps for fgsm, eps / 4 for pgd, eps for free."
    )

    @model_validator(mode="after")
    def _steps_that_do_something(self) -> Self:
        if self.steps == 0 and self.eps > 0:
            raise ValueError(f"steps is 0 with eps {self.eps:g}; allowed: 1 or more, or eps 0 for no attack")
        if self.attack is AttackName.FGSM and self.steps not in {None, 0, 1}:
            raise ValueError(f"steps is {self.steps} with fgsm, which takes one; allowed: 1, or attack pgd")
        return self

    @property
    def resolved_steps(self) -> int:
        """Number of steps, or of replays."""
        return _STEPS[self.attack] if self.steps is None else self.steps

    @property
    def resolved_step_size(self) -> float:
        """Size of a step, in pixel units."""
        return _STEP_SHARES[self.attack] * self.eps if self.step_size is None else self.step_size

    @property
    def replays(self) -> int:
        """How often an optimizer step is taken on one batch: more than once in free training only."""
        return max(1, self.resolved_steps) if self.attack is AttackName.FREE and self.eps > 0 else 1


class AdversarialSearch(AdversarialTraining):
    """As `AdversarialTraining`, with what the reward of a sample is."""

    reward_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of a sample's reward that is its accuracy under attack (of pgd: the same steps; else one-step FGSM); "
        "the rest is the clean one.",
    )

    def reward(self, clean: float, attacked: float) -> float:
        """Return the reward of a sample from its two validation accuracies."""
        return (1 - self.reward_share) * clean + self.reward_share * attacked


class RobustnessSettings(BaseModel):
    """How the robustness of a trained candidate is measured; the suite of attacks is in `robustness.py`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    eps: float = Field(DEFAULT_EPS, ge=0, le=1, description="Largest change of a pixel, pixels being in [0, 1]; 8/255.")
    restarts: int = Field(3, ge=1, le=100, description="Random starts of an attack: an image counts if it stands all of them.")
    images: int | None = Field(1000, ge=1, description="So many of the test images, always the same; null: all.")
    transfer: bool = Field(
        True,  # noqa: FBT003 - pydantic's default
        description="Whether a full-precision network of the same architecture is trained too, to attack from (black box).",
    )
