"""Search strategies against each other: `python -m benchmarks.strategy_bench`.

Five places, many paired seeds (the same landscape, noise and seed for every strategy), no training:

- `synthetic`: landscapes over ABanditNAS's 60 edges of 9 operations (benchmarks/landscapes.py), a new one for every seed;
- `table`: all 729 genotypes of `abandit-mini`, trained on digits (benchmarks/architecture_table.py). A search sees the validation
  accuracy of one of the two training seeds; what counts is the mean test accuracy;
- `synthetic-renamed`, `table-renamed`: the same with operations renamed on every edge (benchmarks/renamed.py), so that what an
  operation is worth on one edge says nothing of others;
- `unlike`: 60 edges of 9 operations where no operation is alike on two edges (`landscapes.Unlike`).

Noise of three sizes is added to what a search sees, in units of accuracy in `unlike`, elsewhere of the standard deviation between
architectures; the table's figures have that of their training on top. Strategies get about 50, 100 and 140 samples: N = 53, 97,
141, what the published rule takes with T = 1, 2, 3; CP-NAS, which has no coverage, takes 44, 88, 132, and is given the child's
accuracy alone (beta_P = 0), for a table has no parents.

Each search is judged twice: by the strategy's own pick (`own`), and by the pick of one posterior that is given every strategy's
samples alike (`posterior`), so that a strategy's sampling and its pick can be told apart. Percentile: share of 20,000 random
architectures (synthetic) or of all 729 (table) that are worse. Regret: best accuracy known minus that of the pick, in points.

The landscapes are drawn from the kind of model that `abandit-plus` and the posterior pick assume (operations, arms and pairs,
under a monotone curve), so `synthetic` flatters both; the table was made by training and flatters nobody.

With `--wave` so many samples are suggested at once, as by so many workers.

`--contenders abandit-plus abandit-plus-abandoning --rounds 3` compares abandit-plus with itself when it abandons arms that the
best architecture holds with a probability below 2 %; it then ends early once one architecture is left. Draws from the posterior
take most of its time, so it is left out unless asked for.

Landscapes 0 to 9,999 were for tuning `abandit-plus`; those reported begin at 10,000. The table was not used for tuning.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.architecture_table import SPACE as TABLE_SPACE
from benchmarks.benches import TABLE
from benchmarks.conditions import conditions
from benchmarks.landscapes import ENCODING, Landscape, Unlike
from benchmarks.landscapes import SPACE as SYNTHETIC_SPACE
from benchmarks.renamed import Names, RenamedEvaluator
from nas_service.catalogue import build_space
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Evaluator, run_search
from nas_service.search.picks import posterior_pick
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.search.table import ArchitectureTable, TableEvaluator, gaussian
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

ROUNDS = (1, 2, 3)  # T
NOISES = {
    "synthetic": (0.1, 0.3, 1.0),
    "table": (0.0, 0.3, 1.0),
    "synthetic-renamed": (0.1, 0.3, 1.0),
    "table-renamed": (0.0, 0.3, 1.0),
    "unlike": (0.0, 0.01, 0.03),
}
FIRST_SEED = 10_000
OURS = "abandit-plus"
LANDSCAPES: dict[str, type[Landscape]] = {"synthetic": Landscape, "unlike": Unlike}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "abandit-plus-abandoning": (OURS, {"abandon_below": 0.02}),
    "abandit-plus-balanced": (OURS, {"balanced_share": 1.0}),
    "cp-nas-all": ("cp-nas", {"means": "all"}),
}


def contender(name: str, rounds: int, space: SearchSpace, seed: int) -> Strategy:
    """Return the strategy of that name with the budget of `rounds`."""
    strategy, more = VARIANTS.get(name, (name, {}))
    return STRATEGIES.get(strategy).from_settings(space, _budget(strategy, rounds, space) | more, seed)


def _budget(strategy: str, rounds: int, space: SearchSpace) -> dict[str, Any]:
    """Return the settings with which a strategy takes the budget of `rounds`."""
    if strategy in {"abandit", "abandit-scaled"}:
        return {"samples_per_arm": rounds}
    if strategy == "cp-nas":
        return {"samples_per_arm": rounds, "parent_weight": 0.0}
    return {"samples": STRATEGIES.get("abandit").from_settings(space, {"samples_per_arm": rounds}, 0).total}


class LandscapeEvaluator:
    """Answers with a landscape's accuracies and noise."""

    def __init__(self, landscape: Landscape, noise: float, seed: int) -> None:
        """Add noise of this standard deviation."""
        self._landscape, self._noise, self._seed = landscape, noise, seed

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> Sequence[Evaluation]:
        """Return one evaluation a genotype."""
        accuracies = self._landscape.accuracy(ENCODING.codes(genotypes))
        return [
            Evaluation(float(accuracy) + self._noise * gaussian(self._seed, first_index + offset), None, False, 0.0)  # noqa: FBT003 - nothing diverges
            for offset, accuracy in enumerate(accuracies)
        ]


