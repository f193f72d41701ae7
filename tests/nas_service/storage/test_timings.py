"""Timings of like work: averages of limited numbers of rows, on SQLite and on PostgreSQL."""

from typing import Any

import pytest
from sqlalchemy import insert

from nas_service.lifecycle import JobState
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage import candidates, jobs
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.models import Job, SampleRow
from nas_service.storage.session import Database, Session, utc_now
from nas_service.storage.timings import epoch_timings, sample_timing
from nas_service.timing import Timing, method_key
from tests.reports import epoch_report, metrics
from tests.samples import tiny_genotype

TRAINING: dict[str, Any] = {"space": "tiny", "dataset": "digits", "architectures": ["a"], "methods": ["bnn"]}


def _search(session: Session, seconds: list[float], **spec: object) -> str:
    parsed = SearchSpec.model_validate({"space": "tiny", **spec})
    job = jobs.create_job(session, jobs.SEARCH, "", parsed.model_dump(mode="json"))
    rows = [
        {
            "job_id": job.id,
            "index": index,
            "wave": index,
            "genotype": {},
            "digest": "",
            "reward": 0.5,
            "diverged": False,
            "cost": {},
            "seconds": taken,
            "worker": "",
            "attempt": 1,
            "created_at": utc_now(),
        }
        for index, taken in enumerate(seconds)
    ]
    session.execute(insert(SampleRow), rows)
    _finish(session, job.id)
    return job.id


def _finish(session: Session, job_id: str) -> None:
    job = session.get(Job, job_id)
    assert job is not None
    job.state = JobState.SUCCEEDED.value
    session.flush()


def _training(session: Session, architecture_id: str, seconds: dict[str, float], **spec: object) -> None:
    """Write a finished training of an architecture with two epochs of so many seconds for each method."""
    parsed = TrainingSpec.model_validate({**TRAINING, **spec, "methods": list(seconds)})
    job = jobs.create_job(session, jobs.TRAINING, "", parsed.model_dump(mode="json"))
    planned = [PlannedCandidate(architecture_id, method.model_dump(), 0) for method in parsed.methods]
    for candidate, taken in zip(candidates.plan_candidates(session, job.id, planned), seconds.values(), strict=True):
        for epoch in range(2):
            candidates.add_epoch(session, candidate.id, epoch_report(epoch, seconds=taken))
        candidates.begin(session, candidate.id, "host:1", "cpu", 0)
        candidates.succeed(session, candidate.id, metrics(), {})
    _finish(session, job.id)


def test_the_newest_samples_of_the_newest_like_search_are_averaged(database: Database) -> None:
    with database.write() as session:
        _search(session, [9.0] * 3)
        _search(session, [50.0] * 10 + [1.0, 3.0] * 500)
        _search(session, [7.0], method="bnn")
    with database.read() as session:
        assert sample_timing(session, SearchSpec.model_validate({"space": "tiny"})) == Timing(2.0, 1000)
        assert sample_timing(session, SearchSpec.model_validate({"space": "tiny", "method": "bnn"})) == Timing(7.0, 1)
        for other in ({"strategy": "random"}, {"evaluation": {"epochs": 2}}, {"resources": {"gpus_per_worker": 1}}):
            assert sample_timing(session, SearchSpec.model_validate({"space": "tiny", **other})) is None
        wider = SearchSpec.model_validate({"space": "tiny", "wave": 4, "seed": 3, "resources": {"workers": 2}})
        assert sample_timing(session, wider) == Timing(2.0, 1000)


def test_a_search_that_did_not_finish_or_sampled_nothing_tells_no_time(database: Database) -> None:
    spec = SearchSpec.model_validate({"space": "tiny"})
    with database.write() as session:
        _search(session, [2.0])
        job = session.get(Job, _search(session, [8.0]))
        assert job is not None
        job.state = JobState.CANCELLED.value
    with database.read() as session:
        assert sample_timing(session, spec) == Timing(2.0, 1)


def test_epochs_are_averaged_by_method_and_recipe_whatever_their_number(database: Database) -> None:
    with database.write() as session:
        (found_once,) = add_architectures(session, _search(session, [1.0]), [Discovery(tiny_genotype(), 0.5, {})])
        _training(session, found_once.id, {"bnn": 2.0, "rebnn": 5.0}, recipe={"epochs": 2})
        _training(session, found_once.id, {"bnn": 4.0}, recipe={"epochs": 9})
        _training(session, found_once.id, {"bnn": 100.0}, recipe={"batch_size": 32})
        _training(session, found_once.id, {"bnn": 100.0}, resources={"cpus_per_trial": 2})
    spec = TrainingSpec.model_validate({**TRAINING, "recipe": {"epochs": 50}})
    with database.read() as session:
        found = epoch_timings(session, spec.space, spec.dataset, spec)
        other = TrainingSpec.model_validate({**TRAINING, "dataset": {"name": "digits", "settings": {"split_seed": 1}}})
        assert epoch_timings(session, other.space, other.dataset, other) == {}
    recipe = spec.recipe.model_dump(mode="json")
    keys = {name: method_key({"name": name}, recipe) for name in ("bnn", "rebnn", "recu")}
    assert {name: found[keys[name]].count for name in ("bnn", "rebnn")} == {"bnn": 2, "rebnn": 1}
    assert [found[keys[name]].seconds for name in ("bnn", "rebnn")] == pytest.approx([3.0, 5.0])
    assert keys["recu"] not in found
