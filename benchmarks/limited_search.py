"""How well do strategies find within limits? `python -m benchmarks.limited_search`.

Limits on the packed size, from loose to one that a hundredth of the architectures keeps, on three spaces:

    abandit-mini      accuracies from the table of all 729 genotypes (architecture_table.py): a search sees the validation
                      accuracy of a training seed in turn, and is judged by the mean test accuracy
    abandit-general   a made-up landscape: every arm of every edge is worth a normal draw times the edge's importance, and half
    cp-nas            of the variance is the logarithm of the number of parameters, so that limits forbid what is wanted; noise
                      of a fifth of the standard deviation on every reward

The control is random search within the same limits, which draws until one fits, with as many samples as the strategy takes. Told
is the truth of the pick less that of the control's, in standard deviations between the architectures within the limits (1,000
drawn), over paired searches; and how many architectures, sampled or ranked, broke a limit by the network's own count.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.benches import TABLE
from benchmarks.conditions import conditions
from nas_service.arm_costs import arm_costs, format_of
from nas_service.catalogue import build_method, build_space, count_parameters
from nas_service.constraints import CountedImage
from nas_service.search.history import Sample, derived_random
from nas_service.search.limits import Limits
from nas_service.search.liveness import draw_uniform, possible_arms, region_of
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.search.table import ArchitectureTable
from nas_service.specs import Component
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import network_cost
from search_spaces.space import SearchSpace

SHARES = (1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01)
IMAGES = {
    "abandit-mini": CountedImage(channels=1, height=8, width=8, classes=10),
    "abandit-general": CountedImage(),
    "cp-nas": CountedImage(),
}
METHOD = Component(name="xnor-net")
NOISE, SIZE, DRAWN, SAMPLES = 0.2, 0.5, 1000, 60
Reward = Callable[[Genotype, int], float]


@dataclass(frozen=True)
class Task:
    """One search: a strategy in a space under the limit that a share of its architectures keeps."""

    space: str
    share: float
    strategy: str
    seed: int


@dataclass(frozen=True)
class Outcome:
    """Truth of the pick, in standard deviations above the mean within the limits, and how many architectures broke the limit."""

    truth: float
    broken: int


@lru_cache(maxsize=4)
def space_of(name: str) -> SearchSpace:
    """Return a space of the benchmark."""
    return build_space(Component(name=name, settings={"template": "shortcut"} if name == "abandit-mini" else {}))


@lru_cache(maxsize=4)
def worths_of(name: str) -> dict[Choice, float]:
    """Return what every arm of a made-up landscape is worth."""
    space, random = space_of(name), np.random.RandomState(0)
    worth: dict[Choice, float] = {}
    for cell in space.cell_types:
        for edge in space.edges:
            importance = math.exp(random.standard_normal() / 2)
            draws = random.standard_normal(len(edge.operations))
            for operation, figure in zip(edge.operations, draws - draws.mean(), strict=True):
                worth[Choice(cell.name, edge.name, operation)] = importance * figure
    return worth


@lru_cache(maxsize=4)
def truth_of(name: str) -> tuple[Reward, Callable[[Genotype], float]]:
    """Return what a search sees of a genotype with a seed, and what is true."""
    if name == "abandit-mini":
        table = ArchitectureTable.read(TABLE)
        return (
            lambda genotype, seed: float(table.validation[table.rows[genotype], seed % 2]),
            lambda genotype: float(table.test[table.rows[genotype]].mean()),
        )
    space, worth = space_of(name), worths_of(name)
    drawn = [draw(name, None, 11, number) for number in range(DRAWN)]
    arms = np.array([sum(worth[key] for key in genotype.choices) for genotype in drawn])
    sizes = np.array([math.log(count_parameters(space, genotype)) for genotype in drawn])

    arms_mean, arms_spread = float(arms.mean()), float(arms.std())
    sizes_mean, sizes_spread = float(sizes.mean()), float(sizes.std())

    def truth(genotype: Genotype) -> float:
        arm: float = (sum(worth[key] for key in genotype.choices) - arms_mean) / arms_spread
        size = (math.log(count_parameters(space, genotype)) - sizes_mean) / sizes_spread
        return math.sqrt(1 - SIZE) * arm + math.sqrt(SIZE) * size

    def reward(genotype: Genotype, seed: int) -> float:
        noise = statistics.NormalDist().inv_cdf(min(max(derived_random(seed, "noise", genotype.digest).random(), 1e-9), 1 - 1e-9))
        return 1 / (1 + math.exp(-(truth(genotype) + NOISE * noise) / 2))

    return reward, truth


def draw(name: str, limits: Limits | None, seed: int, number: int) -> Genotype:
    """Return a random architecture within limits."""
    space = space_of(name)
    return Genotype(space.name, draw_uniform(region_of(space, limits), possible_arms(space, limits), seed, ("draw", number)))


def _size(name: str, genotype: Genotype) -> int:
    precision = build_method(METHOD).facts.precision
    return network_cost(space_of(name), genotype, format_of(IMAGES[name]), precision).packed_bytes


@lru_cache(maxsize=32)
def limit_of(name: str, share: float) -> tuple[float, Limits, float, float]:
    """Return the limit that a share keeps, as such and for strategies, and mean and deviation of the truth within it."""
    most = float(np.quantile([_size(name, draw(name, None, 5, number)) for number in range(DRAWN)], share, method="lower"))
    costs = arm_costs(space_of(name), format_of(IMAGES[name]), build_method(METHOD).facts.precision)
    limits = costs.limits({"packed_bytes": most})
    within = [truth_of(name)[1](draw(name, limits, 6, number)) for number in range(DRAWN)]
    return most, limits, statistics.fmean(within), statistics.pstdev(within) or 1.0


def search(task: Task) -> Outcome:
    """Search and judge the pick."""
    most, limits, mean, spread = limit_of(task.space, task.share)
    reward, truth = truth_of(task.space)
    name, _, samples = task.strategy.partition(":")
    settings = {"samples": int(samples)} if samples else {}
    made = made_for(name, task, settings, limits)
    history: tuple[Sample, ...] = ()
    while suggested := made.suggest(history, 1):
        value = reward(suggested[0], task.seed)
        history = (*history, Sample(len(history), suggested[0], value, value, made.fidelity(len(history))))
    ranked = [entry.genotype for entry in made.rank(history, 5)]
    broken = sum(_size(task.space, genotype) > most for genotype in [*ranked, *(sample.genotype for sample in history)])
    return Outcome((truth(ranked[0]) - mean) / spread, broken)


def made_for(name: str, task: Task, settings: dict[str, Any], limits: Limits | None) -> Strategy:
    """Return a strategy for a search within limits."""
    space = space_of(task.space)
    return STRATEGIES.get(name).from_settings(space, settings, task.seed, lambda one: count_parameters(space, one), limits)


def rivals(space: str, share: float) -> dict[str, str]:
    """Return strategies, each with random search of as many samples as it takes within the limit that a share keeps."""
    built, limits = space_of(space), limit_of(space, share)[1]
    found = {}
    for name in ("abandit", "cp-nas", "evolution", "abandit-plus"):
        settings = {"samples": SAMPLES} if name in {"evolution", "abandit-plus"} else {}
        strategy = STRATEGIES.get(name).from_settings(built, settings, 0, None, limits)
        found[f"{name}:{SAMPLES}" if settings else name] = f"random:{strategy.total}"
    return found


def main() -> None:
    """Search and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", nargs="*", choices=IMAGES, default=list(IMAGES))
    parser.add_argument("--searches", type=int, default=20)
    parser.add_argument("--first", type=int, default=500, help="seed of the first search")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.searches)
    print(f"{conditions()}; {arguments.searches} searches, seeds from {arguments.first}\n")
    broken = 0
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for space in arguments.spaces:
            names = [f"{name.partition(':')[0]} ({rival.partition(':')[2]})" for name, rival in rivals(space, 1.0).items()]
            print("| " + " | ".join([f"{space}: within the limit", *names]) + " |\n|" + "---|" * (len(names) + 1))
            for share in SHARES:
                cells = [f"{100 * share:g} %"]
                for name, rival in rivals(space, share).items():
                    tasks = [[Task(space, share, each, seed) for seed in seeds] for each in (name, rival)]
                    own, others = (list(pool.map(search, row, chunksize=4)) for row in tasks)
                    broken += sum(outcome.broken for outcome in (*own, *others))
                    cells.append(_told([mine.truth - other.truth for mine, other in zip(own, others, strict=True)]))
                print("| " + " | ".join(cells) + " |", flush=True)
            print()
    print(f"Architectures that broke a limit: {broken}")


def _told(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):+.2f} ± {statistics.stdev(values) / math.sqrt(len(values)):.2f}"


if __name__ == "__main__":
    main()
