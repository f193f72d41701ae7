"""Does a search beat random search at equal compute? `python -m benchmarks.equal_compute`.

Everything is counted in optimizer steps. The strategy searches for real with trainings of its own: short ones are trained anew
for each search, with a seed of their own; whole ones, its and its rivals', are those of a bench (benches.py): looked up, or
trained when they are first asked for.

    random      as many whole trainings of random genotypes as the steps allow, the best by validation accuracy
    largest     the same among three times as many random genotypes, of which the third with most parameters is trained

Of a bench's two training seeds a search sees one, in turn. Told are the test accuracy with the seed that was not seen; that less
the mean of genotypes within 10 % of the pick's OPs (where not all are trained, of three of them, and not for rivals); and, where
all are, the share of genotypes whose mean test accuracy is lower (percentile; half of the truth is the seed that was seen, for
all alike). Every search has its own random rivals: differences are paired, p is Wilcoxon's, one-sided.

Trainings are kept line by line, so that a run that was cut off goes on. What rivals need does not depend on what searches find:
`--jobs N` makes it first, in so many processes, and `--rivals-only` stops there.
"""

import argparse
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy.stats import wilcoxon

from benchmarks.benches import BENCHES, SEEDS, TABLES, Truth, train
from benchmarks.conditions import conditions
from benchmarks.kept import Row, add_row, read_rows, work_off
from nas_service.catalogue import build_method, build_space, build_strategy
from nas_service.recipes.recipe import ShortScore
from nas_service.search.history import Sample, derived_random
from nas_service.specs import Component
from nas_service.training.candidate.own import OwnPlan, OwnTrainer
from search_spaces.genotype import Genotype

PEERS = 3  # architectures of like cost, where not all are trained
LIKE = 0.1  # share of OPs that architectures of like cost differ by at most
STRATEGY = "screen-and-train"


@dataclass(frozen=True)
class Task:
    """One search.

    Attributes:
        seed: Of the strategy, of short trainings and of rivals.
        trainings: Budget, in whole trainings.
        bench: Where it searches.
        data_root: Of the bench's images.
        kept: Folder of short trainings.
        screening: What the strategy is told of short trainings: the truth, chance, or the opposite ("upside-down").
    """

    seed: int
    trainings: int
    bench: str
    data_root: Path
    kept: Path
    screening: str = "true"

    @property
    def seen(self) -> int:
        """The training seed of the bench that it sees."""
        return SEEDS[self.seed % 2]

    @property
    def unseen(self) -> int:
        """The one that it does not see."""
        return SEEDS[1 - self.seed % 2]


@dataclass(frozen=True)
class Found:
    """What a search or a rival picked.

    Attributes:
        percentile: Share of genotypes with a lower mean test accuracy; None: not all are trained.
        unseen: Test accuracy with the training seed that was not seen.
        over_like: That, less the mean of genotypes of like OPs.
        steps: That it took.
    """

    percentile: float | None
    unseen: float
    over_like: float
    steps: int


@lru_cache(maxsize=1)
def truth_of(bench: str, data_root: Path) -> Truth:
    """Return what is known of a bench, once a process."""
    torch.set_num_threads(1)
    return Truth(BENCHES[bench], data_root, TABLES / f"{bench}.jsonl")


def judge(task: Task, genotype: Genotype, steps: int, most_peers: int) -> Found:
    """Look a pick up; `most_peers` of like OPs are trained beside it where not all genotypes are."""
    truth = truth_of(task.bench, task.data_root)
    row, means = truth.rows[genotype], truth.means()
    like = np.abs(truth.ops / truth.ops[row] - 1) <= LIKE
    like[row] = False
    peers = [truth.genotypes[peer] for peer in np.flatnonzero(like)]
    if means is None:
        peers = derived_random(task.seed, "peers", genotype.digest).sample(peers, min(most_peers, len(peers)))
    unseen = truth.of(genotype, task.unseen)[1]
    over = unseen - statistics.fmean(truth.of(peer, task.unseen)[1] for peer in peers) if peers else math.nan
    return Found(None if means is None else float((means < means[row]).mean()), unseen, over, steps)


