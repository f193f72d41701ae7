"""Anti-bandits: cover every arm, sample by lower bounds, drop the arm with the lowest upper bound at the end of a round.

What `abandit.py` and `abandit_scaled.py` share: coverage, rounds, draws and what is dropped; they differ in an arm's performance.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from pydantic import Field

from nas_service.search.bandit import Arm, sampling_probabilities, width
from nas_service.search.history import History, derived_random
from nas_service.search.liveness import covering, draw_live, places, settled, worst_that_may_go
from nas_service.search.ranking import by_reward
from nas_service.search.strategy import Ranked, Strategy, StrategySettings
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype


class AntiBanditSettings(StrategySettings):
    """Settings of every anti-bandit."""

    samples_per_arm: int = Field(3, ge=1, le=1000, description="T: a round lasts K * T samples.")
    width_coefficient: float = Field(1.0, ge=0, le=100, description="Factor c on the confidence width.")


@dataclass
class EdgeState:
    """The arms of one edge after a history."""

    keys: list[Choice]
    pulls: dict[Choice, int] = field(default_factory=dict)
    counts: dict[Choice, int] = field(default_factory=dict)  # n of the formulas: pulls, unless they were reset
    means: dict[Choice, float] = field(default_factory=dict)
    abandoned: dict[Choice, int] = field(default_factory=dict)
    total: int = 0  # N of the formulas

    @property
    def live(self) -> list[Choice]:
        """Return the arms that are not abandoned."""
        return [key for key in self.keys if key not in self.abandoned]

    def bound(self, key: Choice, coefficient: float) -> float:
        """Return the upper bound of an arm."""
        return self.means[key] + width(self.total, self.counts[key], coefficient)


class AntiBandit(Strategy):
    """An anti-bandit whose arms' performances a subclass works out."""

    settings: AntiBanditSettings

    @cached_property
    def _boundaries(self) -> tuple[int, ...]:
        """Number of samples at the end of coverage and of every round."""
        ends = [len(self._coverage)]
        for arms in range(self.space.arms_per_edge, 1, -1):
            ends.append(ends[-1] + arms * self.settings.samples_per_arm)
        return tuple(ends)

    @property
    def total(self) -> int:
        """K for coverage, then T (K + ... + 2)."""
        return self._boundaries[-1]

    @property
    def largest_wave(self) -> int:
        """Samples of the longest round: its end must be seen before the next begins."""
        return max(end - start for start, end in pairwise((0, *self._boundaries)))

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Cover every arm first, then sample by the lower bounds; stops short at the end of a round."""
        first = len(history)
        if first >= self.total:
            return ()
        end = next(boundary for boundary in self._boundaries if boundary > first)
        indices = range(first, min(first + count, end))
        if first < self._boundaries[0]:
            return tuple(Genotype(self.space.name, self._coverage[index]) for index in indices)
        edges = self._replay(history)
        return tuple(self._draw(edges, index) for index in indices)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Replay the history; an abandoned arm keeps the bounds it would have today."""
        arms = []
        for edge in self._replay(history):
            for key in edge.keys:
                mean = edge.means.get(key)
                delta = edge.bound(key, self.settings.width_coefficient) - mean if mean is not None else 0.0
                arms.append(
                    Arm(
                        key,
                        edge.pulls.get(key, 0),
                        mean,
                        mean - delta if mean is not None else None,
                        mean + delta if mean is not None else None,
                        edge.abandoned.get(key),
                    )
                )
        return tuple(arms)

    def round_ends(self, samples: int) -> tuple[int, ...]:
        """Round r ends with the T (K - r + 1) samples that one arm of every edge is dropped after."""
        return tuple(end for end in self._boundaries[1:] if end <= samples)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Put the survivors of a finished search first, then the samples by reward, the earlier of equals first.

        The survivors' score is the mean of their arms' performances, in units of accuracy.
        """
        first = []
        if len(history) >= self.total:
            edges = self._replay(history)
            survivors = [edge.live[0] for edge in edges]
            means = [edge.means[key] for edge, key in zip(edges, survivors, strict=True)]
            if self.region.fits(survivors):  # but for an arm that had to be kept beside another
                first.append(Ranked(Genotype(self.space.name, tuple(survivors)), self._score(sum(means) / len(means), history)))
        return by_reward(self.space, history, count, first)

    @abstractmethod
    def _replay(self, history: History) -> list[EdgeState]:
        """Return the edges after a history; not to be changed."""

    @abstractmethod
    def _score(self, performance: float, history: History) -> float:
        """Return a performance as an accuracy."""

    def probabilities(self, history: History) -> dict[Choice, float]:
        """Return with what probability each live arm is drawn next (a dead draw is drawn anew); empty before all were covered."""
        if len(history) < self._boundaries[0]:
            return {}
        return {
            key: probability
            for edge in self._replay(history)
            for key, probability in zip(edge.live, self._edge_probabilities(edge), strict=True)
        }

    def _edge_probabilities(self, edge: EdgeState) -> list[float]:
        coefficient = self.settings.width_coefficient
        return sampling_probabilities([2 * edge.means[key] - edge.bound(key, coefficient) for key in edge.live])

    @cached_property
    def _coverage(self) -> list[tuple[Choice, ...]]:
        return covering(self.region, self.possible, self.space.arms_per_edge, self.seed, ("coverage",))

    def _draw(self, edges: list[EdgeState], index: int) -> Genotype:
        def uniform(place: int, attempt: int) -> float:
            key = edges[place].keys[0]
            again = [attempt] if attempt else []
            return derived_random(self.seed, "sample", index, key.cell, key.edge, *again).random()

        probabilities = [self._edge_probabilities(edge) for edge in edges]
        choices = draw_live(self.region, [edge.live for edge in edges], probabilities, uniform)
        return Genotype(self.space.name, tuple(choices))

    def _fresh(self) -> list[EdgeState]:
        edges = [EdgeState(keys) for keys in places(self.space)]
        self._settle(edges, 0)
        covered = {key for row in self._coverage for key in row}
        for edge in edges:  # what two limits rule out together
            edge.abandoned |= dict.fromkeys([key for key in edge.live if key not in covered], 0)
        return edges

    def _abandon(self, edges: list[EdgeState], finished_round: int) -> None:
        arms_left = self.space.arms_per_edge - finished_round
        for place, edge in enumerate(edges):
            if len(edge.live) > arms_left:
                bounds = [edge.bound(key, self.settings.width_coefficient) for key in edge.live]
                goes = worst_that_may_go(self.region, [beside.live for beside in edges], place, bounds)
                edge.abandoned[goes] = finished_round
                try:
                    self._settle(edges, finished_round)
                except InvalidFieldError:  # of a large space nothing was found without it
                    del edge.abandoned[goes]

    def _settle(self, edges: list[EdgeState], finished_round: int) -> None:
        """Abandon the arms that no live combination of the others holds."""
        for edge, left in zip(edges, settled(self.region, [edge.live for edge in edges]), strict=True):
            edge.abandoned |= dict.fromkeys([key for key in edge.live if key not in left], finished_round)
