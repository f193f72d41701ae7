"""Searches on made-up rewards whose waves are committed as drivers commit them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas_service.catalogue import build_strategy
from nas_service.lifecycle import JobState
from nas_service.search.bandit import Arm
from nas_service.search.history import derived_random
from nas_service.search.loop import Evaluation, Wave, run_search
from nas_service.search.rounds import arms_to_keep
from nas_service.specs import SearchSpec
from nas_service.storage import jobs, samples
from nas_service.storage.samples import WaveRecord
from nas_service.storage.session import Database
from search_spaces.genotype import Genotype
from search_spaces.space import SPACES
from tests.holds import held, progress


class MadeUp:
    """Rewards that depend on genotype and index alone."""

    def evaluate(self, first_index: int, genotypes: Sequence[Genotype]) -> list[Evaluation]:
        """Return one evaluation a genotype."""
        return [self._evaluate(first_index + offset, genotype) for offset, genotype in enumerate(genotypes)]

    def _evaluate(self, index: int, genotype: Genotype) -> Evaluation:
        reward = derived_random(1, genotype.digest, index).random()
        return Evaluation(
            reward,
            1.0,
            diverged=False,
            seconds=0.25,
            clean_accuracy=reward,
            parent_reward=0.9,
        )


@dataclass
class LiveSearch:
    """What a search left behind.

    Attributes:
        job_id: Of the search.
        tables: A copy of the arm table after every wave, by the number of samples.
    """

    job_id: str
    tables: dict[int, tuple[Arm, ...]] = field(default_factory=dict)


def search_live(
    database: Database,
    strategy: Mapping[str, Any],
    *,
    seed: int = 0,
    wave: int = 1,
    keeps: bool = True,
    told: Callable[[str, int], None] = lambda *_: None,
) -> LiveSearch:
    """Run a search in the space `tiny`, and copy the stored arms after every wave.

    Args:
        database: Where to.
        strategy: Name and settings.
        seed: Of the search.
        wave: Samples at once.
        keeps: Whether arms are kept at the ends of rounds, as versions before that did not.
        told: Hears the search's id and how many samples there are, after every wave.
    """
    spec = SearchSpec.model_validate({"space": "tiny", "strategy": strategy, "seed": seed, "wave": wave})
    made = build_strategy(spec.strategy, SPACES.get("tiny"), seed)
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", spec.model_dump(mode="json"))
        job, hold = held(session)
    live = LiveSearch(job.id)

    def commit(done: Wave) -> None:
        arms, kept = arms_to_keep(made, done.history, done.samples[0].index)
        costs = tuple({"ops": 10.0 + sample.index, "packed_bytes": 7} for sample in done.samples)
        record = WaveRecord(done, costs, arms, progress(len(done.history)), snapshots=kept if keeps else ())
        with database.write() as session:
            samples.commit_wave(session, hold, record)
        with database.read() as session:
            live.tables[len(done.history)] = samples.list_arms(session, job.id)
        told(job.id, len(done.history))

    run_search(made, MadeUp(), (), wave, commit)
    with database.write() as session:
        jobs.move(session, job.id, JobState.SUCCEEDED)
    return live
