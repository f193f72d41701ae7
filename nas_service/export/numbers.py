"""Numbers that a network's C may have: those of its bundle, or others. No torch."""

from enum import StrEnum


class Activations(StrEnum):
    """Numbers between a network's layers."""

    FLOAT32 = "float32"
    INT16 = "int16"


class Weights(StrEnum):
    """Weights of the stem and the classifier, which are no signs."""

    FLOAT32 = "float32"
    INT8 = "int8"
