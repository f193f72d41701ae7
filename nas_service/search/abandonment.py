"""Abandoning arms by probability: what the best architecture hardly ever holds is dropped.

At every decision (the end of a round; the next one is due when the history has grown by a quarter) functions are drawn from the
posterior of the history so far, and

    p(e, o) = share of the draws whose best architecture holds operation o on edge e     (`draws.best_shares`);

arms with p below a threshold are abandoned, any number on an edge, and not the likeliest one (unless it is a zeroise that the
other edges into its node leave no place for); none if what is left would break the limits. An edge may keep all of its arms and
another lose seven at once, where a clock drops one an edge. With 64 draws a threshold of 0.02 means one draw or none, so
chance has a say in what is dropped near it, and the best architecture of a draw is the best of the local maxima above three
random starts. A decision takes half a second on 60 edges of 9 operations, and a restart makes all of them again: so they are few,
and of more than 512 samples as many are looked at, evenly spread, which leaves more undecided than all would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nas_service.search.bandit import Arm
from nas_service.search.draws import best_shares
from nas_service.search.encoding import Codes, Encoding, Flags, Floats
from nas_service.search.history import History, Sample, derived_random
from nas_service.search.limits import Arms
from nas_service.search.liveness import draw_uniform, settled
from nas_service.search.posterior import AT_ONCE, Posterior
from nas_service.search.replay import Replay
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import ZEROISE

DRAWS = 64
STARTS = 3
GROWTH = 4  # a history grows by its fourth part between two decisions


@dataclass
class Survivors:
    """The arms that are left after a history.

    Attributes:
        arms: At every place.
        abandoned: Round (from 1) after which an arm was dropped.
        probabilities: p of every arm when it was last asked about; empty before the first decision.
    """

    arms: Arms
    abandoned: dict[Choice, int] = field(default_factory=dict)
    probabilities: dict[Choice, float] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def told(self, arm: Arm) -> Arm:
        """Return the arm with what became of it."""
        abandoned = self.abandoned.get(arm.key, arm.abandoned_round)
        return Arm(arm.key, arm.pulls, arm.mean, arm.lower, arm.upper, abandoned, self.probabilities.get(arm.key))


class Abandonment:
    """Decides when rounds end (`ends`)."""

    def __init__(
        self,
        encoding: Encoding,
        posterior: Callable[[History], Posterior],
        *,
        below: float,
        first: int,
        step: int,
        seed: int,
    ) -> None:
        """Take what a decision depends on beside the history; `below` 0 abandons nothing and draws nothing."""
        self._encoding, self._region, self._posterior = encoding, encoding.region, posterior
        self._below, self._first, self._step, self._seed = below, first, step, seed
        self._replay = Replay(lambda: Survivors(encoding.possible_arms), self._add)

    def after(self, history: History) -> Survivors:
        """Return what is left."""
        return self._replay.after(history if self._below else ())

    def _add(self, state: Survivors, sample: Sample) -> None:
        state.samples.append(sample)
        count = len(state.samples)
        rounds = ends(self._first, self._step, count)
        if rounds and rounds[-1] == count:
            self._decide(state, len(rounds))

    def _decide(self, state: Survivors, number: int) -> None:
        count = len(state.samples)
        index = np.linspace(0, count - 1, min(count, AT_ONCE)).round().astype(np.int64)
        posterior = self._posterior([state.samples[place] for place in index.tolist()])
        allowed = self._encoding.flags(state.arms)
        starts = [self._start(state.arms, number, index) for index in range(STARTS)]
        seed = int(derived_random(self._seed, "abandon", number).random() * 2**32)
        shares = best_shares(posterior, DRAWS, starts, allowed, seed)
        kept = likely(self._encoding, self._region.nodes, allowed, shares, self._below)
        for place, keys in enumerate(state.arms):
            for key in keys:
                state.probabilities[key] = float(shares[place, self._encoding.operations.index(key.operation)])
        try:
            left = settled(self._region, self._encoding.arms(kept))
        except InvalidFieldError:
            return  # nothing that is left together would be within the limits
        for keys, survivors in zip(state.arms, left, strict=True):
            state.abandoned |= dict.fromkeys([key for key in keys if key not in survivors], number)
        state.arms = left

    def _start(self, arms: Arms, number: int, index: int) -> Codes:
        choices = draw_uniform(self._region, arms, self._seed, ("abandon", number, index))
        row: Codes = self._encoding.codes([Genotype(self._encoding.space.name, choices)])[0]
        return row


def ends(first: int, step: int, samples: int) -> tuple[int, ...]:
    """Return after how many of so many samples decisions are made: `first`, then a quarter more each time, `step` at least."""
    found = []
    while first <= samples:
        found.append(first)
        first += max(step, first // GROWTH)
    return tuple(found)


def likely(encoding: Encoding, nodes: Sequence[Sequence[int]], allowed: Flags, shares: Floats, below: float) -> Flags:
    """Return which allowed arms stay: those with a share of `below` or more, and the likeliest of every place.

    A node whose edges would all keep nothing but zeroise keeps what it has: one of them carries something in every draw, only
    no arm of them often enough.
    """
    kept = allowed & (shares >= below)
    kept[np.arange(len(shares)), np.where(allowed, shares, -1.0).argmax(axis=1)] = True
    carries = np.array([operation != ZEROISE for operation in encoding.operations])
    for node in nodes:
        places = list(node)
        if not kept[places][:, carries].any():
            kept[places] = allowed[places]
    return kept
