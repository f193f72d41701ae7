"""Synthetic landscapes over 60 edges of 9 operations: accuracies that no network has, with the structure of ones that do.

The space is ABanditNAS's: 6 cell types, 10 edges each, 9 operations. With x_e the operation on edge e, standard normal
draws g, h, b and standard deviations normalised over uniformly drawn architectures,

    arms      A(x) = sum_e w_e (sqrt(eta) g[x_e] + sqrt(1 - eta) h[e, x_e]),     w_e = exp(N(0, 1) / 2)
    pairs     B(x) = sum over pairs (e, f) of v_ef b[e, f, x_e, x_f],            v_ef = exp(N(0, 1) / 2)
    latent    u(x) = sqrt(1 - rho) A(x) / sd(A) + sqrt(rho) B(x) / sd(B)
    accuracy  y(x) = 0.95 - 0.08 exp(-0.4 u(x)), and 0.1 (chance) if x is dead.

The g are centred over operations, h too, b in both arguments, so that u has mean 0 and standard deviation 1. Pairs are all
edges of a cell that share a node and 30 random ones across cells. Each cell type has one deadly pair of arms, so that
about 7 % are dead. Every landscape draws eta from U(0, 0.6), how much an operation is worth the same everywhere, and rho
from U(0.1, 0.5), how much arms depend on each other. Accuracies are skewed to the left and crowd below 0.95: the median is
0.87, one in a thousand is above 0.925.

`Unlike` is another: no operation is alike on two edges (eta = 0), 180 random pairs of edges interact and carry 15 % of the
variance of u (rho = 0.15), nothing is dead, and y(x) = 0.95 - 0.13 exp(-0.5 u(x)). There are 540 things to learn there, and a
noise of 0.01 or 0.03 is as large as what separates good architectures, so that it tells whether a strategy tries enough arms
often enough.
"""

import numpy as np

from nas_service.search.encoding import Codes, Encoding, Flags, Floats
from search_spaces.space import CellType, SearchSpace, connect_all

OPERATIONS = tuple(f"operation-{letter}" for letter in "abcdefghi")
SPACE = SearchSpace(
    name="synthetic",
    summary="6 cell types, 10 edges a cell, 9 operations an edge, no networks.",
    cell_types=tuple(CellType(name) for name in "abcdef"),
    edges=connect_all(nodes=4, operations=OPERATIONS),
    cells=6,
)
ENCODING = Encoding(SPACE)
EDGES, ARMS = ENCODING.edges, len(OPERATIONS)
TOP, SPAN, CURVATURE, CHANCE = 0.95, 0.08, 0.4, 0.1
UNLIKE_SPAN, UNLIKE_CURVATURE, UNLIKE_RHO, UNLIKE_PAIRS = 0.13, 0.5, 0.15, 180
REFERENCE = 20_000  # random architectures that percentiles are told against


