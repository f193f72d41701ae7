"""hill-climb: of the best sample so far, one edge is drawn anew."""

from pydantic import Field

from nas_service.search.bandit import Arm
from nas_service.search.history import History, derived_random
from nas_service.search.liveness import draw_uniform
from nas_service.search.ranking import MeanArms, by_reward
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Genotype


class ClimbSettings(StrategySettings):
    """Settings of hill climbing."""

    samples: int = Field(8, ge=1, le=10_000, description="Number of samples.")
    drawn: int = Field(3, ge=1, le=10_000, description="The first so many are drawn uniformly.")


@STRATEGIES.register("hill-climb")
class HillClimb(Strategy):
    """Hill climbing: everything random derives from seed and index, everything else from the history."""

    summary = "one edge of the best sample so far is drawn anew"
    reference = "ours (hill climbing)"
    figures = "docs/guides/own-strategy.md"
    settings_model = ClimbSettings
    settings: ClimbSettings

    @property
    def total(self) -> int:
        """The setting."""
        return self.settings.samples

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Draw, then climb; within a wave every step begins from the same best."""
        indices = range(len(history), min(len(history) + count, self.total))
        return tuple(self._step(history, index) for index in indices)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return plain averages with the bandit's bounds."""
        return MeanArms(self.space, self.possible).after(history)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order the samples by reward, the earlier of equals first."""
        return by_reward(self.space, history, count)

    def _step(self, history: History, index: int) -> Genotype:
        drawn = draw_uniform(self.region, self.possible, self.seed, ("climb", index))
        if index >= self.settings.drawn and history:
            best = max(history, key=lambda sample: sample.reward).genotype.choices
            place = derived_random(self.seed, "place", index).randrange(len(best))
            changed = (*best[:place], drawn[place], *best[place + 1 :])
            if self.space.dead_node(changed) is None and self.region.fits(changed):
                return Genotype(self.space.name, changed)
        return Genotype(self.space.name, drawn)


if __name__ == "__main__":
    import torch

    from nas_service.checking.datasets import open_dataset
    from nas_service.search.loop import run_search
    from nas_service.settings import Settings
    from nas_service.specs import SearchSpec
    from nas_service.training.supernet.local_evaluator import LocalEvaluator
    from workers.supernet_worker import build_search, build_trainer

    torch.set_num_threads(1)  # part of what makes results repeat
    own = {"own": {"recipe": {"epochs": 2}}}  # every sample is a training of its own
    for name in ("hill-climb", "random"):
        component = {"name": name, "settings": {"samples": 8}}
        spec = SearchSpec.model_validate({"space": "tiny", "method": "bnn", "strategy": component, "evaluation": own})
        data = open_dataset(spec.dataset, Settings()).without_test()
        evaluator = LocalEvaluator(build_trainer(spec, data, torch.device("cpu")))
        history = run_search(build_search(spec)[1], evaluator, (), 1, lambda _: None)
        rewards = ", ".join(f"{sample.reward:.3f}" for sample in history)
        print(f"{name}: best {max(sample.reward for sample in history):.3f} of {rewards}")
