"""What kinds of controls there are: a name that clients know, too, who draw none."""

from enum import StrEnum


class Control(StrEnum):
    """Which kind of control an architecture is."""

    UNIFORM = "uniform"
    LIKE_COST = "like-cost"
