"""screen-and-train: short trainings from scratch of many architectures, then whole trainings of the few that promise most.

    screen     the first samples, in bags of K architectures in which each live arm of each edge appears once, are trained for a
               share `fidelity` of the recipe's epochs: for `screening_share` of the budget
    train      the rest of the budget, four at least, with the whole recipe: the architecture with the largest mean; then a
               contrast, the one that had the largest mean if the screening told the opposite; then the one with the largest
               expected improvement over the best posterior mean among those that were trained whole (`acquisition.py`), among
               live ones that were not
    return     of those that were trained whole, the one with the largest mu - sd / 2

Where costs or accuracy under attack are traded against the reward, what is improved is the hypervolume, and the Pareto set of
those that were trained whole is returned (`fronts.py`). Accuracies under attack have two models of their own, the same as those
of rewards: of short trainings, and of whole ones. Arms and beliefs are told by those of rewards.

The budget counts whole trainings; a short one counts as its share of one.

Two models of `posterior.py` with covariates. That of the screening has the logarithm of the number of parameters, slope N(0, 1).
That of whole trainings has it with N(0.5, 1), for short ones hardly tell what size is worth, and has the screening's mean, less
what that makes of size, with N(0.7, 1): whatever either says is believed as far as whole trainings bear it out, even if it is
upside down. Whole trainings that all follow the screening could not tell that: hence the contrast. Covariates are
standardised over the candidates. The level, since few and chosen architectures are trained whole, is N(0, 3).

Another search's samples (`prior.py`), less what they make of size, are one more covariate of the screening, with the slope
N(0.7, 1): its mean carries on what short trainings bear out of them.

It wants trainings of their own (`evaluation.own`): with shared weights a sample is no training of any length.

References:
    Own work. Short trainings whose loss ranks: Ru et al., "Speedy Performance Estimation for Neural Architecture Search",
    NeurIPS 2021, arXiv 2006.04492; the number of parameters beside what is learned: White et al., "How Powerful are Performance
    Predictors in Neural Architecture Search?", NeurIPS 2021, arXiv 2104.01177; expected improvement: Jones et al., 1998.
"""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from nas_service.search.acquisition import best_of, climb
from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.bandit import Arm
from nas_service.search.beliefs import Belief
from nas_service.search.effects import beliefs_of, effect_arms
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.expectation import Expectation
from nas_service.search.fronts import STARTS, gain_over, ranked, starts
from nas_service.search.history import History, derived_random
from nas_service.search.liveness import draw_uniform
from nas_service.search.picks import CAUTION, by_posterior
from nas_service.search.posterior import AT_ONCE, NO_COVARIATES, Covariates, Posterior, Shares, anchor, rank_scores, rewards_at
from nas_service.search.prior import NAME as PRIOR
from nas_service.search.prior import SLOPE as PRIOR_SLOPE
from nas_service.search.prior import told_by
from nas_service.search.references import ENUMERATED, references, standard
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Genotype

MOST_SCREENED = 2000  # short trainings: the model's work grows with their cube
LEAST_WHOLE = 4  # whole trainings: fewer cannot refute a screening that misleads
SLOPE = 0.7  # prior mean of the slope of the screening
SCREENED = "screening"  # name of that covariate
SIZE_SLOPE = 0.5  # prior mean of the slope of the logarithm of the number of parameters
LEVEL = 3.0  # prior variance of the level of whole trainings
SCREENING = Shares(operations=0.3, arms=0.7, noise=0.6)
WHOLE = Shares(operations=0.3, arms=0.7, noise=0.3, scale=1.0)
BEST_STARTS, RANDOM_STARTS = 2, 2
_ROUNDING = 1e-9  # 4 / (1 / 12) is a little below 48
NO_BEST = -20.0  # before anything was trained whole, so low that the largest mean improves most


class ScreenAndTrainSettings(StrategySettings):
    """Settings of screen-and-train."""

    trainings: int = Field(8, ge=5, le=1000, description="Budget, in whole trainings; a short one counts as its share of one.")
    screening_share: float = Field(0.5, ge=0.05, le=0.95, description="Share of the budget that short trainings take.")
    fidelity: float = Field(
        1 / 12,
        ge=0.001,
        lt=1,
        description="Share of the recipe's epochs that a short training has, rounded to whole epochs.",
    )

    @field_validator("fidelity")
    @classmethod
    def _not_too_many(cls, given: float, info: ValidationInfo) -> float:
        most = info.data.get("trainings", 0) * info.data.get("screening_share", 0)
        if most / given > MOST_SCREENED:
            raise ValueError(f"{most / MOST_SCREENED:.3g} or more: at most {MOST_SCREENED:,} short trainings are screened")
        return given


