"""Does a search beat random search at equal compute? `python -m benchmarks.equal_compute`.

Everything is counted in optimizer steps: a whole training of `abandit-mini` on digits takes 96 (12 epochs of 8), a short one 8.
The strategy searches for real with trainings of its own: short ones are trained anew for each search, with a seed of their own;
whole ones are looked up in the table of all 729 genotypes (benchmarks/architecture_table.py), as are those of its rivals:

    random      as many whole trainings of random genotypes as the steps allow, the best by validation accuracy
    largest     the same among three times as many random genotypes, of which the third with most parameters is trained

Of the table's two training seeds a search sees one, in turn. Told are the share of genotypes whose mean test accuracy is lower
(percentile; half of the truth is the seed that was seen, for all alike) and the test accuracy with the seed that was not seen,
beside the mean of that over all genotypes within 10 % of the pick's OPs. Every search has its own random rivals: differences are
paired, p is Wilcoxon's, one-sided.

Short trainings are kept line by line, so that a run that was cut off goes on.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy.stats import wilcoxon

from benchmarks.architecture_table import METHOD, RECIPE, SPACE, TABLE
from benchmarks.conditions import conditions
from nas_service.catalogue import build_dataset, build_method, build_space, build_strategy
from nas_service.recipes.recipe import ShortScore
from nas_service.search.history import Sample, derived_random
from nas_service.search.table import ArchitectureTable
from nas_service.specs import Component
from nas_service.training.candidate.own import OwnPlan, OwnTrainer
from search_spaces.genotype import Genotype

STEPS = 96  # of a whole training
LIKE = 0.1  # share of OPs that architectures of like cost differ by at most
STRATEGY = "screen-and-train"


@dataclass(frozen=True)
class Task:
    """One search.

    Attributes:
        seed: Of the strategy, of short trainings and of rivals.
        trainings: Budget, in whole trainings.
        kept: Folder of short trainings.
        screening: What the strategy is told of short trainings: the truth, chance, or the opposite ("upside-down").
    """

    seed: int
    trainings: int
    kept: Path
    screening: str = "true"


@dataclass(frozen=True)
class Found:
    """What a search or a rival picked.

    Attributes:
        percentile: Share of genotypes with a lower mean test accuracy.
        unseen: Test accuracy with the training seed that was not seen.
        over_like: That, less the mean of genotypes of like OPs.
        steps: That it took.
    """

    percentile: float
    unseen: float
    over_like: float
    steps: int


def judge(table: ArchitectureTable, genotype: Genotype, seen: int, steps: int) -> Found:
    """Look a pick up; `seen` is the training seed that the search saw."""
    row, means, unseen = table.rows[genotype], table.test.mean(1), table.test[:, 1 - seen]
    ops = table.costs["ops"]
    like = np.abs(ops / ops[row] - 1) <= LIKE
    like[row] = False
    return Found(float((means < means[row]).mean()), float(unseen[row]), float(unseen[row] - unseen[like].mean()), steps)


class ShortTrainings:
    """The short trainings of one seed: real ones, each kept when it is done."""

    def __init__(self, task: Task, fidelity: Callable[[int], float]) -> None:
        """Read what is kept."""
        self._task, self._file = task, task.kept / f"{task.seed}.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._known = {entry["digest"]: entry for entry in map(json.loads, lines)}
        dataset = build_dataset(Component(name="digits")).load(Path()).without_test()
        plan = OwnPlan(
            build_space(SPACE), build_method(METHOD), RECIPE, ShortScore.TRAIN_LIKELIHOOD, training_seed(task.seed), fidelity
        )
        self._trainer = OwnTrainer(plan, dataset, torch.device("cpu"))

    def of(self, index: int, genotype: Genotype) -> tuple[float, int]:
        """Return reward and steps."""
        if genotype.digest not in self._known:
            done = self._trainer.evaluate(index, genotype).evaluation
            entry = {"digest": genotype.digest, "reward": done.reward, "steps": done.steps, "seconds": done.seconds}
            with self._file.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            self._known[genotype.digest] = entry
        entry = self._known[genotype.digest]
        return self._told(genotype, entry["reward"]), entry["steps"]

    def _told(self, genotype: Genotype, reward: float) -> float:
        """Return what the strategy is told of a reward."""
        if self._task.screening == "upside-down":
            return 1 - reward
        return derived_random(self._task.seed, "chance", genotype.digest).random() if self._task.screening == "chance" else reward


def training_seed(seed: int) -> int:
    """Return a seed for short trainings that is none of the table's."""
    return 1_000 + seed


