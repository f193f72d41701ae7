"""Do counts or accuracies decide what the anti-bandit keeps? `python -m benchmarks.counts_decide`.

A toy without interaction and without shared weights: every arm of every edge has a value, standard normal, and the reward of a
genotype is 0.5 + 0.1 mean_e(value) sqrt(E) without noise, so that rewards spread alike at any number of edges E. K = 9, T = 3.
Reported is where the arm that each edge ends with (in the genotype that the strategy returns) stands among its edge's nine: 0 is
the worst, 0.5 chance, 1 the best.
"""

import argparse
import math
import statistics
from typing import Any

import numpy as np

from benchmarks.conditions import conditions
from nas_service.search.loop import Evaluation, run_search
from nas_service.search.strategy import STRATEGIES
from search_spaces.genotype import Genotype
from search_spaces.space import CellType, Edge, SearchSpace

ARMS = 9
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "random, best of 141": ("random", {"samples": 141}),
    "abandit as published, rewards in [0, 1]": ("abandit", {}),
    "abandit, rewards in per cent": ("abandit", {"reward_scale": 100.0}),
    "abandit, width x 0.1": ("abandit", {"width_coefficient": 0.1}),
    "cp-nas, child alone": ("cp-nas", {"parent_weight": 0.0}),
    "abandit-plus": ("abandit-plus", {"samples": 141}),
}


def toy_space(edges: int) -> SearchSpace:
    """Return one cell of `edges` edges side by side, from the input to a node each, of nine operations."""
    operations = tuple(f"operation-{letter}" for letter in "abcdefghi")
    wired = tuple(Edge(0, node, operations) for node in range(1, edges + 1))
    return SearchSpace("toy", "independent edges", (CellType("a"),), wired, cells=1)


class Additive:
    """Rewards of the toy."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        """Draw the values of all arms."""
        drawn = np.random.RandomState(seed).standard_normal((len(space.edges), ARMS))
        self.values = {
            (edge.name, operation): float(drawn[place, number])
            for place, edge in enumerate(space.edges)
            for number, operation in enumerate(edge.operations)
        }

    def evaluate(self, first_index: int, genotypes: tuple[Genotype, ...]) -> list[Evaluation]:
        """Return the rewards."""
        del first_index
        return [Evaluation(self._reward(genotype), None, diverged=False, seconds=0.0) for genotype in genotypes]

    def _reward(self, genotype: Genotype) -> float:
        values = [self.values[choice.edge, choice.operation] for choice in genotype.choices]
        return 0.5 + 0.1 * sum(values) / math.sqrt(len(values))

    def percentile(self, genotype: Genotype) -> float:
        """Return the mean rank of the genotype's arms among those of their edges, in [0, 1]."""
        ranks = []
        for choice in genotype.choices:
            rivals = [value for (edge, _), value in self.values.items() if edge == choice.edge]
            ranks.append(sum(value < self.values[choice.edge, choice.operation] for value in rivals) / (ARMS - 1))
        return statistics.fmean(ranks)


def mean_percentile(rule: str, edges: int, repeats: int) -> tuple[float, float]:
    """Return mean and standard error, over toys, of where the arms stand that `rule` ends with."""
    strategy, settings = RULES[rule]
    space, found = toy_space(edges), []
    for seed in range(repeats):
        toy, chosen = Additive(space, seed), STRATEGIES.get(strategy).from_settings(space, settings, seed)
        history = run_search(chosen, toy, (), 1, lambda _: None)  # type: ignore[arg-type]  # tuples and lists are sequences
        found.append(toy.percentile(chosen.rank(history, 1)[0].genotype))
    return statistics.fmean(found), statistics.stdev(found) / repeats**0.5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", nargs="+", type=int, default=[1, 10, 60])
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    print(f"{conditions()}; {given.repeats} toys, mean ± standard error\n")
    print("| rule | " + " | ".join(f"{edges} edge(s)" for edges in given.edges) + " |")
    print("|---" * (len(given.edges) + 1) + "|")
    for rule in RULES:
        cells = ["{:.2f} ± {:.2f}".format(*mean_percentile(rule, edges, given.repeats)) for edges in given.edges]
        print(f"| {rule} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
