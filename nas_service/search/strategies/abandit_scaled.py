"""abandit-scaled: the anti-bandit with rewards and bounds on one scale.

The bound of ABanditNAS (`abandit.py`) is one of rewards whose spread is of the order of 1. Accuracies in [0, 1] spread by some
hundredths, so its width outweighs them, and its choices follow the counts of pulls. Here, with the same coverage, rounds and
budget,

    performance  m = mean rank score of the samples that held the arm: the normal quantile of a sample's place among all samples
                 so far, (rank - 1/2) / N, whose spread is 1 whatever rewards are
    width        delta = c sqrt(2 ln N / n), as published, which with c = 1 is the bound of a spread of 1; N samples, n of the arm
    sampling     p ~ exp(-(m - delta)) and
    abandonment  argmin m + delta, as published

so that nothing is forgotten and no scale of rewards is guessed. At the end of a round arms are judged by the ranks of then;
tables tell those of today.

References:
    Own variant of Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698.
"""

from nas_service.search.anti_bandit import AntiBandit, AntiBanditSettings, EdgeState
from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.history import History
from nas_service.search.posterior import rank_scores, rewards_at
from nas_service.search.strategy import STRATEGIES


@STRATEGIES.register("abandit-scaled")
class AbanditScaled(AntiBandit):
    """abandit-scaled; see the module's text."""

    summary = "the anti-bandit with rewards as rank scores, so that accuracies decide and not the counts of pulls"
    reference = "ours, a variant of Chen et al., ECCV 2020, arXiv 2008.00698"
    figures = "benchmarks/results/strategy_bench.md"
    settings_model = AntiBanditSettings
    arm_facts = ArmFacts(
        ArmUnit.RANK_EFFECT,
        centre=0.0,
        bounds=ArmBounds.CONFIDENCE,
        higher_is_better=True,
        meaning="Mean rank score of the samples that held the arm, 0 being average and 1 the spread of samples, with confidence "
        "bounds.",
    )

    def _score(self, performance: float, history: History) -> float:
        return float(rewards_at(rank_scores([0.0]) + performance, [sample.reward for sample in history])[0])

    def _replay(self, history: History) -> list[EdgeState]:
        """Judge every round by the ranks of its end; the last replay is remembered, which changes no answer."""
        key = tuple((sample.genotype, sample.reward) for sample in history)
        if self._remembered is None or self._remembered[0] != key:
            edges = self._fresh()
            for number, end in enumerate(self.round_ends(len(history)), start=1):
                _tell(edges, history[:end])
                self._abandon(edges, number)
            _tell(edges, history)
            self._remembered = key, edges
        return self._remembered[1]

    _remembered: tuple[tuple[object, ...], list[EdgeState]] | None = None


def _tell(edges: list[EdgeState], history: History) -> None:
    """Write counts and mean rank scores of a history into the edges."""
    scores = rank_scores([sample.reward for sample in history]).tolist() if history else []
    for place, edge in enumerate(edges):
        held: dict[object, list[float]] = {}
        for sample, score in zip(history, scores, strict=True):
            held.setdefault(sample.genotype.choices[place], []).append(score)
        edge.pulls = {key: len(held[key]) for key in edge.keys if key in held}
        edge.counts, edge.total = dict(edge.pulls), len(history)
        edge.means = {key: sum(held[key]) / len(held[key]) for key in edge.pulls}
