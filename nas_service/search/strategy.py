"""The contract of a search strategy: a pure function of settings, seed and history."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

from nas_service.search.aims import Aims
from nas_service.search.arm_facts import MEAN_REWARDS, ArmFacts, ArmUnit
from nas_service.search.bandit import Arm
from nas_service.search.beliefs import Belief
from nas_service.search.earlier import PriorSearch
from nas_service.search.history import History, under_attack
from nas_service.search.limits import Arms, Limits
from nas_service.search.liveness import balanced_bag, possible_arms, region_of
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.given import GivenModel
from search_spaces.registry import Registry
from search_spaces.space import SearchSpace

Model = TypeVar("Model")


class StrategySettings(GivenModel):
    """Settings of a strategy; unknown ones are refused."""


@dataclass(frozen=True)
class Ranked:
    """A discovered genotype and the figure that ranked it.

    Attributes:
        genotype: What was found.
        score: A reward, or an estimate of one.
        attacked: Its accuracy under attack, told as the score is; None where that is no aim.
    """

    genotype: Genotype
    score: float
    attacked: float | None = None


class Strategy(ABC):
    """Decides what to sample next and what to abandon.

    A strategy object keeps nothing between calls: the same history gives the same answer, so a restart replays the
    committed samples and goes on. Randomness derives from (seed, sample index). Every genotype it suggests or ranks is
    live (`SearchSpace.dead_node`) and within the limits.

    Attributes:
        summary: One line for the catalogue.
        reference: "as published (...)" or "ours", and what it is made of.
        figures: Page of this repository with what was measured of it.
        settings_model: Type of its settings; its JSON schema is in the catalogue.
        arm_facts: What the figures of its arms mean.
        needs_own: Whether its samples have to be trainings of their own (`evaluation.own`).
        trades: Whether it can trade costs and accuracy under attack against the reward, and then returns a Pareto set.
        takes_prior: Whether another search's samples can be a prior of its models.
        is_costly: Whether working out the arms after a history takes much more than reading it.
        region: What is searched of the space: live genotypes, within limits if there are any.
        possible: At every place, the arms that some genotype of the region holds.
        prior: Samples of another search, which every answer depends on; None: there are none.
    """

    summary: ClassVar[str]
    reference: ClassVar[str]
    figures: ClassVar[str]
    settings_model: ClassVar[type[StrategySettings]]
    arm_facts: ClassVar[ArmFacts] = MEAN_REWARDS
    trades: ClassVar[bool] = False
    is_costly: ClassVar[bool] = False
    needs_own: ClassVar[bool] = False
    takes_prior: ClassVar[bool] = False

    @classmethod
    def from_settings(
        cls,
        space: SearchSpace,
        settings: Mapping[str, Any],
        seed: int,
        parameters: Callable[[Genotype], int] | None = None,
        limits: Limits | None = None,
        aims: Aims | None = None,
    ) -> "Strategy":
        """Check `settings` and make the strategy; the other arguments as of the constructor.

        Raises:
            pydantic.ValidationError: If a setting is unknown or out of range.
            InvalidFieldError: If the space has no live genotype, or none within the limits.
        """
        return cls(space, cls.settings_model.model_validate(settings), seed, parameters, limits, aims)

    def __init__(
        self,
        space: SearchSpace,
        settings: StrategySettings,
        seed: int,
        parameters: Callable[[Genotype], int] | None = None,
        limits: Limits | None = None,
        aims: Aims | None = None,
    ) -> None:
        """Keep what the answers depend on beside the history.

        Args:
            space: What is searched.
            settings: Checked.
            seed: Everything random derives from it.
            parameters: Tells how many parameters a genotype has, which is the sum of what its arms have; None: nobody can.
            limits: What every genotype that it suggests or ranks keeps; None: there are none.
            aims: What it trades against the reward; None: the reward alone counts.
        """
        self.space = space
        self.settings = settings
        self.seed = seed
        self.parameters = parameters
        self.aims = aims
        self.region = region_of(space, limits)
        self.possible = possible_arms(space, limits)
        self.prior: PriorSearch | None = None

    def warmed(self, prior: PriorSearch | None) -> "Strategy":
        """Return this strategy, not asked for anything yet, with another search's samples as a prior.

        Raises:
            InvalidFieldError: If there are some, and it has no model that they could be a prior of.
        """
        if prior is not None and not self.takes_prior:
            raise InvalidFieldError(
                "from_search", "given", "null: the strategy has no model that could learn how far to believe it"
            )
        self.prior = prior
        return self

    @cached_property
    def _twin(self) -> Self | None:
        """The same strategy for accuracies under attack in place of rewards; None where these are no aim."""
        if self.aims is None or not self.aims.attacked:
            return None
        twin = type(self)(self.space, self.settings, self.seed, self.parameters, self.region.limits)
        twin.prior = None if self.prior is None else self.prior.under_attack
        return twin

    def both(self, model: Callable[[Self, History], Model], history: History) -> tuple[Model, ...]:
        """Return a model of the rewards after a history, and the same of its accuracies under attack where these are an aim."""
        told = model(self, history)
        return (told,) if self._twin is None else (told, model(self._twin, under_attack(history)))

    def bag(self, arms: Arms, size: int, *path: object) -> list[tuple[Choice, ...]]:
        """Return `size` balanced genotypes of these arms (`liveness.balanced_bag`), from the stream (seed, path).

        The last one is remembered, which changes no answer: samples of a bag are suggested one after another.
        """
        key = (path, size, tuple(tuple(keys) for keys in arms))
        if self._last_bag is None or self._last_bag[0] != key:
            self._last_bag = key, balanced_bag(self.region, arms, size, self.seed, path)
        return self._last_bag[1]

    _last_bag: tuple[object, list[tuple[Choice, ...]]] | None = None

    @property
    def needs_parent(self) -> bool:
        """Whether every sample must also train its full-precision parent and tell its accuracy."""
        return False

    def fidelity(self, index: int) -> float:
        """Return which share of a whole training sample `index` is, in (0, 1]; it depends on the index alone.

        With shared weights a sample is no part of a training, and this is 1.
        """
        del index
        return 1.0

    @property
    def largest_wave(self) -> int | None:
        """Most samples it ever suggests at once, since then it must see results; None: as many as are left."""
        return None

    @property
    @abstractmethod
    def total(self) -> int:
        """Number of samples of the whole search."""

    @abstractmethod
    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Return the next genotypes, to be evaluated from the same shared weights.

        Fewer than `count` where the strategy must see results first (the end of a round); none when the search is over.
        """

    @abstractmethod
    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return the statistics of every arm, in the space's order."""

    def beliefs(self, history: History) -> tuple[Belief, ...]:
        """Return how far its models believe what they know of architectures beside their arms; none where they know nothing."""
        del history
        return ()

    def round_ends(self, samples: int) -> tuple[int, ...]:
        """Return after how many samples rounds 1, 2, ... ended, as of so many samples; empty where there are no rounds."""
        del samples
        return ()

    def score_unit(self, samples: int) -> ArmUnit:
        """Return what the score of the first of `rank` is counted in after so many samples."""
        del samples
        return ArmUnit.ACCURACY

    @abstractmethod
    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Return the best genotypes found, best first, without repeats.

        With `aims` the Pareto set, or of a large one those that add most to its hypervolume, which come first.
        """


STRATEGIES: Registry[type[Strategy]] = Registry("search strategy", "nas_service.search.strategies")
