"""What each optimisation of the search engine brings: `python -m benchmarks.search_engine`.

One process, one device. Every rung of the ladder is the one before it with one switch more; on every sampled path all rungs
take turns, round by round, on the same batch, so that they see the same machine. First come the steps that set a path up
(memory, warm-up, recording, compiling what is new), timed apart; then the steps that count. The mean loss over the paths of
the step after the set-up says whether the rungs still train alike: they do, but for rounding and the signs it flips in bf16.
The floor is that of `memory_floor.py`. Scoring is not part of a step: `benchmarks/robust_search.py` measures whole searches.
"""

import argparse
import json
import statistics
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.conditions import conditions, device_name, pick_device
from benchmarks.memory_floor import copy_bandwidth, step_bytes, timed
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.acceleration import PLAIN, Acceleration, ActivationType
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.training.state.path_weights import PathWeights
from nas_service.training.step.replayed import WARM_UP_STEPS, TrainingStep
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.genotype import Genotype

SETUP_STEPS = WARM_UP_STEPS + 1  # the next one records
RUNG_PLAIN, FUSED, GRAPH, REGIONS = "plain", "fused optimizer", "CUDA graph", "compiled regions"
LADDER: tuple[tuple[str, dict[str, Any]], ...] = (
    (RUNG_PLAIN, {}),
    (FUSED, {"fused_optimizer": True}),
    ("shared sign", {"shared_sign": True}),
    ("channels_last", {"channels_last": True}),
    ("bf16", {"precision": "bf16"}),
    (GRAPH, {"cuda_graph": True}),
    (REGIONS, {"compile": "regions", "shared_sign": False}),
)


@dataclass
class Rung:
    """One acceleration and what was measured with it."""

    name: str
    trainer: SupernetTrainer
    setup_s: list[float] = field(default_factory=list)  # of each path
    step_s: list[float] = field(default_factory=list)  # of each path, the median of its rounds
    loss: list[float] = field(default_factory=list)  # of each path, in the step after its set-up

    @property
    def bytes_per_value(self) -> int:
        """Of an activation."""
        return 2 if self.trainer.bench.acceleration.precision is ActivationType.BF16 else 4


@dataclass(frozen=True)
class RungFigures:
    """What the times of a rung say.

    Attributes:
        images_per_s: Of a step, the median over the paths.
        lowest: Of the paths.
        highest: Of the paths.
        to_plain: How much faster a step is than the plain one that took turns with it, the median over the paths.
        of_floor: Share in [0, 1] of the speed that memory traffic allows, the median over the paths.
        first_setup_s: Of the first path.
        later_setup_s: Of a later path, the median; None if there was one path.
        loss: Mean over the paths, of the step after the set-up.
    """

    images_per_s: float
    lowest: float
    highest: float
    to_plain: float
    of_floor: float
    first_setup_s: float
    later_setup_s: float | None
    loss: float


def figures(rung: Rung, plain: Rung, batch_size: int, floor: Sequence[float]) -> RungFigures:
    """Return the figures of a rung.

    Args:
        rung: After its measurement.
        plain: The plain one, measured in turns with it.
        batch_size: Images in a step.
        floor: Least seconds of a step of each path, with the rung's bytes of an activation.
    """
    rates = sorted(batch_size / taken for taken in rung.step_s)
    return RungFigures(
        images_per_s=statistics.median(rates),
        lowest=rates[0],
        highest=rates[-1],
        to_plain=_ratio(plain, rung),
        of_floor=statistics.median(least / taken for least, taken in zip(floor, rung.step_s, strict=True)),
        first_setup_s=rung.setup_s[0],
        later_setup_s=statistics.median(rung.setup_s[1:]) if len(rung.setup_s) > 1 else None,
        loss=statistics.fmean(rung.loss),
    )


def switched(names: Collection[str]) -> Acceleration:
    """Return the plain acceleration with the switches of the named rungs."""
    switches: dict[str, Any] = PLAIN.model_dump()
    for name, more in LADDER:
        switches |= more if name in names else {}
    return Acceleration.model_validate(switches)


def ladder(names: list[str]) -> list[tuple[str, Acceleration]]:
    """Return the named rungs, each with all switches of those before it.

    Raises:
        SystemExit: If there is no rung of a name.
    """
    known = [name for name, _ in LADDER]
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"no rung is called {', '.join(unknown)}; there are: {', '.join(known)}")
    taken = [name for name in known if name == RUNG_PLAIN or name in names]
    return [(name, switched(taken[: number + 1])) for number, name in enumerate(taken)]


def build_rung(name: str, acceleration: Acceleration, plan: SupernetPlan, dataset: ImageDataset, device: torch.device) -> Rung:
    """Return a rung with a supernet of its own: that of the plan, but for the acceleration."""
    settings = plan.settings.model_copy(update={"acceleration": acceleration})
    return Rung(name, SupernetTrainer(replace(plan, settings=settings), dataset, device))