class Judged(NamedTuple):
    """One pick of one search."""

    place: str
    noise: float
    rounds: int
    strategy: str
    pick: str
    seed: int
    percentile: float
    regret: float  # in points
    samples: int
    arms_left: float  # share


@cache
def _table() -> ArchitectureTable:
    return ArchitectureTable.read(TABLE)


class _Place:
    """Where strategies are compared with one seed."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self._seed = name, seed
        kind = LANDSCAPES.get(name.removesuffix("-renamed"))
        self._landscape = kind(FIRST_SEED + seed) if kind else None
        self.space = SYNTHETIC_SPACE if self._landscape else build_space(TABLE_SPACE)
        self._names = Names(self.space, seed) if name.endswith("-renamed") else None

    def evaluator(self, noise: float) -> Evaluator:
        evaluator = self._evaluator(noise)
        return evaluator if self._names is None else RenamedEvaluator(evaluator, self._names)

    def _evaluator(self, noise: float) -> Evaluator:
        if self._landscape:
            unit = 1.0 if self.name == "unlike" else self._landscape.spread
            return LandscapeEvaluator(self._landscape, noise * unit, self._seed)
        spread = float(_table().test.mean(1).std(ddof=1))
        training_seed = self._seed % _table().validation.shape[1]
        return TableEvaluator(_table(), self.space, training_seed, noise * spread, self._seed)

    def judge(self, genotype: Genotype) -> tuple[float, float]:
        meant = genotype if self._names is None else self._names.meant(genotype)
        if self._landscape:
            accuracy = float(self._landscape.accuracy(ENCODING.codes([meant]))[0])
            return self._landscape.percentile(accuracy), 100 * (self._landscape.best - accuracy)
        means = _table().test.mean(1)
        accuracy = means[_table().rows[meant]]
        worse = (means < accuracy).mean() + ((means == accuracy).mean() - 1 / len(means)) / 2
        return float(worse * len(means) / (len(means) - 1)), float(100 * (means.max() - accuracy))


class Task(NamedTuple):
    """What one process does at a time."""

    place: str
    seed: int
    contenders: tuple[str, ...]
    rounds: tuple[int, ...]
    wave: int


def compare(task: Task) -> list[Judged]:
    """Run every contender at every noise and budget with one seed."""
    name, seed = task.place, task.seed
    place, judged = _Place(name, seed), []
    for noise in NOISES[name]:
        for rounds in task.rounds:
            for strategy in task.contenders:
                chosen = contender(strategy, rounds, place.space, seed)
                history: Sequence[Sample] = run_search(chosen, place.evaluator(noise), (), task.wave, lambda _: None)
                arms = chosen.arms(history)
                left = sum(arm.abandoned_round is None for arm in arms) / len(arms)
                picks = {"own": chosen.rank(history, 1)[0], "posterior": posterior_pick(place.space, history)}
                for pick, ranked in picks.items():
                    judged.append(
                        Judged(name, noise, rounds, strategy, pick, seed, *place.judge(ranked.genotype), len(history), left)
                    )
    return judged


def _mean(values: Sequence[float], digits: int) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):.{digits}f} ± {error:.{digits}f}"


def report(judged: Sequence[Judged]) -> Iterator[str]:
    """Yield the lines of the tables: means and standard errors over seeds, paired differences to abandit-plus's own pick."""
    groups: dict[tuple[Any, ...], dict[int, Judged]] = defaultdict(dict)
    for row in judged:
        groups[row[:5]][row.seed] = row
    for place, noise, rounds in dict.fromkeys(key[:3] for key in groups):
        yield f"\n### {place}, noise {noise:g}, T = {rounds}\n"
        yield "| strategy | pick | percentile | regret, points | percentile, abandit-plus minus this | samples | arms left, % |"
        yield "|---|---|---|---|---|---|---|"
        ours = groups.get((place, noise, rounds, OURS, "own"), {})
        rows = [(key, group) for key, group in groups.items() if key[:3] == (place, noise, rounds)]
        for key, group in sorted(rows, key=lambda row: -statistics.fmean(entry.percentile for entry in row[1].values())):
            ahead = [ours[seed].percentile - entry.percentile for seed, entry in group.items() if seed in ours]
            difference = "" if key[3:] == (OURS, "own") or not ahead else _mean(ahead, 4)
            percentile = _mean([entry.percentile for entry in group.values()], 4)
            regret = _mean([entry.regret for entry in group.values()], 2)
            samples = f"{statistics.fmean(entry.samples for entry in group.values()):.1f}"
            left = f"{100 * statistics.fmean(entry.arms_left for entry in group.values()):.1f}"
            yield f"| {key[3]} | {key[4]} | {percentile} | {regret} | {difference} | {samples} | {left} |"


