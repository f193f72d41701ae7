"""How long a strategy takes to answer after many samples: `python -m benchmarks.long_history`.

On a landscape of `landscapes.py` (60 edges of 9 operations), histories of random architectures are grown sample by sample, so
that nothing but the strategy works. A strategy that has seen all but the last few samples is asked for the next one after each of
these; then, once, for its arms and its ranking. `restart` is the first suggestion of a fresh one, which has to work out
everything from the history. Seconds, the median of the suggestions and the longest of them. `screen-and-train` is given so many
short trainings and sixty whole ones more, or all but one; `--cpu` counts CPU seconds,
on a machine with other work; `--abandon-below` abandons arms, whose decisions a restart makes again.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.landscapes import ENCODING, SPACE, Landscape, uniform
from nas_service.search.history import Sample
from nas_service.search.strategies.screen_and_train import ScreenAndTrain
from nas_service.search.strategy import STRATEGIES, Strategy

NOISE = 0.3  # of the spread of the accuracies
WHOLE = 60  # whole trainings after the short ones
SHORT = 1 / 12
SCREENS = "screen-and-train"
SIZES = {operation: number**2 for number, operation in enumerate(ENCODING.operations)}  # made-up numbers of parameters


def history_of(landscape: Landscape, samples: int, seed: int) -> tuple[Sample, ...]:
    """Return so many random architectures with noisy accuracies."""
    random = np.random.RandomState(seed)
    rows = uniform(samples, random)
    rewards = landscape.accuracy(rows) + NOISE * landscape.spread * random.standard_normal(samples)
    return tuple(Sample(index, ENCODING.genotype(row), float(rewards[index])) for index, row in enumerate(rows.tolist()))


def case_of(name: str, samples: int, more: Mapping[str, float]) -> tuple[Callable[[], Strategy], tuple[Sample, ...]]:
    """Return what makes a strategy with as large a budget as it takes, and `more` settings, and a history of so many samples."""
    budget = {"trainings": round(2 * SHORT * samples), "fidelity": SHORT} if name == SCREENS else {"samples": samples + 1}
    settings = {**budget, **more}
    kind = STRATEGIES.get(name)
    parameters = cache(lambda genotype: sum(SIZES[choice.operation] for choice in genotype.choices))

    def fresh() -> Strategy:
        return kind.from_settings(SPACE, settings, 0, parameters)

    planned = fresh()
    count = samples if not isinstance(planned, ScreenAndTrain) else planned.screened + min(WHOLE, planned.whole - 1)
    history = history_of(Landscape(0), count, 0)
    return fresh, tuple(replace(sample, fidelity=planned.fidelity(sample.index)) for sample in history)


def measure(strategy: Callable[[], Strategy], history: Sequence[Sample], asked: int, clock: Callable[[], float]) -> list[float]:
    """Return seconds: median and longest of `asked` suggestions one after the other, arms, rank, and a restart."""

    def took(work: Callable[[], object]) -> float:
        started = clock()
        work()
        return clock() - started

    chosen, first = strategy(), len(history) - asked
    chosen.suggest(history[:first], 1)
    each = [took(lambda end=end: chosen.suggest(history[:end], 1)) for end in range(first + 1, len(history) + 1)]  # type: ignore[misc]  # mypy cannot infer a lambda's default
    arms, rank = took(lambda: chosen.arms(history)), took(lambda: chosen.rank(history, 5))
    return [statistics.median(each), max(each), arms, rank, took(lambda: strategy().suggest(history, 1))]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="+", default=["abandit-plus"], help="names")
    parser.add_argument("--samples", nargs="+", type=int, default=[500, 1000, 2000, 5000], help="in the histories")
    parser.add_argument("--asked", type=int, default=20, help="suggestions that are timed")
    parser.add_argument("--cpu", action="store_true", help="count CPU seconds")
    parser.add_argument("--abandon-below", type=float, help="setting of abandit-plus")
    given = parser.parse_args()
    print(f"{conditions()}\n")
    columns = ["strategy", "samples", "a suggestion, s", "the longest", "arms, s", "rank, s", "restart, s"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    more = {} if given.abandon_below is None else {"abandon_below": given.abandon_below}
    clock = time.process_time if given.cpu else time.perf_counter
    for name in given.strategies:
        for samples in given.samples:
            fresh, history = case_of(name, samples, more)
            found = measure(fresh, history, given.asked, clock)
            print(f"| `{name}` | {samples:,} | {' | '.join(f'{seconds:.2f}' for seconds in found)} |", flush=True)


if __name__ == "__main__":
    main()
