"""The supernet engine: every switch alone and all together against the eager step, by the functions of `search_engine.py`."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.gpu_report.images import synthetic
from benchmarks.gpu_report.parts import Attempts, Order, Row, Tell
from benchmarks.memory_floor import copy_bandwidth, step_bytes
from benchmarks.search_engine import (
    FUSED,
    GRAPH,
    LADDER,
    REGIONS,
    RUNG_PLAIN,
    Rung,
    RungFigures,
    build_rung,
    figures,
    first_batch,
    measure,
    switched,
)
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.specs import Component
from nas_service.training.supernet.trainer import SupernetPlan

EAGER = "eager"
_SWITCHES = tuple(name for name, _ in LADDER if name != RUNG_PLAIN)
_ALONE = tuple(name for name in _SWITCHES if name not in {GRAPH, REGIONS})
# What the service uses comes first; regions take up to a minute to compile.
QUICK = {"together": (*_ALONE, GRAPH), GRAPH: (FUSED, GRAPH), f"all but the {GRAPH}": _ALONE} | {name: (name,) for name in _ALONE}
COMPILED = {f"together, {REGIONS}": _SWITCHES, REGIONS: (REGIONS,)}


@dataclass(frozen=True)
class _Sizes:
    space: str
    batches: tuple[int, ...]
    paths: int
    rounds: int
    steps: int  # of a round

    @classmethod
    def of(cls, order: Order) -> "_Sizes":
        return cls("tiny", (8, 4), 1, 2, 1) if order.smoke else cls("abandit", (512, 128), 2, 5, 3)

    def variants(self) -> list[tuple[str, tuple[str, ...], int]]:
        """Return name, switches and batch size of all that is compared with the eager step, in order."""
        return [(name, names, size) for group in (QUICK, COMPILED) for size in self.batches for name, names in group.items()]


def planned(order: Order) -> list[str]:
    """Return the names of the rows."""
    sizes = _Sizes.of(order)
    eager = [_row_name(EAGER, size) for size in sizes.batches]
    return eager + [_row_name(name, size) for name, _, size in sizes.variants()]


def _row_name(name: str, batch_size: int) -> str:
    return f"batch {batch_size}, {name}"


class _Bench:
    """What all rungs are measured on."""

    def __init__(self, order: Order, sizes: _Sizes) -> None:
        """Draw the paths and time a copy."""
        space = build_space(Component(name=sizes.space))
        method = build_method(Component(name="xnor-net"))
        self.sizes, self.device = sizes, order.place
        self.dataset = synthetic(2 * max(sizes.batches))
        self.plan = SupernetPlan(space, method, EvaluationSettings(batch_size=min(sizes.batches)), 0, 1)
        self.genotypes = build_strategy(Component(name="random"), space, 0).suggest((), sizes.paths)
        self.bandwidth = copy_bandwidth(self.device)
        self.eager = self.rung(EAGER, ())
        self.rungs: dict[str, Rung] = {}
        self.pooled = {size: _Measured(Rung(EAGER, self.eager.trainer)) for size in sizes.batches}  # beside all others

    def rung(self, name: str, switches: tuple[str, ...]) -> Rung:
        return build_rung(name, switched(switches), self.plan, self.dataset, self.device)

    def compare(self, name: str, switches: tuple[str, ...], batch_size: int) -> Iterator[Row]:
        """Let the eager step and the named one take turns, yielding the rows of both after every path."""
        if name not in self.rungs:
            self.rungs[name] = self.rung(name, switches)
        eager, fast = _Measured(Rung(EAGER, self.eager.trainer)), _Measured(Rung(name, self.rungs[name].trainer))
        batch, pooled = first_batch(self.dataset, batch_size, self.device), self.pooled[batch_size]
        for genotype in self.genotypes:
            measure([eager.rung, fast.rung], genotype, batch, self.sizes.rounds, self.sizes.steps)
            for measured in (eager, fast):
                least = step_bytes(self.eager.trainer.supernet, genotype, batch[0], measured.rung.bytes_per_value)
                measured.floor.append(least / self.bandwidth)
            pooled.add_last(eager)
            yield pooled.row(pooled, batch_size)
            yield fast.row(eager, batch_size)


@dataclass(frozen=True)
class _Measured:
    """A rung and the least seconds of a step on each of its paths."""

    rung: Rung
    floor: list[float] = field(default_factory=list)

    def add_last(self, other: "_Measured") -> None:
        """Add what was measured on the other's last path."""
        self.rung.setup_s.append(other.rung.setup_s[-1])
        self.rung.step_s.append(other.rung.step_s[-1])
        self.rung.loss.append(other.rung.loss[-1])
        self.floor.append(other.floor[-1])

    def row(self, eager: "_Measured", batch_size: int) -> Row:
        """Return the figures."""
        found = figures(self.rung, eager.rung, batch_size, self.floor)
        return _told(_row_name(self.rung.name, batch_size), found, batch_size / statistics.median(self.floor))


def _told(name: str, found: RungFigures, floor_images_per_s: float) -> Row:
    return Row(
        name,
        {
            "images/s": found.images_per_s,
            "lowest of the paths": found.lowest,
            "highest": found.highest,
            "to eager": found.to_plain,
            "floor, images/s": floor_images_per_s,
            "of floor, %": 100 * found.of_floor,
            "set-up of the first path, s": found.first_setup_s,
            "of a later one, s": found.later_setup_s,
            "loss": found.loss,
        },
    )


def run(order: Order, tell: Tell) -> None:
    """Compare every variant with the eager step; on a CPU those that take a GPU, or minutes, are left out.

    Raises:
        RuntimeError: If variants failed; the others are told.
    """
    sizes = _Sizes.of(order)
    bench, attempts = _Bench(order, sizes), Attempts()
    on_cpu = bench.device.type == "cpu"
    for name, switches, batch_size in sizes.variants():
        if on_cpu and (GRAPH in switches or REGIONS in switches):
            continue
        with attempts.of(_row_name(name, batch_size)):
            for row in bench.compare(name, switches, batch_size):
                tell(row)
    attempts.finish()
