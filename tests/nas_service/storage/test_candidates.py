"""Candidates: their moves, and how they follow their job, on both kinds of database."""

import pytest

from nas_service.lifecycle import CANDIDATE_FINISHED, CANDIDATE_MOVES, CandidateState, JobState
from nas_service.reports import CandidateMetrics
from nas_service.storage import architectures, attempts, candidates, events, jobs, litter
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.keys import checkpoint_key
from nas_service.storage.models import Candidate
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import held
from tests.reports import metrics
from tests.samples import random_genotype

C = CandidateState


def _planned(database: Database, count: int = 1) -> tuple[str, list[str]]:
    """Return a queued training and its candidates."""
    with database.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "", {})
        jobs.move(session, search.id, JobState.CANCELLING)
        jobs.move(session, search.id, JobState.CANCELLED)
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.9, {"ops": 2.5})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        training = jobs.create_job(session, jobs.TRAINING, "", {}, parent_id=search.id)
        planned = [PlannedCandidate(architecture.id, {"name": "bnn", "settings": {}}, seed) for seed in range(count)]
        return training.id, [row.id for row in candidates.plan_candidates(session, training.id, planned)]


def _put(database: Database, candidate_id: str, state: CandidateState) -> None:
    with database.write() as session:
        candidates.get_candidate(session, candidate_id).state = state.value


def _rows(database: Database, job_id: str) -> list[Candidate]:
    with database.read() as session:
        return candidates.candidates_of(session, job_id)


@pytest.mark.parametrize("source", CandidateState)
@pytest.mark.parametrize("target", CandidateState)
def test_exactly_the_permitted_moves_move(source: CandidateState, target: CandidateState, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    job_id, (candidate_id,) = _planned(database)
    _put(database, candidate_id, source)
    with database.write() as session:
        moved = candidates.move(session, candidate_id, target)
    assert moved == (target in CANDIDATE_MOVES[source])
    (row,) = _rows(database, job_id)
    assert row.state == (target if moved else source).value
    assert (row.finished_at is not None) == (moved and target in CANDIDATE_FINISHED)
    with database.read() as session:
        told = [event.data for event in events.list_events(session, job_id, limit=9) if event.kind == "candidate"]
        dropped = litter.list_litter(session, 9)
    assert told == ([{"candidate": candidate_id, "state": target.value}] if moved else [])
    assert (checkpoint_key(candidate_id) in dropped) == (moved and target in CANDIDATE_FINISHED)
    database.close()


def test_a_trial_says_where_it_runs_and_only_the_first_one_when_it_began(database: Database) -> None:
    job_id, (candidate_id,) = _planned(database)
    seen = []
    for worker, resumed_from in (("host:1", 0), ("host:2", 3)):
        with database.write() as session:
            assert candidates.begin(session, candidate_id, worker, "cpu", resumed_from)
        seen.append(_rows(database, job_id)[0])
    assert [(row.state, row.worker, row.device) for row in seen] == [("training", "host:1", "cpu"), ("training", "host:2", "cpu")]
    assert seen[0].started_at == seen[1].started_at
    with database.read() as session:
        told = [event.data for event in events.list_events(session, job_id, limit=9) if event.kind == "candidate"]
    assert [entry.get("resumed_from") for entry in told] == [None, 3]


def test_how_long_attacks_took_is_kept_beside_the_figures_that_a_seed_repeats(database: Database) -> None:
    job_id, keys = _planned(database, 2)
    with database.write() as session:
        for key, seconds in zip(keys, (2.5, None), strict=True):
            candidates.begin(session, key, "host:1", "cpu", 0)
            candidates.succeed(session, key, metrics(pgd_20=0.4), {}, seconds)
    timed, plain = _rows(database, job_id)
    assert (timed.attack_seconds, plain.attack_seconds) == (2.5, None)
    assert CandidateMetrics.model_validate(timed.metrics) == CandidateMetrics.model_validate(plain.metrics)


@pytest.mark.parametrize("state", [C.WAITING, C.TRAINING, C.ATTACKING])
@pytest.mark.parametrize(("last", "expected"), [(JobState.CANCELLED, C.CANCELLED), (JobState.FAILED, C.FAILED)])
def test_open_candidates_end_with_their_job(
    state: CandidateState, last: JobState, expected: CandidateState, database: Database
) -> None:
    job_id, (open_one, done) = _planned(database, 2)
    _put(database, open_one, state)
    _put(database, done, C.SUCCEEDED)
    with database.write() as session:
        held(session)
        if last is JobState.CANCELLED:
            jobs.request_cancel(session, job_id, jobs.TRAINING)
        assert jobs.move(session, job_id, last, error=None if last is JobState.CANCELLED else "no data")
    ended, kept = _rows(database, job_id)
    assert (ended.state, ended.finished_at is not None) == (expected.value, True)
    assert ended.error == (None if last is JobState.CANCELLED else "its training failed: no data")
    assert kept.state == "succeeded"


@pytest.mark.parametrize("how", ["lost", "requeued", "paused"])
def test_candidates_wait_again_when_an_attempt_is_over(how: str, database: Database) -> None:
    job_id, ids = _planned(database, 4)
    for candidate_id, state in zip(ids, (C.WAITING, C.TRAINING, C.ATTACKING, C.STOPPED), strict=True):
        _put(database, candidate_id, state)
    with database.write() as session:
        job, hold = held(session)
        if how == "lost":
            attempts.release(session, job, "killed", 3)
        elif how == "requeued":
            attempts.requeue(session, hold, "the service was stopped")
        else:
            jobs.request_pause(session, job_id, jobs.TRAINING)
            attempts.release(session, jobs.get_job(session, job_id), "killed", 3)
    assert [row.state for row in _rows(database, job_id)] == ["waiting", "waiting", "waiting", "stopped"]
