"""abandit-plus: balanced trials, then the largest expected improvement under a posterior over arms and pairs of arms.

    balanced   bags of K architectures in which each live arm of each edge appears once, in an order drawn for each edge,
               for the first `balanced_share` of the budget (whole bags, one at least)
    improve    among live ones neither evaluated nor pending, under the model of `posterior.py`: in spaces of up to 2,048
               genotypes the one with the largest expected improvement (`acquisition.py`) over the best posterior mean among the
               evaluated; in larger ones the best under a function drawn between posterior mean and posterior (`draws.py`), from
               half of the posterior's width after the bags to none at the end, or by expected improvement where that was
               evaluated before
    abandon    after the bags and then whenever the history has grown by a quarter (K samples at least), arms that the best
               architecture holds with a probability below `abandon_below`, by draws of the posterior (`abandonment.py`); off (0)
               unless asked for. The search ends early once one architecture is left and was evaluated
    return     the evaluated architecture with the largest mu - sd / 2, not the best observed: that is the luckiest

Where costs or accuracy under attack are traded against the reward, what is improved is the hypervolume, in spaces of every size,
and the Pareto set is returned (`fronts.py`). Accuracies under attack have a model of their own, the same as that of rewards; arms
are told, and abandoned, by that of rewards.

Expected improvement keeps to what is best already: where there are more arms than samples, hundreds of effects then stay as
unknown as the bags left them, and noise decides. A draw tries every arm about as often as it may be the best of its edge, so
that trials stay balanced over fewer and fewer arms, the noisier the more. Budgets of less than 15 K samples are too short for
that, and expected improvement decides alone.

In larger spaces climbs start from the two evaluated architectures with the best posterior means and from a random one. The
kernel's shares are fitted again every 5 samples, after 512 whenever the history has grown by a twentieth. Within a wave the
model believes that a pending architecture comes out as its mean, so its neighbourhood loses its variance and the wave
spreads. A wave that reaches past the balanced samples before a whole bag has been evaluated goes on with bags.

Another search's samples (`prior.py`) are a covariate of the model, with the slope N(0.7, 1); effects are what arms add beside it.

Rewards drift while shared weights train; the balanced samples tell whether they do, and the model takes it out (`posterior.py`).

`arms` tells effects and bounds (two standard deviations) in units of rank scores: 0 is average.

References:
    Own work; its parts are Bayesian optimisation with expected improvement (Jones et al., 1998) and posterior sampling (Thompson,
    "On the likelihood that one unknown probability exceeds another", Biometrika 25, 1933) over a linear model of arms and pairs.
    It keeps ABanditNAS's budget, arms and single-path samples, not its bounds or clock.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np
from pydantic import Field

from nas_service.search.abandonment import Abandonment, ends
from nas_service.search.acquisition import Proposal, best_of, climb
from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.bandit import Arm
from nas_service.search.beliefs import Belief
from nas_service.search.draws import FunctionDraw
from nas_service.search.effects import beliefs_of, effect_arms
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.evidence import expected_shares
from nas_service.search.fronts import STARTS, gain_over, ranked, starts
from nas_service.search.history import History, derived_random
from nas_service.search.limits import Arms
from nas_service.search.liveness import draw_uniform
from nas_service.search.posterior import AT_ONCE, NO_COVARIATES, Covariates, Posterior, Shares, anchor, rank_scores
from nas_service.search.prior import NAME, SLOPE, told_by
from nas_service.search.strategies.abandit import published_budget
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.genotype import Genotype

ENUMERATED = 2048  # live genotypes that are all candidates
REFIT = 5  # samples between two choices of the kernel's shares
BEST_STARTS, RANDOM_STARTS = 2, 1
DRAWN_BAGS = 15  # bags that a budget is worth from which on draws decide: with 6 they lost at much noise
WIDTH = 0.5  # of the first draw after the bags, between the mean (0) and the posterior (1)


class AbanditPlusSettings(StrategySettings):
    """Settings of abandit-plus."""

    samples: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Number of samples; as many as `abandit` takes with its defaults if left out.",
    )
    balanced_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Share of the samples that try all arms alike, in whole bags; one bag's worth goes beyond them.",
    )
    abandon_below: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="After the balanced samples and then whenever there are a quarter more, arms that the best architecture "
        "holds with a lower probability (told by 64 draws of the posterior) are abandoned. A search ends early once one is left. "
        "0: none; 0.02 is a beginning.",
    )


@STRATEGIES.register("abandit-plus")
class AbanditPlus(Strategy):
    """abandit-plus; see the module's text."""

    summary = "balanced trials, then expected improvement under a posterior over arms and pairs of arms, returned by posterior"
    reference = "ours; expected improvement: Jones et al., J. Global Optimization 13, 1998"
    figures = "benchmarks/results/strategy_bench.md"
    settings_model = AbanditPlusSettings
    is_costly = True
    trades = True
    takes_prior = True
    arm_facts = ArmFacts(
        ArmUnit.RANK_EFFECT,
        centre=0.0,
        bounds=ArmBounds.TWO_SD,
        higher_is_better=True,
        meaning="What the arm adds to the rank score of an architecture under the posterior, 0 being average; the bounds are two "
        "standard deviations.",
    )
    settings: AbanditPlusSettings

    @property
    def total(self) -> int:
        """The setting, or the budget of ABanditNAS in this space."""
        return published_budget(self.space) if self.settings.samples is None else self.settings.samples

    @property
    def balanced(self) -> int:
        """Samples in bags: `balanced_share` of the total in whole bags, one at least, and as many as a bag has for improving.

        What is returned was evaluated, and the best of balanced samples alone is little better than the best of random ones.
        """
        size = self.space.arms_per_edge
        bags = min(round(self.settings.balanced_share * self.total / size), self.total // size - 1)
        return min(max(bags, 1) * size, self.total)

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Fill bags, then improve."""
        first, end = len(history), min(len(history) + count, self.total)
        bags_end = min(self.balanced, end) if first >= self.space.arms_per_edge else end
        genotypes = [self._bagged(index) for index in range(first, bags_end)]
        if first + len(genotypes) >= end:
            return tuple(genotypes)
        models, left = self.both(type(self).posterior_of, history), self._abandonment.after(history).arms
        taken = {row.tobytes() for row in models[0].codes}
        for row in self._encoding.codes(genotypes):
            models = tuple(model.believing(row) for model in models)
            taken.add(row.tobytes())
        sole = self._sole(left)
        for index in range(first + len(genotypes), end):
            if sole in taken:
                break  # there is nothing else to evaluate
            row = self._improvement(models, index, taken, left)
            genotypes.append(self._encoding.genotype(row))
            taken.add(row.tobytes())
            if index + 1 < end:
                models = tuple(model.believing(row) for model in models)
        return tuple(genotypes)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return effects in units of rank scores, with bounds of two standard deviations."""
        if not history:
            return effect_arms(self._encoding, history, self.posterior_of)
        survivors = self._abandonment.after(history)
        return tuple(survivors.told(arm) for arm in effect_arms(self._encoding, history, self.posterior_of))

    def beliefs(self, history: History) -> tuple[Belief, ...]:
        """Return the slope of another search's samples, if there are some."""
        return beliefs_of("samples", self.posterior_of(history)) if history else ()

    def round_ends(self, samples: int) -> tuple[int, ...]:
        """With `abandon_below` the first round ends with the bags and every other when there is a quarter more."""
        if not self.settings.abandon_below:
            return ()
        return ends(self.balanced, self.space.arms_per_edge, samples)

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Order the samples by mu - sd / 2; a score is a reward (`fronts.ranked`)."""
        return ranked(self.both(type(self).posterior_of, history), history, count, self.aims) if history else ()

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.space, self.region.limits)

    @cached_property
    def _beside(self) -> Covariates:
        """Return what another search found, if there is one."""
        if self.prior is None:
            return NO_COVARIATES
        told = told_by(self.prior, self._encoding, self.seed)
        return Covariates(lambda codes: told(codes)[:, None], np.array([SLOPE]), (NAME,))

    @cached_property
    def _abandonment(self) -> Abandonment:
        return Abandonment(
            self._encoding,
            self.posterior_of,
            below=self.settings.abandon_below,
            first=self.balanced,
            step=self.space.arms_per_edge,
            seed=self.seed,
        )

    def _bagged(self, index: int) -> Genotype:
        size = self.space.arms_per_edge
        bag, slot = divmod(index, size)
        return Genotype(self.space.name, self.bag(self.possible, size, "bag", bag)[slot])

    def posterior_of(self, history: History) -> Posterior:
        """Return the model of a history."""
        codes = self._encoding.codes(sample.genotype for sample in history)
        rewards = [sample.reward for sample in history]
        first = anchor(len(history))
        fitted = first if len(history) > AT_ONCE else len(history) // REFIT * REFIT or len(history)
        lead = sum(sample.index < self.balanced for sample in history)  # of a part of a history, too
        shares = self._shares(codes[:fitted], rewards[:fitted], lead)
        leading = self._leading(codes[:first], shares) if len(history) > AT_ONCE else None
        return Posterior(self._encoding, codes, rank_scores(rewards), shares, self._beside, leading)

    def _shares(self, codes: Codes, rewards: list[float], lead: int) -> Shares:
        """Return the kernel's shares; those of the last history asked about are remembered, which changes no answer."""
        key = (codes.tobytes(), tuple(rewards), lead)
        if self._remembered is None or self._remembered[0] != key:
            known, scores = self._beside.of(codes), rank_scores(rewards)
            left = scores - known @ self._beside.slopes
            self._remembered = key, expected_shares(self._encoding, codes, left, lead, known)
        return self._remembered[1]

    def _leading(self, codes: Codes, shares: Shares) -> Floats:
        """Return `Posterior.leading` of the first architectures of a long history; the last one is remembered, likewise."""
        key = (codes.tobytes(), shares)
        if self._led is None or self._led[0] != key:
            self._led = key, Posterior(self._encoding, codes, np.zeros(len(codes)), shares, self._beside).leading
        return self._led[1]

    _led: tuple[tuple[bytes, Shares], Floats] | None = None
    _remembered: tuple[tuple[bytes, tuple[float, ...], int], Shares] | None = None

    def _improvement(self, models: Sequence[Posterior], index: int, taken: set[bytes], left: Arms) -> Codes:
        """Return the best candidate of the arms that are left; one that was evaluated already if there is no other."""
        long = self.total >= DRAWN_BAGS * self.space.arms_per_edge
        if long and self.aims is None and self.space.size() > ENUMERATED:
            row = self._drawn(models[0], index, left)
            if row.tobytes() not in taken:
                return row
        return self._expected(models, index, taken, left)

    def _drawn(self, posterior: Posterior, index: int, left: Arms) -> Codes:
        """Return the best architecture under a draw between posterior mean and posterior (`draws.FunctionDraw`)."""
        ahead = (self.total - 1 - index) / (self.total - self.balanced)  # below 1: after the bags
        random = np.random.RandomState(int(derived_random(self.seed, "draw", index).random() * 2**32))
        draw = FunctionDraw(posterior, random, WIDTH * ahead)
        return draw.best(self._starts(posterior, index, left), self._encoding.flags(left))

    def _starts(self, posterior: Posterior, index: int, left: Arms) -> list[Codes]:
        """Return where climbs start: the evaluated with the best means of the arms that are left, and random ones."""
        order = posterior.codes[np.argsort(-posterior.means, kind="stable")]
        tops = order[self._encoding.within(order, self._encoding.flags(left))][:BEST_STARTS]
        return [*tops, *(self._random(index, number, left) for number in range(RANDOM_STARTS))]

    def _expected(self, models: Sequence[Posterior], index: int, taken: set[bytes], left: Arms) -> Codes:
        """Return the candidate with the largest expected gain."""
        posterior = models[0]
        gain = gain_over(self._encoding, self.aims, models, posterior.means[0])
        allowed = self._encoding.flags(left)
        proposals: list[Proposal | None]
        if self.space.size() <= ENUMERATED:
            rows = self._encoding.all_live
            proposals = [best_of(posterior, rows[self._encoding.within(rows, allowed)], gain, taken)]
        else:
            begun = self._starts(posterior, index, left)
            if self.aims is not None:
                draws = [derived_random(self.seed, "front", index, number).random() for number in range(STARTS)]
                begun = [*starts(self._encoding, self.aims, models, draws), *begun[-RANDOM_STARTS:]]
            proposals = [climb(posterior, start, gain, taken, allowed) for start in begun]
        found = [proposal for proposal in proposals if proposal is not None]
        return max(found, key=lambda proposal: proposal.value).row if found else self._random(index, RANDOM_STARTS, left)

    def _sole(self, left: Arms) -> bytes | None:
        """Return the bytes of the one architecture that is left; None if there are more."""
        if any(len(keys) > 1 for keys in left):
            return None
        row: Codes = self._encoding.codes([Genotype(self.space.name, tuple(chain(*left)))])[0]
        return row.tobytes()

    def _random(self, index: int, number: int, left: Arms) -> Codes:
        choices = draw_uniform(self.region, left, self.seed, ("start", index, number))
        row: Codes = self._encoding.codes([Genotype(self.space.name, choices)])[0]
        return row
