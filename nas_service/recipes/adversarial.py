"""Settings of attacks: how networks are trained against one, and how their robustness is measured. No torch.

Every eps is in pixel units: pixels lie in [0, 1] and the normalisation is inside the network, so 8/255 is 0.0314.
"""

from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator

from search_spaces.given import GivenModel

DEFAULT_EPS = 8 / 255


class AttackName(StrEnum):
    """Attacks to train against."""

    FGSM = "fgsm"  # one step from a random start: the "fast" training of ABanditNAS
    PGD = "pgd"
    FREE = "free"  # every batch is replayed, and each gradient serves weights and perturbation


_STEPS = {AttackName.FGSM: 1, AttackName.PGD: 7, AttackName.FREE: 4}
_STEP_SHARES = {AttackName.FGSM: 1.25, AttackName.PGD: 0.25, AttackName.FREE: 1.0}


class AdversarialTraining(GivenModel):
    """Training on perturbed images: min over weights of the loss at x + delta, |delta| <= eps, x + delta in [0, 1].

    References:
        fgsm: Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, algorithm 1, after Wong et al.,
        "Fast is better than free", ICLR 2020, arXiv 2001.03994 (step 1.25 eps). pgd: Madry et al., ICLR 2018, arXiv 1706.06083
        (7 steps of eps / 4). free: Shafahi et al., NeurIPS 2019, arXiv 1904.12843 (step eps).
    """

    attack: AttackName = Field(
        AttackName.FGSM, strict=False, description="fgsm (one step from a random start), pgd, or free (replayed batches)."
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

    @field_validator("steps")
    @classmethod
    def _steps_that_do_something(cls, given: int | None, info: ValidationInfo) -> int | None:
        eps = info.data.get("eps")
        if given == 0 and eps:
            raise ValueError(f"1 or more with eps {eps:g}; eps 0 is no attack")
        if info.data.get("attack") is AttackName.FGSM and given not in {None, 0, 1}:
            raise ValueError("1: fgsm takes one step; attack pgd takes more")
        return given

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


class RobustnessSettings(GivenModel):
    """How the robustness of a trained candidate is measured; the suite of attacks is in `robustness.py`."""

    eps: float = Field(DEFAULT_EPS, ge=0, le=1, description="Largest change of a pixel, pixels being in [0, 1]; 8/255.")
    restarts: int = Field(3, ge=1, le=100, description="Random starts of an attack: an image counts if it stands all of them.")
    images: int | None = Field(
        1000, ge=1, le=1_000_000_000, description="At most so many of the test images, always the same; null: all."
    )
    transfer: bool = Field(
        True,  # noqa: FBT003 - pydantic's default
        description="Whether a full-precision network of the same architecture is trained too, to attack from (black box).",
    )
