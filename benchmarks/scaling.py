"""Samples per second as waves grow: `python -m benchmarks.scaling`.

Three tables, each with real Ray and the service's own evaluator (workers/ray_evaluator.py), a wave of W samples on W actors:

1. sleeping actors, W = 1 to 64: an actor sleeps instead of training and hands back as many weights as a path of the searched
   space has, so that what is measured is dispatch, transport, merging and the barrier at the end of a wave. Once every sample
   takes the same time, and once it is uniform within 25 % of it: then a wave lasts as long as its longest sample, on average
   mean * (0.75 + 0.5 W / (W + 1)).
2. real training on the cores there are, W actors of one thread each.
3. quality at equal total samples as W grows: searches on the table of all genotypes of `abandit-mini`, 141 samples each. That is
   what a strategy loses by seeing results later; what shared weights lose by being merged less often is not in it.

Efficiency is samples per second over W times those of W = 1 (with equal times), in the same run.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray
import torch

from benchmarks.architecture_table import SPACE
from benchmarks.benches import TABLE
from benchmarks.conditions import conditions
from nas_service.catalogue import build_dataset, build_space, build_strategy
from nas_service.search.loop import Evaluation, Evaluator, run_search
from nas_service.search.table import ArchitectureTable, TableEvaluator
from nas_service.specs import Component, SearchSpec
from nas_service.training.state.flat_weights import FlatWeights
from search_spaces.genotype import Genotype
from workers.delivery import Delivery
from workers.ray_evaluator import RayEvaluator

PARTS = ["sleeping", "training", "quality"]
SLEEP_S = 1.0
SPREAD = 0.25
UNEVEN = 1_000_000  # index of a sample
PATH_WEIGHTS = 300_000  # float32: about a path of `abandit` with 16 channels on digits
SHARED_WEIGHTS = 4_000_000


class SleepingWorker:
    """Has the methods of `SupernetWorker` and sleeps; the time of a sample depends on its index alone."""

    def __init__(self, spec: dict[str, Any], dataset: None) -> None:
        """Need nothing."""

    def weights(self) -> FlatWeights:
        """Return zeros in the size of a supernet."""
        return _zeros("shared", SHARED_WEIGHTS)

    def load(self, weights: FlatWeights) -> None:
        """Unpack the weights, as a trainer would."""
        weights.split()

    def evaluate(self, index: int, genotype: Genotype) -> tuple[Evaluation, FlatWeights]:
        """Sleep and return weights in the size of a path; samples from `UNEVEN` on take uneven times."""
        del genotype
        drawn = random.Random(index).uniform(-SPREAD, SPREAD) if index >= UNEVEN else 0.0  # noqa: S311 - not for secrets
        time.sleep(SLEEP_S * (1 + drawn))
        return Evaluation(0.5, 1.0, diverged=False, seconds=SLEEP_S), _zeros("path", PATH_WEIGHTS)


def _zeros(name: str, count: int) -> FlatWeights:
    return FlatWeights((name,), ((count,),), np.zeros(count, np.float32))


def _rate(evaluator: Evaluator, genotypes: Sequence[Genotype], wave: int, waves: int, first: int = 0) -> float:
    """Return samples per second over so many waves, after one that is not counted; indices count up from `first`."""
    evaluator.evaluate(first, [genotypes[0]] * wave)
    started = time.perf_counter()
    for number in range(waves):
        chosen = [genotypes[(number * wave + offset) % len(genotypes)] for offset in range(wave)]
        evaluator.evaluate(first + (number + 1) * wave, chosen)
    return wave * waves / (time.perf_counter() - started)


def _spec(space: str, **fields: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    return SearchSpec.model_validate({"space": space, "dataset": "digits", **fields})


def _genotypes(space: str, count: int) -> list[Genotype]:
    return list(build_strategy(Component(name="random"), build_space(Component(name=space)), 0).suggest((), count))


def sleeping(most: int, waves: int) -> None:
    """Print the table of sleeping actors."""
    print("| W | equal times: samples/s | efficiency | times within 25 %: samples/s | efficiency | barrier alone |")
    print("|---|---|---|---|---|---|")
    alone = 0.0
    genotypes = _genotypes("abandit", 64)
    wave = 1
    while wave <= most:
        cells = []
        evaluator = RayEvaluator(_spec("abandit"), None, wave, lambda: None, SleepingWorker)  # type: ignore[arg-type]  # no dataset
        for index in (0, UNEVEN):
            rate = _rate(evaluator, genotypes, wave, waves, index)
            alone = alone or rate
            cells += [f"{rate:.2f}", f"{rate / (wave * alone):.3f}"]
        del evaluator
        longest = 1 - SPREAD + 2 * SPREAD * wave / (wave + 1)  # expected largest of W uniform times
        print(f"| {wave} | {' | '.join(cells)} | {1 / longest:.3f} |", flush=True)
        wave *= 2


class Unwatched:
    """A watch that nobody keeps."""

    def check(self) -> None:
        """Let it go on."""

    def mark(self, took_s: float | None = None, *, known: bool | None = None) -> None:
        """Count nothing."""

    def holds(self, cpus: float, gpus: float) -> None:
        """Count nothing."""

    def wait_for(self, reason: str) -> None:
        """Say what is missing."""
        print(f"waits for {reason}", flush=True)

    def go_on(self) -> None:
        """Say nothing."""


def training(most: int, waves: int) -> None:
    """Print the table of real training."""
    print("| W | samples/s | efficiency |")
    print("|---|---|---|")
    dataset = build_dataset(Component(name="digits")).load(Path()).without_test()
    first = 0.0
    for wave in range(1, most + 1):
        evaluator = RayEvaluator(_spec("abandit-general"), Delivery(dataset), wave, Unwatched())
        rate = _rate(evaluator, _genotypes("abandit-general", wave * waves), wave, waves)
        first = first or rate
        print(f"| {wave} | {rate:.3f} | {rate / (wave * first):.3f} |", flush=True)
        del evaluator


def _percentile(table: ArchitectureTable, genotype: Genotype) -> float:
    """Return the share of all genotypes whose mean test accuracy is lower, half of the equal ones included."""
    accuracies = table.test.mean(1)
    own = accuracies[table.rows[genotype]]
    return float((accuracies < own).mean() + (accuracies == own).mean() / 2)


def quality(waves: Sequence[int], seeds: int, path: Path) -> None:
    """Print where the pick of a search stands among all genotypes, by the size of its waves."""
    table, space = ArchitectureTable.read(path), build_space(SPACE)
    print("| strategy | W | percentile of the pick, mean of seeds | standard error |")
    print("|---|---|---|---|")
    for strategy in ("abandit", "abandit-plus", "evolution"):
        for wave in waves:
            found = []
            for seed in range(seeds):
                chosen = build_strategy(Component(name=strategy), space, seed)
                evaluator = TableEvaluator(table, space, seed % table.validation.shape[1])
                history = run_search(chosen, evaluator, (), wave, lambda _: None)
                found.append(_percentile(table, chosen.rank(history, 1)[0].genotype))
            error = statistics.stdev(found) / len(found) ** 0.5
            print(f"| {strategy} | {wave} | {statistics.fmean(found):.4f} | {error:.4f} |", flush=True)


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--most", type=int, default=64, help="Largest W of the sleeping actors.")
    parser.add_argument("--cores", type=int, default=2, help="Largest W of real training.")
    parser.add_argument("--waves", type=int, default=5, help="Waves that are measured.")
    parser.add_argument("--seeds", type=int, default=40, help="Searches a row of the quality table.")
    parser.add_argument("--table", type=Path, default=TABLE, help="From benchmarks.architecture_table.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{conditions()}\n")
    if {"sleeping", "training"} & set(given.parts):
        ray.init(address="local", num_cpus=given.most, object_store_memory=1_000_000_000, include_dashboard=False)
    if "sleeping" in given.parts:
        sleeping(given.most, given.waves)
        print()
    if "training" in given.parts:
        training(given.cores, given.waves)
        print()
    ray.shutdown()
    if "quality" in given.parts:
        quality((1, 2, 4, 8, 16), given.seeds, given.table)


if __name__ == "__main__":
    main()
