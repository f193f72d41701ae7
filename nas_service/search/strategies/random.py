"""Random search that shares weights: the control every search is compared with.

Every edge of every sample draws its operation uniformly, a node that came out dead again; nothing is abandoned. At the
same number of samples it differs from a strategy only in not learning (Li and Talwalkar, "Random Search and
Reproducibility for NAS", arXiv 1902.07638, section 3.2: random search with weight sharing). The arms' statistics are plain
means with the bandit's bounds, so that tables compare.
"""

from functools import cached_property

from pydantic import Field

from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.liveness import draw_uniform
from nas_service.search.ranking import MeanArms, by_reward, front_of
from nas_service.search.strategies.abandit import published_budget
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Genotype


class RandomSettings(StrategySettings):
    """Settings of random search."""

    samples: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Number of samples; as many as `abandit` takes with its defaults if left out.",
    )


@STRATEGIES.register("random")
class Random(Strategy):
    """Random search with shared weights; see the module's text."""

    summary = "uniform random paths of the shared supernet, ranked by reward: the control"
    reference = "as published (Li and Talwalkar, UAI 2019), arXiv 1902.07638"
    figures = "benchmarks/results/equal_compute.md"
    settings_model = RandomSettings
    trades = True
    settings: RandomSettings

    @property
    def total(self) -> int:
        """The setting, or the budget of ABanditNAS in this space."""
        return published_budget(self.space) if self.settings.samples is None else self.settings.samples

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Draw independent uniform live genotypes."""
        first = len(history)
        return tuple(self._draw(index) for index in range(first, min(first + count, self.total)))

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return plain averages with the bandit's bounds."""
        return self._means.after(history)

    @cached_property
    def _means(self) -> MeanArms:
        return MeanArms(self.space, self.possible)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order the samples by reward, the earlier of equals first; with costs that are traded, their Pareto set."""
        return by_reward(self.space, history, count) if self.aims is None else front_of(self.space, history, count, self.aims)

    def _draw(self, index: int) -> Genotype:
        return Genotype(self.space.name, draw_uniform(self.region, self.possible, self.seed, ("random", index)))
