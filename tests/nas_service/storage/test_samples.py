"""Waves are committed whole or not at all, once; on both kinds of database."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from nas_service.errors import LateResultError
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.search.strategy import STRATEGIES
from nas_service.storage import events, jobs, samples
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import LEASE, held, progress

STRATEGY = STRATEGIES.get("abandit").from_settings(SPACES.get("tiny"), {}, 0)


def _running(database: Database) -> Job:
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
        return held(session)[0]


def _record(history: tuple[Sample, ...], size: int = 2) -> samples.WaveRecord:
    genotypes = STRATEGY.suggest(history, size)
    new = tuple(
        Sample(len(history) + i, genotype, 0.25 * (i + 1), attacked=0.1 + 0.2 * i) for i, genotype in enumerate(genotypes)
    )
    evaluations = tuple(
        Evaluation(s.reward, 1.5, diverged=False, seconds=0.1, worker="w", attacked_accuracy=s.attacked) for s in new
    )
    wave = Wave(new, evaluations, (*history, *new))
    return samples.WaveRecord(wave, tuple({"ops": 1.5} for _ in new), STRATEGY.arms(wave.history), progress(len(wave.history)))


def _commit(database: Database, job: Job, record: samples.WaveRecord, attempt: int | None = None) -> None:
    with database.write() as session:
        samples.commit_wave(session, Hold(job.id, job.attempt if attempt is None else attempt, LEASE), record)


def test_the_history_comes_back_as_it_was_committed(database: Database) -> None:
    job = _running(database)
    first = _record(())
    _commit(database, job, first)
    second = _record(tuple(first.wave.history))
    _commit(database, job, second)
    with database.read() as session:
        assert samples.history_of(session, job.id) == second.wave.history
        assert samples.list_arms(session, job.id) == second.arms
        assert jobs.get_job(session, job.id).progress == progress(len(second.wave.history)).model_dump(mode="json")
        kinds = [event.kind for event in events.list_events(session, job.id, limit=10)]
    assert kinds == ["state", "state", "state", "phase", "wave", "best", "wave"]


def test_a_replayed_history_gives_the_stored_arm_table(database: Database) -> None:
    """Floats survive both databases to the last bit."""
    job = _running(database)
    record = _record(())
    _commit(database, job, record)
    with database.read() as session:
        assert STRATEGY.arms(samples.history_of(session, job.id)) == samples.list_arms(session, job.id)


def test_what_became_of_an_arm_is_stored(database: Database) -> None:
    job = _running(database)
    record = _record(())
    arms = (replace(record.arms[0], abandoned_round=2, best_probability=0.0078125), *record.arms[1:])
    _commit(database, job, replace(record, arms=arms))
    with database.read() as session:
        assert samples.list_arms(session, job.id) == arms


def test_a_sample_is_never_counted_twice(database: Database) -> None:
    job = _running(database)
    record = _record(())
    _commit(database, job, record)
    with pytest.raises(IntegrityError):
        _commit(database, job, record)
    with database.read() as session:
        assert len(samples.history_of(session, job.id)) == 2


def test_a_late_wave_writes_nothing(database: Database) -> None:
    job = _running(database)
    with pytest.raises(LateResultError):
        _commit(database, job, _record(()), attempt=job.attempt + 1)
    with database.read() as session:
        assert samples.history_of(session, job.id) == ()
        assert samples.list_arms(session, job.id) == ()


def test_samples_are_listed_in_order_after_an_index(database: Database) -> None:
    job = _running(database)
    _commit(database, job, _record((), size=3))
    with database.read() as session:
        rows = samples.list_samples(session, job.id, limit=2, after=0)
    assert [row.index for row in rows] == [1, 2]
    assert rows[0].cost == {"ops": 1.5}
