"""How jobs end early: with the best they found, and in any case."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import events, jobs, litter
from nas_service.storage.architectures import Discovery, add_architectures, list_architectures
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.keys import whole_training_key, whole_trainings_folder
from nas_service.storage.models import Job
from nas_service.storage.samples import history_of
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.samples import random_genotype
from tests.workers.conftest import job_of, running, sampled, submitted
from workers.conclusion import Findings, conclude, findings_of, release

EMPTY = ArtifactStore("memory://empty")


def _end(database: Database, job: Job, store: ArtifactStore = EMPTY) -> None:
    found = findings_of(database, store, job)
    with database.write() as session:
        assert conclude(session, job, JobState.FAILED, found, "an error")


def _told(database: Database, job_id: str) -> list[dict[str, Any]]:
    with database.read() as session:
        found = events.list_events(session, job_id, limit=20)
    return [event.data for event in found if event.kind == "search.best_not_kept"]


def _kept(database: Database, job_id: str) -> int:
    with database.read() as session:
        return len(list_architectures(session, limit=9, job_id=job_id))


def test_a_search_that_ends_early_keeps_its_best(opened: Database) -> None:
    job = sampled(opened, 3)
    _end(opened, job)
    assert (job_of(opened, job.id).state, _kept(opened, job.id), _told(opened, job.id)) == ("failed", 3, [])


def test_whole_trainings_of_architectures_that_are_not_kept_become_litter(settings: Settings, opened: Database) -> None:
    """Those too whose wave was never committed; and all of them where nothing can be kept."""
    store = ArtifactStore(settings.artifacts)
    for is_ranked in (True, False):
        job = sampled(opened, 3, keep=1, evaluation={"own": {}})
        with opened.write() as session:
            digests = {sample.genotype.digest for sample in history_of(session, job.id)} | {"uncommitted"}
            if not is_ranked:
                session.execute(update(Job).where(Job.id == job.id).values(spec={"no": "spec"}))
        for digest in digests:
            store.put(whole_training_key(job.id, digest, "training"), b"checkpoint")
        _end(opened, job_of(opened, job.id), store)
        with opened.read() as session:
            kept = {row.digest for row in list_architectures(session, limit=9, job_id=job.id)}
            dropped = [key for key in litter.list_litter(session, 99) if key.startswith(whole_trainings_folder(job.id))]
        assert len(kept) == is_ranked
        assert set(dropped) == {whole_trainings_folder(job.id, digest) for digest in digests - kept}
        assert len(digests) == 4


def test_a_search_ends_though_its_store_is_away(settings: Settings, opened: Database) -> None:
    """What it trained stays there until it is deleted."""
    job = sampled(opened, 3, evaluation={"own": {}})
    (Path(settings.home) / "file").write_text("no folder can be below it")
    _end(opened, job, ArtifactStore(str(Path(settings.home) / "file" / "artifacts")))
    assert (job_of(opened, job.id).state, _kept(opened, job.id), _told(opened, job.id)) == ("failed", 3, [])


@pytest.mark.parametrize("spec", [{"space": {"name": "gone", "settings": {}}}, {"no": "spec"}])
def test_a_search_whose_spec_means_nothing_any_more_ends_all_the_same(opened: Database, spec: dict[str, Any]) -> None:
    """As after a release that took a space away."""
    job = sampled(opened, 3)
    with opened.write() as session:
        session.execute(update(Job).where(Job.id == job.id).values(spec={**(job.spec if "space" in spec else {}), **spec}))
    _end(opened, job_of(opened, job.id))
    assert (job_of(opened, job.id).state, _kept(opened, job.id)) == ("failed", 0)
    assert [set(data) for data in _told(opened, job.id)] == [{"reason"}]


def test_a_search_whose_best_cannot_be_written_ends_all_the_same(opened: Database) -> None:
    """Its architectures are there already, by another's hand."""
    job = sampled(opened, 3)
    with opened.write() as session:
        add_architectures(session, job.id, [Discovery(random_genotype(SPACES.get("tiny")), 0.5, {})])
    _end(opened, job)
    assert (job_of(opened, job.id).state, _kept(opened, job.id)) == ("failed", 1)
    assert _told(opened, job.id) == [{"reason": "they could not be written (IntegrityError)"}]


def test_a_search_that_goes_on_keeps_nothing_yet(opened: Database) -> None:
    job = sampled(opened, 3)
    with opened.write() as session:
        assert release(session, job, "killed", 3, findings_of(opened, EMPTY, job)) is JobState.QUEUED
    assert _kept(opened, job.id) == 0


def test_nothing_is_found_before_the_first_sample(opened: Database) -> None:
    submitted(opened)
    assert findings_of(opened, EMPTY, running(opened)) == Findings()


def test_an_attempt_that_is_over_concludes_nothing(opened: Database) -> None:
    job = sampled(opened, 3)
    found = findings_of(opened, EMPTY, job)
    with opened.write() as session:
        release(session, jobs.get_job(session, job.id), "killed", 3, found)
        session.execute(update(Job).where(Job.id == job.id).values(state="running", attempt=2))
        assert not conclude(session, job, JobState.FAILED, found)
    assert (job_of(opened, job.id).state, _kept(opened, job.id)) == ("running", 0)
