"""ABanditNAS: sample what is least sure, abandon what is surely worst.

Per edge, with N samples so far, n pulls and running performance m of an arm (1.2 = equations in `bandit.py`):

    width       delta = c sqrt(2 ln N / n)
    sampling    p(o) = exp(-s_L(o)) / sum exp(-s_L), s_L = m - delta, every edge by itself
    update      m <- (1 - lambda) m + lambda a for the sampled arms, a = validation accuracy
    abandonment after every K T samples drop argmin s_U, s_U = m + delta, on every edge; K <- K - 1

It starts with coverage: K samples in which every arm of an edge appears, in an order drawn for each edge; they give the
first m. It ends with one arm on each edge, after K + T (K + (K - 1) + ... + 2) samples.

What the paper leaves open is a setting: `width_coefficient` (c, published 1), `reward_scale` (a is multiplied with it; 1
keeps accuracies in [0, 1] as the bound's proof needs, 100 makes them per cent), `counts_after_round` (published: nothing
is said; `keep` goes on counting, `reset` takes n = 1 for every arm and N = arms left, as after coverage). Ties in the upper bound
drop the first arm in the space's order. An edge with fewer arms than K repeats its arms during coverage and abandons only
while it has more arms than the round leaves.

Zeroise (not among the paper's arms) can leave a node dead. Dead draws are drawn again (`liveness.draw_live`), so
probabilities are those of the paper given a live genotype. An arm that no live combination of the arms left can hold is
abandoned with the arm that made it so: edges are taken in the space's order, and once one edge alone can carry something
into a node, its zeroise goes. So the survivors are always live; arms that no genotype of the space can hold are abandoned
in round 0.

Limits on costs (not in the paper) are kept likewise: draws that break one are drawn again, coverage goes on until it holds every
arm that a genotype within the limits holds, and the arm that is dropped is the worst of those without which some are left.

References:
    Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698, algorithm 1;
    Zhang et al., "Binary Neural Networks", CRC Press, section 4.2, algorithm 8.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from pydantic import Field

from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.bandit import Arm, sampling_probabilities, updated_mean, width
from nas_service.search.history import History, Sample, derived_random
from nas_service.search.liveness import covering, draw_live, places, settled, worst_that_may_go
from nas_service.search.ranking import by_reward
from nas_service.search.replay import Replay
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SearchSpace


class CountsAfterRound(StrEnum):
    """What becomes of n and N when a round ends."""

    KEEP = "keep"
    RESET = "reset"


class AbanditSettings(StrategySettings):
    """Settings of ABanditNAS; the defaults are the published constants."""

    samples_per_arm: int = Field(3, ge=1, le=1000, description="T: a round lasts K * T samples.")
    momentum: float = Field(0.7, gt=0, le=1, description="lambda of the update of an arm's performance.")
    width_coefficient: float = Field(1.0, ge=0, le=100, description="Factor c on the confidence width.")
    reward_scale: float = Field(1.0, gt=0, le=1000, description="Factor on the validation accuracy, itself in [0, 1].")
    counts_after_round: CountsAfterRound = Field(
        CountsAfterRound.KEEP, strict=False, description="Whether pulls are kept after a round or start again from 1."
    )


def published_budget(space: SearchSpace) -> int:
    """Return the samples that the published constants take in a space: K + 3 (K + (K - 1) + ... + 2)."""
    return space.arms_per_edge + AbanditSettings().samples_per_arm * sum(range(2, space.arms_per_edge + 1))


@dataclass
class _EdgeState:
    """The arms of one edge while a history is replayed."""

    keys: list[Choice]
    pulls: dict[Choice, int] = field(default_factory=dict)
    counts: dict[Choice, int] = field(default_factory=dict)  # n of the formulas: pulls, unless they were reset
    means: dict[Choice, float] = field(default_factory=dict)
    abandoned: dict[Choice, int] = field(default_factory=dict)
    total: int = 0  # N of the formulas

    @property
    def live(self) -> list[Choice]:
        return [key for key in self.keys if key not in self.abandoned]

    def bound(self, key: Choice, coefficient: float) -> float:
        return self.means[key] + width(self.total, self.counts[key], coefficient)


@STRATEGIES.register("abandit")
class Abandit(Strategy):
    """ABanditNAS; see the module's text."""

    summary = "anti-bandit: sample by lower confidence bound, abandon by upper, one arm an edge every K * T samples"
    reference = "Chen et al., ECCV 2020, arXiv 2008.00698"
    settings_model = AbanditSettings
    arm_facts = ArmFacts(
        ArmUnit.ACCURACY,
        centre=None,
        bounds=ArmBounds.CONFIDENCE,
        higher_is_better=True,
        meaning="Running validation accuracy of the samples that held the arm, times `reward_scale`, with confidence bounds.",
    )
    settings: AbanditSettings

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
            score = sum(means) / len(means) / self.settings.reward_scale
            first.append(Ranked(Genotype(self.space.name, tuple(survivors)), score))
        return by_reward(self.space, history, count, first)

    def probabilities(self, history: History) -> dict[Choice, float]:
        """Return with what probability each live arm is drawn next (a dead draw is drawn anew); empty before all were covered."""
        if len(history) < self._boundaries[0]:
            return {}
        return {
            key: probability
            for edge in self._replay(history)
            for key, probability in zip(edge.live, self._edge_probabilities(edge), strict=True)
        }

    def _edge_probabilities(self, edge: _EdgeState) -> list[float]:
        coefficient = self.settings.width_coefficient
        return sampling_probabilities([2 * edge.means[key] - edge.bound(key, coefficient) for key in edge.live])

    @cached_property
    def _coverage(self) -> list[tuple[Choice, ...]]:
        return covering(self.region, self.possible, self.space.arms_per_edge, self.seed, ("coverage",))

    def _draw(self, edges: list[_EdgeState], index: int) -> Genotype:
        def uniform(place: int, attempt: int) -> float:
            key = edges[place].keys[0]
            again = [attempt] if attempt else []
            return derived_random(self.seed, "sample", index, key.cell, key.edge, *again).random()

        probabilities = [self._edge_probabilities(edge) for edge in edges]
        choices = draw_live(self.region, [edge.live for edge in edges], probabilities, uniform)
        return Genotype(self.space.name, tuple(choices))

    def _replay(self, history: History) -> list[_EdgeState]:
        return self._replayed.after(history)

    @cached_property
    def _replayed(self) -> Replay[list[_EdgeState]]:
        return Replay(self._fresh, self._add)

    def _fresh(self) -> list[_EdgeState]:
        edges = [_EdgeState(keys) for keys in places(self.space)]
        self._settle(edges, 0)
        covered = {key for row in self._coverage for key in row}
        for edge in edges:  # what two limits rule out together
            edge.abandoned |= dict.fromkeys([key for key in edge.live if key not in covered], 0)
        return edges

    def _add(self, edges: list[_EdgeState], sample: Sample) -> None:
        self._update(edges, sample)
        if sample.index + 1 in self._boundaries[1:]:
            self._abandon(edges, self._boundaries.index(sample.index + 1))

    def _update(self, edges: list[_EdgeState], sample: Sample) -> None:
        reward = sample.reward * self.settings.reward_scale
        for edge, key in zip(edges, sample.genotype.choices, strict=True):
            edge.pulls[key] = edge.pulls.get(key, 0) + 1
            edge.counts[key] = edge.counts.get(key, 0) + 1
            edge.total += 1
            edge.means[key] = updated_mean(edge.means.get(key), reward, self.settings.momentum)

    def _abandon(self, edges: list[_EdgeState], finished_round: int) -> None:
        arms_left = self.space.arms_per_edge - finished_round
        for place, edge in enumerate(edges):
            if len(edge.live) > arms_left:
                bounds = [edge.bound(key, self.settings.width_coefficient) for key in edge.live]
                goes = worst_that_may_go(self.region, [beside.live for beside in edges], place, bounds)
                edge.abandoned[goes] = finished_round
                self._settle(edges, finished_round)
        if self.settings.counts_after_round is CountsAfterRound.RESET:
            for edge in edges:
                edge.counts = dict.fromkeys(edge.counts, 1)
                edge.total = len(edge.live)

    def _settle(self, edges: list[_EdgeState], finished_round: int) -> None:
        """Abandon the arms that no live combination of the others holds."""
        for edge, left in zip(edges, settled(self.region, [edge.live for edge in edges]), strict=True):
            edge.abandoned |= dict.fromkeys([key for key in edge.live if key not in left], finished_round)
