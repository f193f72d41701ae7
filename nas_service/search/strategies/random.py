"""Random search that shares weights: the control every search is compared with.

Every edge of every sample draws its operation uniformly; nothing is abandoned. At the same number of samples it differs
from a strategy only in not learning (Li and Talwalkar, "Random Search and Reproducibility for NAS", arXiv 1902.07638,
section 3.2: random search with weight sharing). The arms' statistics are plain means with the bandit's bounds, so that
tables compare.
"""

from pydantic import Field

from nas_service.search.bandit import Arm, width
from nas_service.search.history import History, derived_random
from nas_service.search.strategies.abandit import Abandit, AbanditSettings
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Choice, Genotype


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
    reference = "Li and Talwalkar, UAI 2019, arXiv 1902.07638"
    settings_model = RandomSettings
    settings: RandomSettings

    @property
    def total(self) -> int:
        """The setting, or the budget of ABanditNAS in this space."""
        if self.settings.samples is not None:
            return self.settings.samples
        return Abandit(self.space, AbanditSettings(), self.seed).total

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Draw independent uniform genotypes."""
        first = len(history)
        return tuple(self._draw(index) for index in range(first, min(first + count, self.total)))

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return means and bounds of equations 4.9 and 4.12 with plain averages."""
        rewards: dict[Choice, list[float]] = {}
        for sample in history:
            for key in sample.genotype.choices:
                rewards.setdefault(key, []).append(sample.reward)
        arms = []
        for key in self.space.arms():
            seen = rewards.get(key, [])
            if not seen:
                arms.append(Arm(key))
                continue
            mean, delta = sum(seen) / len(seen), width(len(history), len(seen))
            arms.append(Arm(key, len(seen), mean, mean - delta, mean + delta))
        return tuple(arms)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order the samples by reward, the earlier of equals first."""
        best: dict[Genotype, float] = {}
        for sample in sorted(history, key=lambda sample: -sample.reward):
            best.setdefault(sample.genotype, sample.reward)
        return tuple(Ranked(genotype, score) for genotype, score in list(best.items())[:count])

    def _draw(self, index: int) -> Genotype:
        operations = {}
        for cell in self.space.cell_types:
            for edge in self.space.edges:
                uniform = derived_random(self.seed, "random", index, cell.name, edge.name).random()
                operations[cell.name, edge.name] = edge.operations[int(uniform * len(edge.operations))]
        return self.space.genotype(operations)