def summary(judged: Sequence[Judged]) -> Iterator[str]:
    """Yield one table: mean percentile of own picks over the budgets, by place and noise."""
    places = list(dict.fromkeys((row.place, row.noise) for row in judged))
    yield "| strategy, own pick | " + " | ".join(f"{place}, noise {noise:g}" for place, noise in places) + " |"
    yield "|---" * (len(places) + 1) + "|"
    for strategy in dict.fromkeys(row.strategy for row in judged):
        cells = []
        for place in places:
            by_seed: dict[int, list[float]] = defaultdict(list)
            for row in judged:
                if (row.place, row.noise) == place and (row.strategy, row.pick) == (strategy, "own"):
                    by_seed[row.seed].append(row.percentile)
            cells.append(_mean([statistics.fmean(values) for values in by_seed.values()], 4))
        yield f"| {strategy} | {' | '.join(cells)} |"


def main() -> None:
    """Run all seeds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", nargs="+", choices=list(NOISES), default=list(NOISES))
    parser.add_argument("--contenders", nargs="+", choices=[*STRATEGIES.names(), *VARIANTS], default=STRATEGIES.names())
    parser.add_argument("--rounds", nargs="+", type=int, default=list(ROUNDS), help="T: budgets of N = 53, 97, 141 for 1, 2, 3")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--wave", type=int, default=1, help="samples that are suggested at once")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, help="File to write the page to, beside printing it.")
    given = parser.parse_args()
    fixed = tuple(given.contenders), tuple(given.rounds), given.wave
    tasks = [Task(place, seed, *fixed) for seed in range(given.first, given.first + given.seeds) for place in given.places]
    judged: list[Judged] = []
    with get_context("spawn").Pool(given.processes) as pool:
        for done, rows in enumerate(pool.imap(compare, tasks), start=1):
            judged += rows
            if done % 10 == 0:
                print(f"{done} of {len(tasks)}", file=sys.stderr, flush=True)
                if given.output is not None:
                    given.output.write_text(page(judged))
    if given.output is not None:
        given.output.write_text(page(judged))
    print(page(judged))


def page(judged: Sequence[Judged]) -> str:
    """Return conditions, summary and all tables of what was judged so far."""
    seeds = len({row.seed for row in judged})
    lines = [conditions(), f"{seeds} seeds; ± is the standard error over seeds.", "", *summary(judged), *report(judged)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