class ShortTrainings:
    """The short trainings of one seed: real ones, each kept when it is done."""

    def __init__(self, task: Task, fidelity: Callable[[int], float]) -> None:
        """Read what is kept."""
        self._task, self._file = task, task.kept / f"{task.seed}.jsonl"
        self._known = {entry["digest"]: entry for entry in read_rows(self._file)}
        bench = BENCHES[task.bench]
        space, method, seed = build_space(bench.space), build_method(bench.method), training_seed(task.seed)
        plan = OwnPlan(space, method, bench.recipe, ShortScore.TRAIN_LIKELIHOOD, seed, fidelity)
        self._trainer = OwnTrainer(plan, bench.load(task.data_root).without_test(), torch.device("cpu"))

    def of(self, index: int, genotype: Genotype) -> tuple[float, int]:
        """Return reward and steps."""
        if genotype.digest not in self._known:
            done = self._trainer.evaluate(index, genotype).evaluation
            entry: Row = {"digest": genotype.digest, "reward": done.reward, "steps": done.steps, "seconds": done.seconds}
            add_row(self._file, entry)
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
    truth = truth_of(task.bench, task.data_root)
    component = Component(name=STRATEGY, settings={"trainings": task.trainings})
    strategy = build_strategy(component, build_space(truth.bench.space), task.seed)
    short = ShortTrainings(task, strategy.fidelity)
    history: tuple[Sample, ...] = ()
    steps = 0
    while suggested := strategy.suggest(history, 1):
        index, (genotype,) = len(history), suggested
        fidelity = strategy.fidelity(index)
        if fidelity < 1:
            reward, taken = short.of(index, genotype)
        else:
            reward, taken = truth.of(genotype, task.seen)[0], truth.bench.steps
        steps += taken
        history = (*history, Sample(index, genotype, reward, None, fidelity))
    return judge(task, strategy.rank(history, 1)[0].genotype, steps, PEERS)


def rivals(task: Task, truth: Truth, *, of_the_largest: bool) -> list[Genotype]:
    """Return the random genotypes that the budget pays to train whole, or those of the largest third of them."""
    count = task.trainings
    drawn = derived_random(task.seed, "rival", of_the_largest, count)
    keys = [drawn.random() for _ in truth.genotypes]
    chosen = sorted(range(len(keys)), key=keys.__getitem__)[: 3 * count if of_the_largest else count]
    if of_the_largest:
        chosen = sorted(chosen, key=lambda row: -int(truth.parameters[row]))[:count]
    return [truth.genotypes[row] for row in chosen]


def rival(task: Task, *, of_the_largest: bool) -> Found:
    """Return the best of as many whole trainings as the budget allows, of random genotypes or of the largest third of them."""
    truth = truth_of(task.bench, task.data_root)
    best = max(rivals(task, truth, of_the_largest=of_the_largest), key=lambda genotype: truth.of(genotype, task.seen)[0])
    return judge(task, best, task.trainings * truth.bench.steps, 0)


@dataclass(frozen=True)
class Missing:
    """A whole training that is to be made."""

    bench: str
    data_root: Path
    genotype: Genotype
    seed: int

    def make(self) -> Row:
        """Train."""
        return train(BENCHES[self.bench], self.data_root, self.genotype, self.seed)


def missing(tasks: Sequence[Task], truth: Truth) -> Iterator[Missing]:
    """Yield what the rivals of searches need and is not known; that of a pick is told when all are trained that it is of."""
    told: set[tuple[str, int]] = set()
    for of_the_largest in (False, True):
        for task in tasks:
            genotypes = rivals(task, truth, of_the_largest=of_the_largest)
            pairs = [(genotype, task.seen) for genotype in genotypes if not truth.knows(genotype, task.seen)]
            if not pairs:
                best = max(genotypes, key=lambda genotype: truth.of(genotype, task.seen)[0])
                pairs = [(best, task.unseen)] if not truth.knows(best, task.unseen) else []
            for genotype, seed in pairs:
                if (genotype.digest, seed) not in told:
                    told.add((genotype.digest, seed))
                    yield Missing(task.bench, task.data_root, genotype, seed)


def make_missing(tasks: Sequence[Task], processes: int) -> None:
    """Make what is missing, keeping each when it is done."""
    truth = truth_of(tasks[0].bench, tasks[0].data_root)
    truth.refresh()
    print(f"{len(list(missing(tasks, truth)))} whole trainings of rivals are missing, and those of what they pick", flush=True)
    work_off(processes, lambda: missing(tasks, truth), Missing.make, lambda _, row: truth.keep(row))


