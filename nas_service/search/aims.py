"""What a search trades against the reward, and which architectures are worth having then. Plain Python.

One architecture dominates another if its reward, and its accuracy under attack where that is an aim, are no lower and none of its
costs is higher, and one of them is better. What no other dominates is the Pareto set. How much of what can be had a set has is
its hypervolume: of all (reward, accuracy under attack, costs) between a reference and the best, the part that a member of the set
is at least as good as.

References:
    Zitzler and Thiele, "Multiobjective Evolutionary Algorithms: A Comparative Case Study and the Strength Pareto Approach", IEEE
    Transactions on Evolutionary Computation 3(4), 1999 (hypervolume); While, Bradstreet and Barone, "A Fast Way of Calculating
    Exact Hypervolumes", IEEE Transactions on Evolutionary Computation 16(1), 2012 (the recursion).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from search_spaces.genotype import Choice

MOST_AIMS = 2  # beside the reward: work grows with their power
END = 1.1  # of costs: the dearest architecture, at 1, is worth something, too
Point = tuple[float, ...]  # a reward, an accuracy under attack where that is an aim, how far each cost stays below the end


@dataclass(frozen=True, eq=False)
class Aims:
    """What should be good beside a high reward: low costs, a high accuracy under attack.

    Attributes:
        costs: Of every arm, one figure a cost, a multiple of a 64th: what it costs more than the first arm of its place.
        base: What an architecture of the first arms costs.
        ends: What the cheapest and the dearest architecture cost, the dearest more.
        attacked: Whether the accuracy under attack is one. It is measured, as rewards are, while costs are counted.
    """

    costs: Mapping[Choice, tuple[float, ...]]
    base: tuple[float, ...]
    ends: tuple[tuple[float, float], ...]
    attacked: bool = False

    def of(self, choices: Sequence[Choice]) -> tuple[float, ...]:
        """Return the costs of an architecture: 0 for what the cheapest one costs, 1 for the dearest."""
        sums = [base + sum(self.costs[key][number] for key in choices) for number, base in enumerate(self.base)]
        return tuple((cost - least) / (most - least) for cost, (least, most) in zip(sums, self.ends, strict=True))

    def points(self, figures: Sequence[Sequence[float]], architectures: Sequence[Sequence[Choice]], lowest: float) -> list[Point]:
        """Return what each architecture has of the hypervolume's box, from the reference (`lowest`, ..., END, ...).

        Args:
            figures: Rewards of the architectures, and their accuracies under attack where these are an aim.
            architectures: Their arms.
            lowest: Of rewards and accuracies.
        """
        found = zip(zip(*figures, strict=True), architectures, strict=True)
        return [
            (*(figure - lowest for figure in measured), *(END - cost for cost in self.of(choices))) for measured, choices in found
        ]


def undominated(points: Sequence[Point]) -> list[int]:
    """Return the places of the points that no other one dominates, in their order; equal ones are all there.

    Points are figures that should be high, as many for each.
    """
    found = dict[Point, None]()
    for point in sorted(dict.fromkeys(points), reverse=True):  # what dominates comes before
        if not any(all(a >= b for a, b in zip(other, point, strict=True)) for other in found):
            found[point] = None
    return [place for place, point in enumerate(points) if point in found]


def hypervolume(points: Sequence[Point]) -> float:
    """Return the volume of the union of the boxes between 0 and each point; one with a figure below 0 has none."""
    front = list({point for point in points if min(point) > 0})
    front = [front[place] for place in undominated(front)]
    total = 0.0
    for place, point in enumerate(front):
        total += _alone(point, front[place + 1 :])
    return total


def _alone(point: Point, others: Sequence[Point]) -> float:
    """Return the volume of a point's box that no box of the others has."""
    own = prod(point) if min(point) > 0 else 0.0
    return own - hypervolume([tuple(map(min, point, other)) for other in others]) if own else 0.0


def spread_out(points: Sequence[Point], count: int) -> list[int]:
    """Return `count` places of the Pareto set, each adding most to the hypervolume of those before, the first of equals.

    Fewer if the set has fewer; its members that add nothing come last.
    """
    left = undominated(points)
    chosen: list[int] = []
    while left and len(chosen) < count:
        had = [points[place] for place in chosen]
        gains = [_alone(points[place], had) for place in left]
        chosen.append(left.pop(gains.index(max(gains))))
    return chosen