def first_batch(dataset: ImageDataset, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the first training images, pixels (N, C, H, W) in [0, 1], and their labels (N,)."""
    images = torch.tensor(dataset.train.images[:size]).to(device, torch.float32) / 255
    return images, torch.tensor(dataset.train.labels[:size]).to(device)


@contextmanager
def training_step(trainer: SupernetTrainer, genotype: Genotype) -> Iterator[TrainingStep]:
    """Yield what trains the path of `genotype`; the shared weights are put back after the block."""
    course = trainer.course(genotype)
    before = PathWeights.of(course.path)
    course.plain.state.start_epoch(0, 1)
    course.prepare(training=True)
    try:
        with trainer.bench.training(course.plain, course.optimizer) as step:
            yield step
    finally:
        trainer.load(before.named)


def measure(rungs: list[Rung], genotype: Genotype, batch: tuple[Tensor, Tensor], rounds: int, steps: int) -> None:
    """Set the path up on every rung, then let the rungs take turns."""
    device = rungs[0].trainer.device
    times: list[list[float]] = [[] for _ in rungs]
    with ExitStack() as stack:
        trained = [stack.enter_context(training_step(rung.trainer, genotype)) for rung in rungs]
        for rung, step in zip(rungs, trained, strict=True):
            rung.setup_s.append(timed(device, partial(_repeat, step, batch, SETUP_STEPS)))
            rung.loss.append(float(step(*batch, 1.0)[0]))
        for _ in range(rounds):
            for taken, step in zip(times, trained, strict=True):
                taken.append(timed(device, partial(_repeat, step, batch, steps)) / steps)
    for rung, taken in zip(rungs, times, strict=True):
        rung.step_s.append(statistics.median(taken))


def _repeat(step: TrainingStep, batch: tuple[Tensor, Tensor], count: int) -> None:
    for _ in range(count):
        step(*batch, 1.0)


def table(rungs: list[Rung], batch_size: int, floors: dict[int, list[float]]) -> str:
    """Return the ladder as Markdown.

    Args:
        rungs: After their measurement.
        batch_size: Images in a step.
        floors: Least seconds of a step of each path, by bytes of an activation.
    """
    columns = ["with", "images/s", "of the paths", "to plain", "to the row above", "of the floor"]
    columns += ["set-up, first path s", "later paths s", "mean loss"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for number, rung in enumerate(rungs):
        found = figures(rung, rungs[0], batch_size, floors[rung.bytes_per_value])
        cells = [
            f"{'' if number == 0 else '+ '}{rung.name}",
            f"{found.images_per_s:.0f}",
            f"{found.lowest:.0f} to {found.highest:.0f}",
            f"{found.to_plain:.2f}",
            f"{_ratio(rungs[max(0, number - 1)], rung):.2f}",
            f"{100 * found.of_floor:.1f} %",
            f"{found.first_setup_s:.2f}",
            "-" if found.later_setup_s is None else f"{found.later_setup_s:.2f}",
            f"{found.loss:.4f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _ratio(slow: Rung, fast: Rung) -> float:
    """Return the median over the paths of how much faster a step is."""
    return statistics.median(before / after for before, after in zip(slow.step_s, fast.step_s, strict=True))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="abandit-general")
    parser.add_argument("--space-settings", default="{}", help='JSON, as {"template": "plain"}')
    parser.add_argument("--method", default="xnor-net")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-root", default=".nas/data", help="where the data lie (digits are bundled)")
    parser.add_argument("--paths", type=int, default=4, help="sampled at random")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2, help="steps of a round")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--rungs", nargs="*", help="names of the rungs; all that the device has by default")
    return parser.parse_args()


def _rungs(arguments: argparse.Namespace, device: torch.device, dataset: ImageDataset) -> list[Rung]:
    """Return the rungs that were asked for, or all that the device has, each with a supernet of its own."""
    space = build_space(Component(name=arguments.space, settings=json.loads(arguments.space_settings)))
    method = build_method(Component(name=arguments.method))
    plan = SupernetPlan(space, method, EvaluationSettings(batch_size=arguments.batch_size), 0, 1)
    all_names = [name for name, _ in LADDER if device.type == "cuda" or name != GRAPH]
    named = ladder(all_names if arguments.rungs is None else arguments.rungs)
    return [build_rung(name, acceleration, plan, dataset, device) for name, acceleration in named]


def main() -> None:
    """Measure and print the table."""
    arguments = _arguments()
    device = pick_device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    dataset = open_dataset(Component(name=arguments.dataset), Settings(data_root=Path(arguments.data_root))).without_test()
    rungs = _rungs(arguments, device, dataset)
    images, labels = first_batch(dataset, arguments.batch_size, device)
    space = build_space(Component(name=arguments.space))
    genotypes = build_strategy(Component(name="random"), space, 0).suggest((), arguments.paths)
    bandwidth = copy_bandwidth(device)
    print(
        f"{conditions()}; {device_name(device)}; {arguments.space} {arguments.space_settings}, {arguments.method}, "
        f"{arguments.dataset}, batch {len(labels)}, {len(genotypes)} paths, {arguments.rounds} rounds of {arguments.steps} "
        f"steps, interleaved; copies at {bandwidth / 1e9:.1f} GB/s\n",
        flush=True,
    )
    floors: dict[int, list[float]] = {2: [], 4: []}
    for genotype in genotypes:
        for size, floor in floors.items():
            floor.append(step_bytes(rungs[0].trainer.supernet, genotype, images, size) / bandwidth)
        measure(rungs, genotype, (images, labels), arguments.rounds, arguments.steps)
    print(table(rungs, len(labels), floors))
    for size, floor in floors.items():
        print(f"\nfloor with {size} bytes a value: {len(labels) / statistics.median(floor):.0f} images/s")


if __name__ == "__main__":
    main()
