"""What the figures of arms mean: their unit, their centre and their bounds, as a strategy says. Plain Python."""

from dataclasses import dataclass
from enum import StrEnum


class ArmUnit(StrEnum):
    """What the mean of an arm is counted in."""

    ACCURACY = "accuracy"
    CHILD_PARENT_SCORE = "child-parent-score"
    RANK_EFFECT = "rank-effect"
    SHORT_SCORE = "short-score"


class ArmBounds(StrEnum):
    """What the bounds of an arm are."""

    CONFIDENCE = "confidence"
    TWO_SD = "two-sd"
    NONE = "none"


@dataclass(frozen=True)
class ArmFacts:
    """The meaning of a strategy's arm table.

    Attributes:
        unit: Of means and bounds.
        centre: The mean of an arm that is like all others, where the unit has one.
        bounds: What `lower` and `upper` are.
        higher_is_better: Whether the strategy wants a large mean.
        meaning: One sentence for people.
    """

    unit: ArmUnit
    centre: float | None
    bounds: ArmBounds
    higher_is_better: bool
    meaning: str


MEAN_REWARDS = ArmFacts(
    ArmUnit.ACCURACY,
    centre=None,
    bounds=ArmBounds.CONFIDENCE,
    higher_is_better=True,
    meaning="Mean validation accuracy of the samples that held the arm, with the bandit's confidence bounds.",
)
