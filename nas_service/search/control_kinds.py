"""Kinds of controls: what clients and views know of them, apart from how they are drawn."""

from enum import StrEnum


class Control(StrEnum):
    """Which kind of control an architecture is."""

    UNIFORM = "uniform"
    LIKE_COST = "like-cost"
