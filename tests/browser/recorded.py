"""Searches as drivers record them: real strategies on made-up rewards, written through the real storage functions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nas_service.catalogue import build_strategy
from nas_service.lifecycle import JobState
from nas_service.reports import SearchPhase, SearchProgress
from nas_service.search.bandit import Arm
from nas_service.search.history import History, Sample, derived_random
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.rounds import arms_to_keep
from nas_service.search.strategy import Strategy
from nas_service.specs import SearchSpec
from nas_service.storage import architectures, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.samples import WaveRecord, commit_wave
from nas_service.storage.session import Database
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES
from tests.holds import held

COST = {"binary_parameters": 80_000, "float_parameters": 2_000, "flops": 1e5, "bops": 6.4e6, "packed_bytes": 18_000, "ops": 2e5}


@cache
def _worth(cell: str, edge: str, operation: str) -> float:
    return derived_random(7, cell, edge, operation).random()


def made_up_reward(genotype: Genotype, index: int) -> float:
    """Return a reward that depends on every choice, with a little noise: between about 0.3 and 0.6."""
    worth = [_worth(choice.cell, choice.edge, choice.operation) for choice in genotype.choices]
    return 0.3 + 0.25 * sum(worth) / len(worth) + 0.05 * derived_random(8, index).random()


@dataclass
class RecordedSearch:
    """A search that is under way in the database, and goes on wave by wave.

    Attributes:
        store: Where it is written.
        strategy: What decides.
        job_id: Its id.
        hold: Its driver's.
        history: What is committed.
        arms: As of the last commit.
        wave: Samples a commit.
    """

    store: Database
    strategy: Strategy
    job_id: str
    hold: Hold
    history: History = ()
    arms: tuple[Arm, ...] = ()
    wave: int = 3

    def step(self, count: int | None = None) -> bool:
        """Commit the next wave; False where there is none."""
        genotypes = self.strategy.suggest(self.history, count or self.wave)
        if not genotypes:
            return False
        first = len(self.history)
        new = [Sample(first + place, one, made_up_reward(one, first + place)) for place, one in enumerate(genotypes)]
        self.history = (*self.history, *new)
        arms, kept = arms_to_keep(self.strategy, self.history, first)
        evaluations = [Evaluation(one.reward, 1.0, diverged=False, seconds=2.0, clean_accuracy=one.reward) for one in new]
        wave = Wave(tuple(new), tuple(evaluations), self.history)
        record = WaveRecord(wave, tuple(COST for _ in new), arms, self._progress(arms), before=self.arms, snapshots=kept)
        with self.store.write() as session:
            commit_wave(session, self.hold, record)
        self.arms = arms
        return True

    def run(self, until: int | None = None) -> "RecordedSearch":
        """Commit wave after wave, up to the end or to so many samples."""
        while until is None or len(self.history) < until:
            if not self.step(None if until is None else min(self.wave, until - len(self.history))):
                break
        return self

    def conclude(self, count: int = 3) -> Sequence[str]:
        """Write what it found, end it, and return the ids of the architectures."""
        found = [architectures.Discovery(one.genotype, one.score, COST) for one in self.strategy.rank(self.history, count)]
        with self.store.write() as session:
            rows = architectures.add_architectures(session, self.job_id, found)
            jobs.move(session, self.job_id, JobState.SUCCEEDED)
            return [row.id for row in rows]

    def _progress(self, arms: tuple[Arm, ...]) -> SearchProgress:
        best = max(self.history, key=lambda sample: sample.reward)
        return SearchProgress(
            phase=SearchPhase.SAMPLING,
            samples=len(self.history),
            total=self.strategy.total,
            arms=len(arms),
            arms_left=sum(arm.abandoned_round is None for arm in arms),
            best_reward=best.reward,
            best_digest=best.genotype.digest,
            seconds_per_sample=2.0,
            seconds_left=2.0 * (self.strategy.total - len(self.history)),
        )


def begin(store: Database, space: str = "abandit-mini", strategy: Any = "abandit", **fields: Any) -> RecordedSearch:  # noqa: ANN401 - of specs
    """Queue a search and take it, as its driver does."""
    spec = SearchSpec.model_validate({"space": space, "strategy": strategy, "name": f"{space} searched", **fields})
    decides = build_strategy(spec.strategy, SPACES.get(space), spec.seed)
    with store.write() as session:
        jobs.create_job(session, jobs.SEARCH, spec.name, spec.model_dump(mode="json"))
        job, hold = held(session)
        return RecordedSearch(store, decides, job.id, hold)