@STRATEGIES.register("screen-and-train")
class ScreenAndTrain(Strategy):
    """screen-and-train; see the module's text."""

    summary = "many short trainings, then whole ones of what promises most, under a posterior that knows their sizes"
    reference = "ours; short trainings: Ru et al., NeurIPS 2021, arXiv 2006.04492"
    figures = "benchmarks/results/equal_compute.md"
    settings_model = ScreenAndTrainSettings
    is_costly = True
    trades = True
    needs_own = True
    takes_prior = True
    arm_facts = ArmFacts(
        ArmUnit.RANK_EFFECT,
        centre=0.0,
        bounds=ArmBounds.TWO_SD,
        higher_is_better=True,
        meaning="What the arm adds to the rank score of a short training, beside what the number of parameters explains, 0 being "
        "average; the bounds are two standard deviations.",
    )
    settings: ScreenAndTrainSettings

    @property
    def whole(self) -> int:
        """Number of whole trainings."""
        return max(LEAST_WHOLE, round((1 - self.settings.screening_share) * self.settings.trainings))

    @property
    def screened(self) -> int:
        """Number of short trainings: as many as the rest of the budget pays, one at least."""
        return max(1, math.floor((self.settings.trainings - self.whole) / self.settings.fidelity + _ROUNDING))

    @property
    def total(self) -> int:
        """Short trainings and whole ones."""
        return self.screened + self.whole

    def fidelity(self, index: int) -> float:
        """Return that of short trainings, then 1."""
        return self.settings.fidelity if index < self.screened else 1.0

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Fill bags, then improve."""
        first = len(history)
        if first < self.screened:
            return tuple(self._bagged(index) for index in range(first, min(first + count, self.screened)))
        models, screened = self.both(type(self).whole_model, history), self.short_model(history).codes
        taken = {row.tobytes() for row in models[0].codes}
        genotypes: list[Genotype] = []
        for index in range(first, min(first + count, self.total)):
            asked = self.both(type(self).turned_model, history) if index == self.screened + 1 else models
            row = self._improvement(asked, screened, index, taken)
            genotypes.append(self._encoding.genotype(row))
            taken.add(row.tobytes())
            models = tuple(model.believing(row) for model in models)
        return tuple(genotypes)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return the effects in short trainings, in units of rank scores, with bounds of two standard deviations."""
        return effect_arms(self._encoding, history, self.short_model)

    def beliefs(self, history: History) -> tuple[Belief, ...]:
        """Return the slopes of both models."""
        if not history:
            return ()
        told = beliefs_of("short trainings", self.short_model(history))
        return (*told, *beliefs_of("whole trainings", self.whole_model(history))) if len(history) > self.screened else told

    def round_ends(self, samples: int) -> tuple[int, ...]:
        """The screening is the first round, whole trainings are the second."""
        return tuple(end for end in (self.screened, self.total) if end <= samples)

    def score_unit(self, samples: int) -> ArmUnit:
        """Before anything was trained whole a score is one of short trainings."""
        return ArmUnit.ACCURACY if samples > self.screened else ArmUnit.SHORT_SCORE

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order what was trained whole by mu - sd / 2, then what was screened; before anything was, that alone.

        Scores are rewards of whole trainings, and of short ones before there are any.
        """
        screened, trained = history[: self.screened], history[self.screened :]
        if not trained:
            return ranked(self.both(type(self).short_model, history), history, count, self.aims) if history else ()
        if self.aims is not None:
            return ranked(self.both(type(self).whole_model, history), trained, count, self.aims)
        after = self.whole_model(history)
        first = by_posterior(after, trained, count)
        known = {entry.genotype for entry in first}
        others = list(dict.fromkeys(sample.genotype for sample in screened if sample.genotype not in known))
        means, deviations = after.predict(self._encoding.codes(others))
        figures = means - CAUTION * deviations
        scores = rewards_at(figures, [sample.reward for sample in trained])
        order = np.argsort(-figures, kind="stable")[: max(0, count - len(first))]
        return (*first, *(Ranked(others[place], float(scores[place])) for place in order))

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space, self.region.limits)

    @cached_property
    def _references(self) -> Codes:
        return references(self._encoding, self.seed)

    @cached_property
    def _sizes(self) -> Floats:
        """Return the parameters that each arm adds to those of the first reference, (E, operations)."""
        assert self.parameters is not None  # noqa: S101 - for the type checker
        base, encoding = self._references[0], self._encoding
        own = self.parameters(encoding.genotype(base))
        sizes = np.zeros((encoding.edges, len(encoding.operations)))
        for place, number in zip(*np.nonzero(encoding.possible), strict=True):
            row = base.copy()
            row[place] = number
            sizes[place, number] = self.parameters(encoding.genotype(row)) - own
        return sizes + own / encoding.edges

    def _log_parameters(self, codes: Codes) -> Floats:
        return np.asarray(np.log(np.maximum(self._sizes[np.arange(self._encoding.edges), codes].sum(axis=1), 1.0)))

    @cached_property
    def _size(self) -> Covariates:
        """Return the logarithm of the number of parameters; nothing where nobody can tell it."""
        if self.parameters is None:
            return NO_COVARIATES
        centre, spread = standard(self._log_parameters(self._references))
        return Covariates(lambda codes: ((self._log_parameters(codes) - centre) / spread)[:, None], np.zeros(1), ("size",))

    @cached_property
    def _beside(self) -> Covariates:
        """Return what is known before there are samples: size, and what another search found, less what that makes of size."""
        if self.prior is None:
            return self._size
        size, told = self._size, told_by(self.prior, self._encoding, self.seed)
        sizes, means = size.of(self._references), told(self._references)
        of_size = np.linalg.lstsq(sizes, means)[0]
        spread = standard(means - sizes @ of_size)[1]

        def known(codes: Codes) -> Floats:
            figures = size.of(codes)
            return np.column_stack([figures, (told(codes) - figures @ of_size) / spread])

        return Covariates(known, np.append(size.slopes, PRIOR_SLOPE), (*size.names, PRIOR))

    def short_model(self, history: History) -> Posterior:
        """Return the model of the short trainings; the last one is remembered, which changes no answer."""
        short = history[: self.screened]
        key = tuple((sample.genotype, sample.reward) for sample in short)
        if self._remembered is None or self._remembered[0] != key:
            codes = self._encoding.codes(sample.genotype for sample in short)
            scores = rank_scores([sample.reward for sample in short])
            leading = self._leading(codes[: anchor(len(short))]) if len(short) > AT_ONCE else None
            self._remembered = key, Posterior(self._encoding, codes, scores, SCREENING, self._beside, leading)
        return self._remembered[1]

    _remembered: tuple[tuple[tuple[Genotype, float], ...], Posterior] | None = None

    def _leading(self, codes: Codes) -> Floats:
        """Return `Posterior.leading` of the first of many short trainings; the last one is remembered, likewise."""
        key = codes.tobytes()
        if self._led is None or self._led[0] != key:
            self._led = key, Posterior(self._encoding, codes, np.zeros(len(codes)), SCREENING, self._beside).leading
        return self._led[1]

    _led: tuple[bytes, Floats] | None = None

    def _known(self, screening: Posterior) -> Covariates:
        """Return what is known of whole trainings: size, and the screening's mean less what that makes of size."""
        if self._told is None or self._told[0] is not screening:
            size, expect = self._size, Expectation(screening)
            of_size = screening.slopes[: len(size.names)]
            centre, spread = standard(expect(self._references) - size.of(self._references) @ of_size)

            def known(codes: Codes) -> Floats:
                sizes = size.of(codes)
                told = (expect(codes) - sizes @ of_size - centre) / spread
                return np.column_stack([sizes, told, np.full(len(codes), LEVEL**0.5)])

            slopes = np.array([*(SIZE_SLOPE for _ in size.names), SLOPE, 0.0])
            self._told = screening, Covariates(known, slopes, (*size.names, SCREENED))
        return self._told[1]

    _told: tuple[Posterior, Covariates] | None = None

    def whole_model(self, history: History) -> Posterior:
        """Return the model of the whole trainings, after those of the screening."""
        trained = history[self.screened :]
        codes = self._encoding.codes(sample.genotype for sample in trained)
        scores = rank_scores([sample.reward for sample in trained])
        return Posterior(self._encoding, codes, scores, WHOLE, self._known(self.short_model(history)))

    def turned_model(self, history: History) -> Posterior:
        """Return the model before any whole training if the screening told the opposite."""
        known = self._known(self.short_model(history))
        slopes = np.where(np.arange(len(known.slopes)) == known.names.index(SCREENED), -known.slopes, known.slopes)
        return Posterior(self._encoding, self._encoding.codes(()), np.zeros(0), WHOLE, Covariates(known.of, slopes))

    def _bagged(self, index: int) -> Genotype:
        size = self.space.arms_per_edge
        bag, slot = divmod(index, size)
        return Genotype(self.space.name, self.bag(self.possible, size, "bag", bag)[slot])

    def _improvement(self, models: Sequence[Posterior], screened: Codes, index: int, taken: set[bytes]) -> Codes:
        """Return the best candidate that was not trained whole; one that was if there is no other."""
        posterior = models[0]
        gain = gain_over(self._encoding, self.aims, models, NO_BEST)
        if self.space.size() <= ENUMERATED:
            found = [best_of(posterior, self._encoding.all_live, gain, taken)]
        else:
            order = [np.argsort(-model.expect(screened), kind="stable")[:BEST_STARTS] for model in models]
            tops = screened[np.concatenate(order)]
            if self.aims is not None:
                draws = [derived_random(self.seed, "front", index, number).random() for number in range(STARTS)]
                tops = np.vstack([tops, starts(self._encoding, self.aims, models, draws)])
            begun = [*tops, *(self._random(index, number) for number in range(RANDOM_STARTS))]
            found = [climb(posterior, start, gain, taken, self._encoding.possible) for start in begun]
        proposals = [proposal for proposal in found if proposal is not None]
        return max(proposals, key=lambda proposal: proposal.value).row if proposals else self._random(index, RANDOM_STARTS)

    def _random(self, index: int, number: int) -> Codes:
        choices = draw_uniform(self.region, self.possible, self.seed, ("start", index, number))
        row: Codes = self._encoding.codes([Genotype(self.space.name, choices)])[0]
        return row