def _told(values: Sequence[float], scale: float = 1.0, digits: int = 3) -> str:
    error = statistics.stdev(values) / math.sqrt(len(values))
    return f"{scale * statistics.fmean(values):.{digits}f} ± {scale * error:.{digits}f}"


def _paired(mine: Sequence[float], others: Sequence[float], scale: float, digits: int) -> str:
    """Return what the first has over the second, in how many pairs, and p."""
    over = [own - other for own, other in zip(mine, others, strict=True)]
    p = wilcoxon(over, alternative="greater").pvalue
    return f"{_told(over, scale, digits)}, {sum(value > 0 for value in over)} of {len(over)}, p {p:.2g}"


def report(found: dict[str, list[Found]]) -> list[str]:
    """Return a row a rival: figures, and what the strategy has over it, paired."""
    own = found[STRATEGY]
    rows = []
    for name, entries in found.items():
        ranks = [entry.percentile for entry in entries if entry.percentile is not None]
        own_ranks = [entry.percentile for entry in own if entry.percentile is not None]
        over_like = [entry.over_like for entry in entries if not math.isnan(entry.over_like)]
        unseen, own_unseen = [entry.unseen for entry in entries], [entry.unseen for entry in own]
        cells = [
            name,
            f"{statistics.fmean(entry.steps for entry in entries):.0f}",
            _told(ranks) if ranks else "-",
            f"{min(ranks):.3f}" if ranks else "-",
            _told(unseen, 100, 1),
            _told(over_like, 100, 1) if over_like else "-",
            _paired(own_ranks, ranks, 1, 3) if ranks and entries is not own else "",
            _paired(own_unseen, unseen, 100, 2) if entries is not own else "",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def parsed() -> argparse.Namespace:
    """Return what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", choices=BENCHES, default="digits")
    parser.add_argument("--data-root", type=Path, default=Path(), help="where the bench's images lie (digits are bundled)")
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
    parser.add_argument("--jobs", type=int, default=0, help="make the trainings of rivals first, in so many processes")
    parser.add_argument("--rivals-only", action="store_true", help="and stop there")
    return parser.parse_args()


def main() -> None:
    """Search, compare and print the tables."""
    arguments = parsed()
    kept, steps = arguments.kept / arguments.bench, BENCHES[arguments.bench].steps
    kept.mkdir(parents=True, exist_ok=True)
    told = f"{arguments.searches} searches, seeds from {arguments.first}; screening: {arguments.screening}"
    print(f"{conditions()}; {arguments.bench}; {told}\n", flush=True)
    seeds = range(arguments.first, arguments.first + arguments.searches)
    how = (arguments.bench, arguments.data_root, kept, arguments.screening)
    tasks = {trainings: [Task(seed, trainings, *how) for seed in seeds] for trainings in arguments.trainings}
    if arguments.jobs:
        make_missing([task for entries in tasks.values() for task in entries], arguments.jobs)
    if not arguments.rivals_only:
        _compare(arguments, tasks, steps)


def _compare(arguments: argparse.Namespace, budgets: dict[int, list[Task]], steps: int) -> None:
    """Search, and print a table for each budget."""
    with ProcessPoolExecutor(arguments.processes, mp_context=get_context("spawn")) as pool:
        for trainings, tasks in budgets.items():
            found = {
                STRATEGY: list(pool.map(search, tasks)),
                "random": list(pool.map(partial(rival, of_the_largest=False), tasks)),
                "largest": list(pool.map(partial(rival, of_the_largest=True), tasks)),
            }
            print(f"Budget: {trainings} whole trainings, {trainings * steps} steps\n")
            columns = ["search", "steps", "percentile", "lowest", "test, unseen seed, %", "over like OPs, points"]
            paired = [f"{STRATEGY} over it, {figure}" for figure in ("percentile", "points")]
            print("| " + " | ".join([*columns, *paired]) + " |\n|" + "---|" * 8)
            print("\n".join(report(found)), flush=True)
            print()
    whose = Counter(row.get("torch") for row in read_rows(TABLES / f"{arguments.bench}.jsonl"))
    if whose:
        print("Whole trainings that are kept, by torch: " + ", ".join(f"{count} of {name}" for name, count in whose.items()))


if __name__ == "__main__":
    main()
