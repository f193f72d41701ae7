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

from enum import StrEnum
from functools import cached_property

from pydantic import Field

from nas_service.search.anti_bandit import AntiBandit, AntiBanditSettings, EdgeState
from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.bandit import updated_mean
from nas_service.search.history import History, Sample
from nas_service.search.replay import Replay
from nas_service.search.strategy import STRATEGIES
from search_spaces.space import SearchSpace


class CountsAfterRound(StrEnum):
    """What becomes of n and N when a round ends."""

    KEEP = "keep"
    RESET = "reset"


class AbanditSettings(AntiBanditSettings):
    """Settings of ABanditNAS; the defaults are the published constants."""

    momentum: float = Field(0.7, gt=0, le=1, description="lambda of the update of an arm's performance.")
    reward_scale: float = Field(1.0, gt=0, le=1000, description="Factor on the validation accuracy, itself in [0, 1].")
    counts_after_round: CountsAfterRound = Field(
        CountsAfterRound.KEEP, strict=False, description="Whether pulls are kept after a round or start again from 1."
    )


def published_budget(space: SearchSpace) -> int:
    """Return the samples that the published constants take in a space: K + 3 (K + (K - 1) + ... + 2)."""
    return space.arms_per_edge + AbanditSettings().samples_per_arm * sum(range(2, space.arms_per_edge + 1))


@STRATEGIES.register("abandit")
class Abandit(AntiBandit):
    """ABanditNAS; see the module's text."""

    summary = "anti-bandit: sample by lower confidence bound, abandon by upper, one arm an edge every K * T samples"
    reference = "as published (Chen et al., ECCV 2020), arXiv 2008.00698"
    figures = "benchmarks/results/strategy_bench.md"
    settings_model = AbanditSettings
    arm_facts = ArmFacts(
        ArmUnit.ACCURACY,
        centre=None,
        bounds=ArmBounds.CONFIDENCE,
        higher_is_better=True,
        meaning="Running validation accuracy of the samples that held the arm, times `reward_scale`, with confidence bounds.",
    )
    settings: AbanditSettings

    def _score(self, performance: float, history: History) -> float:
        del history
        return performance / self.settings.reward_scale

    def _replay(self, history: History) -> list[EdgeState]:
        return self._replayed.after(history)

    @cached_property
    def _replayed(self) -> Replay[list[EdgeState]]:
        return Replay(self._fresh, self._add)

    def _add(self, edges: list[EdgeState], sample: Sample) -> None:
        self._update(edges, sample)
        if sample.index + 1 in self._boundaries[1:]:
            self._abandon(edges, self._boundaries.index(sample.index + 1))
            if self.settings.counts_after_round is CountsAfterRound.RESET:
                for edge in edges:
                    edge.counts = dict.fromkeys(edge.counts, 1)
                    edge.total = len(edge.live)

    def _update(self, edges: list[EdgeState], sample: Sample) -> None:
        reward = sample.reward * self.settings.reward_scale
        for edge, key in zip(edges, sample.genotype.choices, strict=True):
            edge.pulls[key] = edge.pulls.get(key, 0) + 1
            edge.counts[key] = edge.counts.get(key, 0) + 1
            edge.total += 1
            edge.means[key] = updated_mean(edge.means.get(key), reward, self.settings.momentum)