def search(task: Task) -> Found:
    """Search as the service does, a sample at a time."""
    torch.set_num_threads(1)
    table, seen = ArchitectureTable.read(TABLE), task.seed % 2
    strategy = build_strategy(Component(name=STRATEGY, settings={"trainings": task.trainings}), build_space(SPACE), task.seed)
    short = ShortTrainings(task, strategy.fidelity)
    history: tuple[Sample, ...] = ()
    steps = 0
    while suggested := strategy.suggest(history, 1):
        index, (genotype,) = len(history), suggested
        fidelity = strategy.fidelity(index)
        if fidelity < 1:
            reward, taken = short.of(index, genotype)
        else:
            reward, taken = float(table.validation[table.rows[genotype], seen]), STEPS
        steps += taken
        history = (*history, Sample(index, genotype, reward, None, fidelity))
    return judge(table, strategy.rank(history, 1)[0].genotype, seen, steps)


def rival(table: ArchitectureTable, task: Task, *, of_the_largest: bool) -> Found:
    """Return the best of as many whole trainings as the budget allows, of random genotypes or of the largest third of them."""
    count, seen = task.trainings, task.seed % 2
    drawn = derived_random(task.seed, "rival", of_the_largest, count)
    keys = [drawn.random() for _ in table.genotypes]
    chosen = sorted(range(len(keys)), key=keys.__getitem__)[: 3 * count if of_the_largest else count]
    if of_the_largest:
        parameters = table.costs["parameters"]
        chosen = sorted(chosen, key=lambda row: -int(parameters[row]))[:count]
    best = max(chosen, key=lambda row: float(table.validation[row, seen]))
    return judge(table, table.genotypes[best], seen, count * STEPS)


def _told(values: Sequence[float], scale: float = 1.0, digits: int = 3) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{scale * statistics.fmean(values):.{digits}f} ± {scale * error:.{digits}f}"


def report(found: dict[str, list[Found]]) -> list[str]:
    """Return a row a rival: figures, and what the strategy has over it, paired."""
    own = found[STRATEGY]
    rows = []
    for name, entries in found.items():
        over = [mine.percentile - other.percentile for mine, other in zip(own, entries, strict=True)]
        wins = sum(value > 0 for value in over)
        paired = (
            ""
            if entries is own
            else f"{_told(over)}, {wins} of {len(over)}, p {wilcoxon(over, alternative='greater').pvalue:.2g}"
        )
        cells = [
            name,
            f"{statistics.fmean(entry.steps for entry in entries):.0f}",
            _told([entry.percentile for entry in entries]),
            f"{min(entry.percentile for entry in entries):.3f}",
            _told([entry.unseen for entry in entries], 100, 1),
            _told([entry.over_like for entry in entries], 100, 1),
            paired,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def main() -> None:
    """Search, compare and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--searches", type=int, default=40)
    parser.add_argument("--first", type=int, default=100, help="seed of the first search")
    parser.add_argument("--trainings", type=int, nargs="*", default=[8, 12, 18], help="budgets, in whole trainings")
    parser.add_argument(
        "--screening",
        choices=["true", "chance", "upside-down"],
        default="true",
        help="what short trainings are said to have reached",
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=Path(".nas/equal-compute"), help="folder of short trainings")
    arguments = parser.parse_args()
    arguments.kept.mkdir(parents=True, exist_ok=True)
    table = ArchitectureTable.read(TABLE)
    print(f"{conditions()}; {arguments.searches} searches, seeds from {arguments.first}; screening: {arguments.screening}\n")
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for trainings in arguments.trainings:
            seeds = range(arguments.first, arguments.first + arguments.searches)
            tasks = [Task(seed, trainings, arguments.kept, arguments.screening) for seed in seeds]
            found = {
                STRATEGY: list(pool.map(search, tasks)),
                "random": [rival(table, task, of_the_largest=False) for task in tasks],
                "largest": [rival(table, task, of_the_largest=True) for task in tasks],
            }
            print(f"Budget: {trainings} whole trainings, {trainings * STEPS} steps\n")
            columns = ["search", "steps", "percentile", "lowest", "test, unseen seed, %", "over like OPs, points"]
            print("| " + " | ".join([*columns, "screen-and-train over it, percentile"]) + " |\n|" + "---|" * 7)
            print("\n".join(report(found)), flush=True)
            print()


if __name__ == "__main__":
    main()
