"""Why is the published anti-bandit below random search within limits? `python -m benchmarks.limited_causes`.

Searches of `limited_search.py` in `abandit-general`, looked at from within; means over searches. In standard deviations between
the architectures within the limit, above their mean, the truth of

    survivors     what it returns: the arms that are left, which were hardly ever sampled together
    best sample   of what it sampled, the one with the best reward
    coverage      its first samples, on average
    last round    its last ones, on average
    random        random search's pick from as many samples

and, as shares of the arms that went when a round ended while their edge had others:

    by bound      those that had the lowest upper bound of their edge; the others went because of the limit
    most pulled   of those by bound: no arm of the edge was pulled more often
    cheap         of those by bound: fewer packed bytes than the mean of the edge's arms
    better        of those by bound: worth more than the mean of the edge's arms; a rule that learns stays below one half
    cheapest      of the edges, in the survivors: those that hold the cheapest arm of their edge
"""

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import groupby
from multiprocessing import get_context
from typing import Any

from benchmarks.conditions import conditions
from benchmarks.limited_search import Task, limit_of, made_for, search, truth_of, worths_of
from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from search_spaces.genotype import Choice

SPACE = "abandit-general"
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "abandit, as published": ("abandit", {}),
    "abandit, rewards in per cent": ("abandit", {"reward_scale": 100.0}),
    "abandit-scaled": ("abandit-scaled", {}),
}


@dataclass(frozen=True)
class Seen:
    """What was seen of one search; the module's text says what each is."""

    survivors: float
    best_sample: float
    coverage: float
    last_round: float
    random: float
    by_bound: float
    most_pulled: float
    cheap: float
    better: float
    cheapest: float


@dataclass(frozen=True)
class Gone:
    """An arm that went when a round ended, and what it was among its edge's arms."""

    by_bound: bool
    most_pulled: bool
    cheap: bool
    better: bool


def gone(arms: Sequence[Arm], number: int, costs: Mapping[Choice, float], worths: Mapping[Choice, float]) -> Iterator[Gone]:
    """Yield what round `number` dropped, from the arms after it."""
    for _, group in groupby(arms, key=lambda arm: arm.key[:2]):
        left = [arm for arm in group if arm.abandoned_round in {None, number}]
        if len(left) == 1:
            continue
        bounds, pulls = [arm.upper or 0.0 for arm in left], [arm.pulls for arm in left]
        cost, worth = (statistics.fmean(of[arm.key] for arm in left) for of in (costs, worths))
        for arm, bound in zip(left, bounds, strict=True):
            if arm.abandoned_round == number:
                most = arm.pulls == max(pulls)
                yield Gone(bound == min(bounds), most, costs[arm.key] < cost, worths[arm.key] > worth)


def look(seed: int, share: float, variant: str) -> Seen:
    """Search and look at it."""
    name, settings = VARIANTS[variant]
    _, limits, mean, spread = limit_of(SPACE, share)
    reward, truth = truth_of(SPACE)
    made = made_for(name, Task(SPACE, share, name, seed), settings, limits)
    history: tuple[Sample, ...] = ()
    while suggested := made.suggest(history, 1):
        history = (*history, Sample(len(history), suggested[0], reward(suggested[0], seed), None))
    costs = {key: figures[0] for key, figures in limits.costs.items()}
    ends, worths = made.round_ends(len(history)), worths_of(SPACE)
    dropped = [arm for number, end in enumerate(ends, 1) for arm in gone(made.arms(history[:end]), number, costs, worths)]
    by_bound = [arm for arm in dropped if arm.by_bound]
    pick = made.rank(history, 1)[0].genotype
    least = {edge: min(costs[arm.key] for arm in group) for edge, group in groupby(made.arms(()), key=lambda arm: arm.key[:2])}
    standing = [(truth(sample.genotype) - mean) / spread for sample in history]
    best = max(history, key=lambda sample: sample.reward).index
    first = len(history) - sum(range(2, max(len(keys) for keys in made.possible) + 1)) * 3
    return Seen(
        survivors=(truth(pick) - mean) / spread,
        best_sample=standing[best],
        coverage=statistics.fmean(standing[:first]),
        last_round=statistics.fmean(standing[ends[-2] :]),
        random=search(Task(SPACE, share, f"random:{len(history)}", seed)).truth,
        by_bound=len(by_bound) / len(dropped),
        most_pulled=statistics.fmean(arm.most_pulled for arm in by_bound),
        cheap=statistics.fmean(arm.cheap for arm in by_bound),
        better=statistics.fmean(arm.better for arm in by_bound),
        cheapest=statistics.fmean(costs[key] == least[key[:2]] for key in pick.choices),
    )


def main() -> None:
    """Search and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shares", nargs="*", type=float, default=[1.0, 0.3, 0.1], help="of the architectures, within the limit")
    parser.add_argument("--searches", type=int, default=8)
    parser.add_argument("--first", type=int, default=500, help="seed of the first search")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    seeds = range(given.first, given.first + given.searches)
    names = [field.name for field in fields(Seen)]
    print(f"{conditions()}; {given.searches} searches, seeds from {given.first}\n")
    print("| " + " | ".join(["", "within", *(name.replace("_", " ") for name in names)]) + " |\n|" + "---|" * (len(names) + 2))
    with ProcessPoolExecutor(given.processes, mp_context=get_context("spawn")) as pool:
        for variant in VARIANTS:
            for share in given.shares:
                seen = [asdict(entry) for entry in pool.map(partial(look, share=share, variant=variant), seeds)]
                cells = [f"{statistics.fmean(entry[name] for entry in seen):.2f}" for name in names]
                print("| " + " | ".join([variant, f"{100 * share:g} %", *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
