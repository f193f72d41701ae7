"""CP-NAS: judge an operation by its binary child and its full-precision parent, try all alike, drop the worst.

Per sampled architecture, with validation accuracies A_C of the binarized child and A_P of its full-precision parent:

    measure      z = beta_P (A_P - A_C) + A_C = beta_P A_P + (1 - beta_P) A_C                      (equation 4.15)
    potential    e(o_k) = exp(mean z_k) / sum_k exp(mean z_k), mean over the T rounds of a stage   (equation 4.16)
    stage        T rounds of K samples drawn without replacement on every edge, so that each arm is tried once a round;
                 then argmin e, which is argmin of mean z, is dropped on every edge; K <- K - 1    (algorithm 9)

It takes T (K + (K - 1) + ... + 2) samples. With beta_P > 0 each also trains its parent: twice the work. The paper's
ablation finds accuracy rising with beta_P and falling once it reaches about 2, with fewer convolutions chosen. From
beta_P = 1 on the child's accuracy counts for nothing or against an operation, though the child is what is kept: the
default is 0.5, the plain mean of both. beta_P = 0 trains no parent and is the child alone.

What the paper leaves open: means start anew with every stage, as here by default, or go on (`means`), which throws nothing away;
ties drop the first arm in the space's order; an edge with fewer arms than K repeats arms within a round and drops only while it
has more than the next stage. Arms that no live genotype can hold, and draws that are dead or break a limit, are treated as in
`abandit`; an arm that limits kept out of every sample of a stage is dropped first. The bounds of `arms` are the bandit's, of the
stage that an arm was last tried in; the algorithm does not use them.

This is the search. In the training stage the paper adds a loss of its own to the cross entropy (equations 4.17 and 4.18): a
part of any recipe (`training/step/cp_loss.py`), off unless it is asked for. A search and a training as published are

    {
      "space": "cp-nas",
      "strategy": "cp-nas",
      "method": "xnor-net",
      "training": {"methods": ["xnor-net"], "recipe": {"cp_loss": {"kernel": 1.0}}}
    }

where 1 is the weight of the first term that the text leaves away, ten times our default; in narrow networks it is heavy.

References:
    Zhuo et al., "CP-NAS: Child-Parent Neural Architecture Search for 1-bit CNNs", IJCAI 2020, arXiv 2005.00057,
    algorithm 1; Zhang et al., "Binary Neural Networks", CRC Press, section 4.3, algorithm 9.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from pydantic import Field

from nas_service.search.arm_facts import ArmBounds, ArmFacts, ArmUnit
from nas_service.search.bandit import Arm, width
from nas_service.search.history import History, Sample
from nas_service.search.liveness import places, settled, worst_that_may_go
from nas_service.search.ranking import by_reward
from nas_service.search.replay import Replay
from nas_service.search.strategy import STRATEGIES, Ranked, Strategy, StrategySettings
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype


class Means(StrEnum):
    """Which rounds an arm's mean is taken over."""

    STAGE = "stage"
    ALL = "all"


class CpNasSettings(StrategySettings):
    """Settings of CP-NAS."""

    samples_per_arm: int = Field(3, ge=1, le=1000, description="T: rounds in which every arm is tried before one is dropped.")
    parent_weight: float = Field(
        0.5, ge=0, le=10, description="beta_P of z = beta_P (A_P - A_C) + A_C; 0 trains no full-precision parent."
    )
    means: Means = Field(
        Means.STAGE,
        strict=False,
        description="stage: every stage judges arms by its own rounds; all: by all rounds so far, which throws nothing away.",
    )


@dataclass
class _EdgeState:
    """The arms of one edge while a history is replayed; `measures` holds z of the stage an arm was last tried in, or of all."""

    keys: list[Choice]
    pulls: dict[Choice, int] = field(default_factory=dict)
    measures: dict[Choice, list[float]] = field(default_factory=dict)
    stages: dict[Choice, int] = field(default_factory=dict)
    abandoned: dict[Choice, int] = field(default_factory=dict)

    @property
    def live(self) -> list[Choice]:
        return [key for key in self.keys if key not in self.abandoned]

    def mean(self, key: Choice) -> float:
        return sum(self.measures[key]) / len(self.measures[key])