class Landscape:
    """One landscape; see the module's text.

    Attributes:
        reference: Accuracies of 20,000 random architectures, sorted.
        spread: Standard deviation of those that are not dead.
        best: The highest accuracy that local searches find.
    """

    def __init__(self, seed: int) -> None:
        """Draw the landscape."""
        random = np.random.RandomState(seed)
        self.eta, self.rho = random.uniform(0, 0.6), random.uniform(0.1, 0.5)
        self._span, self._curvature = SPAN, CURVATURE
        self._draw_arms(random)
        self._draw_pairs(random, *_pairs(random))
        per_cell = len(SPACE.edges)
        self._deadly = []
        for cell in range(len(SPACE.cell_types)):
            first, second = random.permutation(per_cell)[:2] + cell * per_cell
            self._deadly.append(((first, random.randint(ARMS)), (second, random.randint(ARMS))))
        self._measure(random)

    def _draw_arms(self, random: np.random.RandomState) -> None:
        importance = np.exp(random.standard_normal(EDGES) / 2)
        common, own = random.standard_normal(ARMS), random.standard_normal((EDGES, ARMS))
        arms = importance[:, None] * (np.sqrt(self.eta) * common + np.sqrt(1 - self.eta) * own)
        arms -= arms.mean(axis=1, keepdims=True)
        self._arms: Floats = np.sqrt(1 - self.rho) * arms / np.sqrt((arms**2).mean(axis=1).sum())

    def _draw_pairs(self, random: np.random.RandomState, first: Codes, second: Codes) -> None:
        self._first, self._second = first, second
        pairs = random.standard_normal((len(self._first), ARMS, ARMS))
        pairs *= np.exp(random.standard_normal(len(self._first)) / 2)[:, None, None]
        pairs -= pairs.mean(axis=1, keepdims=True)
        pairs -= pairs.mean(axis=2, keepdims=True)
        self._pairs: Floats = np.sqrt(self.rho) * pairs / np.sqrt((pairs**2).mean(axis=(1, 2)).sum())

    def _measure(self, random: np.random.RandomState) -> None:
        self.reference = np.sort(self.accuracy(uniform(REFERENCE, random)))
        self.spread = float(self.reference[self.reference > CHANCE].std())
        self.best = self._best(random)

    def latent(self, codes: Codes) -> Floats:
        """Return u of architectures (rows, 60)."""
        arms = self._arms[np.arange(EDGES), codes].sum(axis=1)
        pairs = self._pairs[np.arange(len(self._first)), codes[:, self._first], codes[:, self._second]].sum(axis=1)
        return np.asarray(arms + pairs)

    def dead(self, codes: Codes) -> Flags:
        """Return which architectures hold a deadly pair."""
        dead = np.zeros(len(codes), np.bool_)
        for (first, one), (second, other) in self._deadly:
            dead |= (codes[:, first] == one) & (codes[:, second] == other)
        return dead

    def accuracy(self, codes: Codes) -> Floats:
        """Return y of architectures (rows, 60)."""
        alive = np.maximum(TOP - self._span * np.exp(-self._curvature * self.latent(codes)), CHANCE)
        return np.where(self.dead(codes), CHANCE, alive)

    def percentile(self, accuracy: float) -> float:
        """Return the share of the random architectures that are worse, half of the equal ones."""
        below, up_to = np.searchsorted(self.reference, accuracy, "left"), np.searchsorted(self.reference, accuracy, "right")
        return float((below + up_to) / 2 / len(self.reference))

    def _best(self, random: np.random.RandomState, starts: int = 10) -> float:
        """Climb by the best change of one edge from random architectures."""
        best = 0.0
        for start in uniform(starts, random):
            row, here = start, float(self.accuracy(start[None])[0])
            while True:
                neighbours = np.repeat(row[None], EDGES * ARMS, axis=0)
                neighbours[np.arange(EDGES * ARMS), np.repeat(np.arange(EDGES), ARMS)] = np.tile(np.arange(ARMS), EDGES)
                accuracies = self.accuracy(neighbours)
                step = int(accuracies.argmax())
                if accuracies[step] <= here:
                    break
                row, here = neighbours[step], float(accuracies[step])
            best = max(best, here)
        return best


class Unlike(Landscape):
    """A landscape where no operation is alike on two edges; see the module's text."""

    def __init__(self, seed: int) -> None:
        """Draw the landscape."""
        random = np.random.RandomState(seed)
        self.eta, self.rho = 0.0, UNLIKE_RHO
        self._span, self._curvature = UNLIKE_SPAN, UNLIKE_CURVATURE
        self._draw_arms(random)
        every = np.stack(np.triu_indices(EDGES, 1), axis=1)
        pairs = every[random.permutation(len(every))[:UNLIKE_PAIRS]]
        self._draw_pairs(random, pairs[:, 0], pairs[:, 1])
        self._deadly = []
        self._measure(random)


def uniform(rows: int, random: np.random.RandomState) -> Codes:
    """Return architectures drawn uniformly."""
    return random.randint(0, ARMS, size=(rows, EDGES))


def _pairs(random: np.random.RandomState) -> tuple[Codes, Codes]:
    """Return first and second edge of every pair that interacts."""
    per_cell = len(SPACE.edges)
    touching = [
        (first, second)
        for first in range(per_cell)
        for second in range(first + 1, per_cell)
        if {SPACE.edges[first].source, SPACE.edges[first].target} & {SPACE.edges[second].source, SPACE.edges[second].target}
    ]
    pairs = [(cell * per_cell + a, cell * per_cell + b) for cell in range(len(SPACE.cell_types)) for a, b in touching]
    while len(pairs) < len(SPACE.cell_types) * len(touching) + 30:
        first, second = random.randint(EDGES), random.randint(EDGES)
        if first // per_cell != second // per_cell:
            pairs.append((first, second))
    both = np.array(pairs)
    return both[:, 0], both[:, 1]
