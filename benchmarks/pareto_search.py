"""How much of what can be had do searches find that trade costs? `python -m benchmarks.pareto_search`.

    abandit-mini      accuracies from the table of all 729 genotypes (architecture_table.py): a search sees the validation
                      accuracy of a training seed in turn, and is judged by the mean test accuracy
    abandit-general   the made-up landscape of limited_search.py, where half of the variance is size, with noise

Costs are OPs, or OPs and packed bytes. Told is the hypervolume of what is returned, twenty architectures at most, at its true
accuracy, as a share of the hypervolume of the true Pareto set (of all genotypes; in the large space of what all searches together
saw). The reference is the mean accuracy of random architectures, and 1.1 of the span of the costs. Rivals have as many samples:

    random    of the service, with the same objectives
    one best  `abandit-plus` without objectives: the Pareto set of what it sampled, as random search tells it
    nsga-ii   Optuna's sampler, operations as categories, populations of 12 and 24: the Pareto set of what it sampled, likewise

Differences are paired by seeds; p is Wilcoxon's signed-rank test, one-sided.
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from typing import Literal

import numpy as np
import optuna
from scipy.stats import wilcoxon

from benchmarks.conditions import conditions
from benchmarks.limited_search import IMAGES, METHOD, draw, space_of, truth_of
from nas_service.arm_costs import arm_costs, format_of
from nas_service.catalogue import build_method
from nas_service.constraints import Quantity
from nas_service.search.aims import Aims, hypervolume
from nas_service.search.history import Sample
from nas_service.search.liveness import live_genotypes, places
from nas_service.search.ranking import front_of
from nas_service.search.strategy import STRATEGIES
from search_spaces.genotype import Choice, Genotype

SPACES = {"abandit-mini": 60, "abandit-general": 141}  # and how many samples are taken
COSTS: dict[str, tuple[Quantity, ...]] = {"OPs": ("ops",), "OPs and bytes": ("ops", "packed_bytes")}
SEARCHES = ("abandit-plus", "random", "one best", "nsga-ii 12", "nsga-ii 24")
KEPT, DRAWN = 20, 1000


@dataclass(frozen=True)
class Task:
    """One search."""

    space: str
    costs: str
    search: str
    seed: int


@lru_cache(maxsize=8)
def _aims(space: str, costs: str) -> Aims:
    found = arm_costs(space_of(space), format_of(IMAGES[space]), build_method(METHOD).facts.precision)
    return found.aims(space_of(space), COSTS[costs], None)


def search(task: Task) -> tuple[list[Genotype], list[Genotype]]:
    """Return what a search returns, and all that it sampled."""
    name, _, population = task.search.partition(" ")
    history = _evolved(task, int(population)) if name == "nsga-ii" else _searched(task)
    space, aims = space_of(task.space), _aims(task.space, task.costs)
    if task.search == "abandit-plus":
        made = STRATEGIES.get(task.search).from_settings(space, {"samples": len(history)}, task.seed, None, None, aims)
        returned = made.rank(history, KEPT)
    else:
        returned = front_of(space, history, KEPT, aims)
    return [entry.genotype for entry in returned], [sample.genotype for sample in history]


def _searched(task: Task) -> tuple[Sample, ...]:
    reward, _ = truth_of(task.space)
    name, aims = ("abandit-plus", None) if task.search == "one best" else (task.search, _aims(task.space, task.costs))
    settings = {"samples": SPACES[task.space]}
    made = STRATEGIES.get(name).from_settings(space_of(task.space), settings, task.seed, None, None, aims)
    history: tuple[Sample, ...] = ()
    while suggested := made.suggest(history, 1):
        history = (*history, Sample(len(history), suggested[0], reward(suggested[0], task.seed)))
    return history


def _evolved(task: Task, population: int) -> tuple[Sample, ...]:
    reward, _ = truth_of(task.space)
    space, aims = space_of(task.space), _aims(task.space, task.costs)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.NSGAIISampler(population_size=population, seed=task.seed)
    figures = range(1 + len(aims.base))
    directions: list[Literal["maximize", "minimize"]] = ["maximize" if figure == 0 else "minimize" for figure in figures]
    study = optuna.create_study(directions=directions, sampler=sampler)
    history: list[Sample] = []

    def evaluate(trial: optuna.Trial) -> Sequence[float]:
        choices = tuple(
            Choice(*keys[0][:2], trial.suggest_categorical(f"{keys[0].cell} {keys[0].edge}", [key.operation for key in keys]))
            for keys in places(space)
        )
        genotype = Genotype(space.name, choices)
        history.append(Sample(len(history), genotype, reward(genotype, task.seed)))
        return history[-1].reward, *aims.of(choices)

    study.optimize(evaluate, n_trials=SPACES[task.space])
    return tuple(history)


def _volume(space: str, costs: str, genotypes: Sequence[Genotype]) -> float:
    """Return the hypervolume at true accuracies."""
    _, truth = truth_of(space)
    points = _aims(space, costs).points(
        [[truth(each) for each in genotypes]], [each.choices for each in genotypes], _usual(space)
    )
    return hypervolume(points)


@lru_cache(maxsize=4)
def _usual(space: str) -> float:
    return statistics.fmean(truth_of(space)[1](draw(space, None, 21, number)) for number in range(DRAWN))


def _paired(mine: Sequence[float], others: Sequence[float]) -> str:
    gains = np.subtract(mine, others)
    error = float(gains.std(ddof=1)) / math.sqrt(len(gains))
    wins, p = int((gains > 0).sum()), float(wilcoxon(mine, others, alternative="greater").pvalue)
    return f"{gains.mean():+.3f} ± {error:.3f}, {wins} of {len(gains)}, p {p:.2g}"


def table(space: str, costs: str, found: dict[str, list[tuple[list[Genotype], list[Genotype]]]]) -> list[str]:
    """Return the lines of a space and its costs."""
    if space_of(space).size() <= DRAWN:
        known = list(live_genotypes(space_of(space)))
    else:
        known = list({genotype for each in found.values() for _, sampled in each for genotype in sampled})
    whole = _volume(space, costs, known)
    shares = {name: [_volume(space, costs, returned) / whole for returned, _ in each] for name, each in found.items()}
    lines = ["", f"## `{space}`, {costs}, {SPACES[space]} samples", ""]
    lines += ["| search | share of the hypervolume | architectures returned | abandit-plus over it |", "|---|---|---|---|"]
    for name, values in shares.items():
        error = statistics.stdev(values) / math.sqrt(len(values))
        returned = statistics.fmean(len(each) for each, _ in found[name])
        beside = "" if name == SEARCHES[0] else _paired(shares[SEARCHES[0]], values)
        lines.append(f"| {name} | {statistics.fmean(values):.3f} ± {error:.3f} | {returned:.1f} | {beside} |")
    return lines


def main() -> None:
    """Run all searches and print the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="searches of each kind")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.seeds)
    print(conditions())
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        for space in given.spaces:
            for costs in COSTS:
                tasks = {name: [Task(space, costs, name, seed) for seed in seeds] for name in SEARCHES}
                running = {name: [pool.submit(search, task) for task in each] for name, each in tasks.items()}
                found = {name: [one.result() for one in each] for name, each in running.items()}
                print("\n".join(table(space, costs, found)), flush=True)


if __name__ == "__main__":
    main()
