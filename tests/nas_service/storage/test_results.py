"""Architectures, candidates, datasets, idempotency keys and artifacts."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from nas_service.errors import ConflictError, InvalidInputError, NotFoundError
from nas_service.reports import EpochReport
from nas_service.storage import architectures, artifacts, candidates, idempotency, jobs
from nas_service.storage.artifacts import ArtifactStore, StoredFile
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Architecture, IdempotencyKey
from nas_service.storage.session import Database, utc_now
from search_spaces.space import SPACES
from tests.reports import epoch_report, metrics
from tests.samples import random_genotype


def _architectures(database: Database, count: int = 3) -> tuple[str, list[Architecture]]:
    space = SPACES.get("tiny")
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        found = [architectures.Discovery(random_genotype(space, seed), 0.9 - seed / 10, {"ops": 2.5}) for seed in range(count)]
        return job.id, architectures.add_architectures(session, job.id, found)


def _report(epoch: int) -> EpochReport:
    return epoch_report(epoch, validation_accuracy=0.6 + epoch / 10)


def test_architectures_of_a_search_come_by_rank_and_all_come_newest_first(database: Database) -> None:
    search_id, rows = _architectures(database)
    _architectures(database)
    with database.read() as session:
        of_search = architectures.list_architectures(session, limit=10, job_id=search_id)
        assert [row.rank for row in of_search] == [1, 2, 3]
        rest = architectures.list_architectures(session, limit=10, job_id=search_id, before=rows[0].id)
        assert [row.rank for row in rest] == [2, 3]
        assert len(architectures.list_architectures(session, limit=10)) == 6


def test_planning_candidates_twice_plans_them_once(database: Database) -> None:
    """A second attempt finds the first one's candidates."""
    job_id, rows = _architectures(database)
    planned = [PlannedCandidate(rows[0].id, {"name": name, "settings": {}}, 0) for name in ("bnn", "xnor-net")]
    with database.write() as session:
        first = [row.id for row in candidates.plan_candidates(session, job_id, planned)]
    with database.write() as session:
        assert [row.id for row in candidates.plan_candidates(session, job_id, planned)] == first


def test_an_epoch_that_is_reported_again_is_counted_once(database: Database) -> None:
    job_id, rows = _architectures(database)
    with database.write() as session:
        (row,) = candidates.plan_candidates(session, job_id, [PlannedCandidate(rows[0].id, {"name": "bnn"}, 0)])
    for epoch in (0, 1, 0, 1, 2):
        with database.write() as session:
            candidates.add_epoch(session, row.id, _report(epoch))
    with database.read() as session:
        assert [entry.epoch for entry in candidates.curves_of(session, row.id, limit=10)] == [0, 1, 2]
        assert [entry.epoch for entry in candidates.curves_of(session, row.id, limit=1, after=0)] == [1]
        stored = candidates.get_candidate(session, row.id)
        assert (stored.epochs_done, stored.seconds) == (3, 6.0)


def test_candidates_are_found_by_the_search_that_found_their_architecture(database: Database) -> None:
    search_id, rows = _architectures(database)
    with database.write() as session:
        training = jobs.create_job(session, jobs.TRAINING, "", {}, parent_id=search_id)
        (row,) = candidates.plan_candidates(session, training.id, [PlannedCandidate(rows[1].id, {"name": "bnn"}, 0)])
        candidates.begin(session, row.id, "host:1", "cpu", 0)
        candidates.succeed(session, row.id, metrics(validation=0.9, test=0.8), {"ops": 3})
    with database.read() as session:
        for filters in ({"search_id": search_id}, {"job_id": training.id}, {"architecture_id": rows[1].id}):
            (found,) = candidates.list_candidates(session, limit=5, **filters)
            assert (found.state, found.test_accuracy) == ("succeeded", 0.8)
        assert candidates.list_candidates(session, limit=5, architecture_id=rows[0].id) == []


@pytest.mark.parametrize("get", [architectures.get_architecture, candidates.get_candidate])
def test_what_is_not_there_is_not_found(get: object, database: Database) -> None:
    with database.read() as session, pytest.raises(NotFoundError, match="'nowhere'"):
        get(session, "nowhere")  # type: ignore[operator]  # a function, parametrised


def test_an_idempotency_key_gives_the_job_it_made_and_refuses_another_request(database: Database) -> None:
    digest = idempotency.request_digest("search", {"seed": 1})
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        assert idempotency.earlier_job(session, "key", digest) is None
        idempotency.remember(session, "key", digest, job.id)
    with database.write() as session:
        assert idempotency.earlier_job(session, "key", digest) == job.id
    other = idempotency.request_digest("search", {"seed": 2})
    with pytest.raises(InvalidInputError, match="Idempotency-Key"), database.write() as session:
        idempotency.earlier_job(session, "key", other)


def test_an_idempotency_key_is_forgotten_after_a_day(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        old = utc_now() - timedelta(hours=25)
        session.add(IdempotencyKey(key="key", request_digest="x", job_id=job.id, created_at=old))
    with database.write() as session:
        assert idempotency.earlier_job(session, "key", "y") is None


def test_a_key_cannot_be_remembered_twice(database: Database) -> None:
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {})
        idempotency.remember(session, "key", "x", job.id)
    with pytest.raises((ConflictError, IntegrityError)), database.write() as session:
        idempotency.remember(session, "key", "x", job.id)


def test_files_are_put_got_listed_and_deleted(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    store.put("folder/a.bin", b"first")
    stored = StoredFile.of("folder/a.bin", b"first")
    store.put("folder/a.bin", b"second")
    store.put("folder/b.bin", b"")
    assert store.get("folder/a.bin") == b"second"
    assert stored.size_bytes == 5
    assert stored.sha256 == "a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e"
    assert store.keys("folder/") == ["folder/a.bin", "folder/b.bin"]
    store.delete("folder/a.bin")
    store.delete("folder/a.bin")
    assert store.get("folder/a.bin") is None
    store.delete("folder/")
    assert store.keys("folder/") == []


def test_a_stored_file_replaces_the_row_of_the_one_before(database: Database, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path.as_uri())
    for content in (b"one", b"three"):
        with database.write() as session:
            store.put("x", content)
            artifacts.record_artifact(session, "owner", "bundle", StoredFile.of("x", content))
    with database.read() as session:
        assert artifacts.get_artifact(session, "owner", "bundle").size_bytes == 5
        with pytest.raises(NotFoundError):
            artifacts.get_artifact(session, "owner", "other")
