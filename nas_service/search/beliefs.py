"""How far a model believes what is known of architectures beside their arms: the slopes of its covariates."""

from typing import NamedTuple


class Belief(NamedTuple):
    """The slope of one covariate: rank scores that a standard deviation of it is worth.

    Attributes:
        model: Of which samples it is told.
        covariate: What is known.
        expected: The slope before there were samples; its standard deviation was 1.
        slope: Now; 0: it is not believed, negative: the opposite is.
        deviation: Standard deviation of the slope now.
    """

    model: str
    covariate: str
    expected: float
    slope: float
    deviation: float
