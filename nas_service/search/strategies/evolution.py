"""Regularised evolution: mutate the winner of a tournament; the oldest dies, however good.

    population   the last P samples of the history: whoever is older is dead (aging)
    parent       the best of S members drawn from the population, with replacement
    child        the parent with one other operation on one edge, both drawn uniformly

It begins with P random genotypes. Nothing is evaluated twice: a child that is dead, breaks a limit, was evaluated or is
pending in the same wave is drawn again from the next derived stream, tournament and all; after 200 attempts a random genotype is
taken, a new one if 200 draws (20 within limits) find it (a space that is used up repeats itself). Within a wave every parent
comes from the samples before it. The paper has P = 100 and S = 25 for 20,000 samples; the defaults are for a hundred or so.

References:
    Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019, arXiv 1802.01548, algorithm 1.
"""

from collections.abc import Iterator
from functools import cached_property
from random import Random as Generator

from pydantic import Field

from nas_service.search.bandit import Arm
from nas_service.search.history import History, Sample, derived_random
from nas_service.search.liveness import draw_uniform
from nas_service.search.ranking import MeanArms, by_reward
from nas_service.search.strategies.abandit import published_budget
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Choice, Genotype

_ATTEMPTS = 200
_ATTEMPTS_WITHIN = 20  # a draw within limits may take a thousand, and few architectures may be left


class EvolutionSettings(StrategySettings):
    """Settings of regularised evolution."""

    samples: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="Number of samples; as many as `abandit` takes with its defaults if left out.",
    )
    population: int = Field(20, ge=1, le=100_000, description="P: the youngest P samples may have children.")
    tournament: int = Field(5, ge=1, le=100_000, description="S: of so many members the best is the parent.")


@STRATEGIES.register("evolution")
class Evolution(Strategy):
    """Regularised evolution; see the module's text."""

    summary = "regularised evolution: one mutation of the best of a tournament, the oldest dies"
    reference = "as published (Real et al., AAAI 2019), arXiv 1802.01548"
    figures = "benchmarks/results/strategy_bench.md"
    settings_model = EvolutionSettings
    settings: EvolutionSettings

    @property
    def total(self) -> int:
        """The setting, or the budget of ABanditNAS in this space."""
        return published_budget(self.space) if self.settings.samples is None else self.settings.samples

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Draw random genotypes until the population is full, then children."""
        seen = {sample.genotype for sample in history}
        genotypes = []
        for index in range(len(history), min(len(history) + count, self.total)):
            proposals = self._proposals(history, index)
            genotype = next((proposal for proposal in proposals if proposal not in seen), None)
            genotypes.append(self._random(index, 0) if genotype is None else genotype)
            seen.add(genotypes[-1])
        return tuple(genotypes)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return plain averages with the bandit's bounds."""
        return self._means.after(history)

    @cached_property
    def _means(self) -> MeanArms:
        return MeanArms(self.space, self.possible)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order the samples by reward, the earlier of equals first."""
        return by_reward(self.space, history, count)

    def _proposals(self, history: History, index: int) -> Iterator[Genotype]:
        """Yield live genotypes in the order of preference."""
        if len(history) >= self.settings.population:
            population = history[-self.settings.population :]
            for attempt in range(_ATTEMPTS):
                child = self._child(population, derived_random(self.seed, "child", index, attempt))
                if self.space.dead_node(child) is None and self.region.fits(child):
                    yield Genotype(self.space.name, child)
        for attempt in range(_ATTEMPTS if self.region.limits is None else _ATTEMPTS_WITHIN):
            yield self._random(index, attempt)

    def _child(self, population: History, generator: Generator) -> tuple[Choice, ...]:
        members = [population[int(generator.random() * len(population))] for _ in range(self.settings.tournament)]
        parent: Sample = max(members, key=lambda sample: sample.reward)
        choices = list(parent.genotype.choices)
        mutable = [place for place, keys in enumerate(self.possible) if len(keys) > 1]
        if mutable:
            place = mutable[int(generator.random() * len(mutable))]
            others = [key for key in self.possible[place] if key != choices[place]]
            choices[place] = others[int(generator.random() * len(others))]
        return tuple(choices)

    def _random(self, index: int, attempt: int) -> Genotype:
        path = ("evolution", index, attempt)
        return Genotype(self.space.name, draw_uniform(self.region, self.possible, self.seed, path))
