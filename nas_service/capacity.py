"""Capacity: what the place where drivers run can give."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Capacity:
    """What the place where drivers run can give.

    Attributes:
        cpus: Processors in all.
        gpus: GPUs in all.
        node_cpus: Processors of the machine that has most; an actor or trial runs on one machine. None: all are on one.
        node_gpus: The same of GPUs.
    """

    cpus: float
    gpus: float
    node_cpus: float | None = None
    node_gpus: float | None = None