@STRATEGIES.register("cp-nas")
class CpNas(Strategy):
    """CP-NAS; see the module's text."""

    summary = "child-parent: every arm of an edge tried alike, judged by binary child and full-precision parent, worst dropped"
    reference = "as published (Zhuo et al., IJCAI 2020), arXiv 2005.00057"
    figures = "benchmarks/results/strategy_bench.md"
    settings_model = CpNasSettings
    arm_facts = ArmFacts(
        ArmUnit.CHILD_PARENT_SCORE,
        centre=None,
        bounds=ArmBounds.CONFIDENCE,
        higher_is_better=True,
        meaning="Mean of beta_P (A_P - A_C) + A_C in the stage that the arm was last tried in, A_C the accuracy of the binary "
        "child and A_P that of its full-precision parent; the bounds are the bandit's.",
    )
    settings: CpNasSettings

    @property
    def needs_parent(self) -> bool:
        """Whether beta_P > 0."""
        return self.settings.parent_weight > 0

    @cached_property
    def _boundaries(self) -> tuple[int, ...]:
        """Number of samples at the start and at the end of every stage; one stage if there is nothing to drop."""
        ends = [0]
        for arms in range(self.space.arms_per_edge, 1, -1):
            ends.append(ends[-1] + arms * self.settings.samples_per_arm)
        return tuple(ends) if len(ends) > 1 else (0, self.settings.samples_per_arm)

    @property
    def total(self) -> int:
        """T (K + ... + 2)."""
        return self._boundaries[-1]

    @property
    def largest_wave(self) -> int:
        """Samples of the first stage: its end must be seen before the next begins."""
        return max(end - start for start, end in pairwise(self._boundaries))

    def suggest(self, history: History, count: int) -> tuple[Genotype, ...]:
        """Go through the arms of every edge without replacement; stops short at the end of a stage.

        Raises:
            InvalidFieldError: If beta_P > 0 and a sample has no parent's accuracy.
        """
        first = len(history)
        if first >= self.total:
            return ()
        stage = next(number for number, end in enumerate(self._boundaries) if end > first)
        live = [edge.live for edge in self._replay(history)]
        size = max(self.space.arms_per_edge - stage + 1, 1)
        genotypes = []
        for index in range(first, min(first + count, self._boundaries[stage])):
            turn, slot = divmod(index - self._boundaries[stage - 1], size)
            genotypes.append(Genotype(self.space.name, self.bag(live, size, "cp-nas", stage, turn)[slot]))
        return tuple(genotypes)

    def arms(self, history: History) -> tuple[Arm, ...]:
        """Return the mean of z of the stage that each arm was last tried in, which is what drops arms.

        Raises:
            InvalidFieldError: If beta_P > 0 and a sample has no parent's accuracy.
        """
        arms = []
        for edge in self._replay(history):
            for key in edge.keys:
                abandoned = edge.abandoned.get(key)
                if key not in edge.measures:
                    arms.append(Arm(key, abandoned_round=abandoned))
                    continue
                tries = len(edge.measures[key])
                rivals = [values for other, values in edge.measures.items() if edge.stages[other] == edge.stages[key]]
                mean, delta = edge.mean(key), width(sum(map(len, rivals)), tries)
                arms.append(Arm(key, edge.pulls[key], mean, mean - delta, mean + delta, abandoned))
        return tuple(arms)

    def round_ends(self, samples: int) -> tuple[int, ...]:
        """A round is a stage."""
        return tuple(end for end in self._boundaries[1:] if end <= samples)

    def score_unit(self, samples: int) -> ArmUnit:
        """The survivors of a finished search have a score; samples before that their child's accuracy."""
        return ArmUnit.CHILD_PARENT_SCORE if samples >= self.total else ArmUnit.ACCURACY

    def rank(self, history: History, count: int) -> tuple[Ranked, ...]:
        """Put the survivors of a finished search first, then the samples by the child's accuracy.

        The survivors' score is the mean of their arms' mean z.

        Raises:
            InvalidFieldError: If beta_P > 0 and a sample has no parent's accuracy.
        """
        first = []
        if len(history) >= self.total:
            edges = self._replay(history)
            survivors = [edge.live[0] for edge in edges]
            means = [edge.mean(key) for edge, key in zip(edges, survivors, strict=True) if key in edge.measures]
            if means:
                first.append(Ranked(Genotype(self.space.name, tuple(survivors)), sum(means) / len(means)))
        return by_reward(self.space, history, count, first)

    def measure(self, sample: Sample) -> float:
        """Return z of a sample (equation 4.15).

        Raises:
            InvalidFieldError: If beta_P > 0 and the sample has no parent's accuracy.
        """
        weight = self.settings.parent_weight
        if weight == 0:
            return sample.reward
        if sample.parent_reward is None:
            allowed = f"the accuracy of the full-precision parent, since parent_weight is {weight}; 0 does without"
            raise InvalidFieldError(f"history.{sample.index}.parent_reward", None, allowed)
        return weight * (sample.parent_reward - sample.reward) + sample.reward

    def _replay(self, history: History) -> list[_EdgeState]:
        return self._replayed.after(history)

    @cached_property
    def _replayed(self) -> Replay[list[_EdgeState]]:
        return Replay(self._fresh, self._add)

    def _fresh(self) -> list[_EdgeState]:
        edges = [_EdgeState(keys) for keys in places(self.space)]
        self._settle(edges, 0)
        return edges

    def _add(self, edges: list[_EdgeState], sample: Sample) -> None:
        stage = min(bisect_right(self._boundaries, sample.index), len(self._boundaries) - 1)
        z = self.measure(sample)
        for edge, key in zip(edges, sample.genotype.choices, strict=True):
            edge.pulls[key] = edge.pulls.get(key, 0) + 1
            if edge.stages.get(key) != stage and self.settings.means is Means.STAGE:
                edge.measures[key] = []
            edge.stages[key] = stage
            edge.measures.setdefault(key, []).append(z)
        if sample.index + 1 == self._boundaries[stage]:
            self._abandon(edges, stage)

    def _abandon(self, edges: list[_EdgeState], stage: int) -> None:
        for place, edge in enumerate(edges):
            if len(edge.live) > self.space.arms_per_edge - stage and len(edge.live) > 1:
                means = [edge.mean(key) if edge.stages.get(key) == stage else -math.inf for key in edge.live]
                goes = worst_that_may_go(self.region, [beside.live for beside in edges], place, means)
                edge.abandoned[goes] = stage
                try:
                    self._settle(edges, stage)
                except InvalidFieldError:  # of a large space nothing was found without it
                    del edge.abandoned[goes]

    def _settle(self, edges: list[_EdgeState], stage: int) -> None:
        """Abandon the arms that no live combination of the others holds."""
        for edge, left in zip(edges, settled(self.region, [edge.live for edge in edges]), strict=True):
            edge.abandoned |= dict.fromkeys([key for key in edge.live if key not in left], stage)
