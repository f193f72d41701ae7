"""`nas gc`: what lies in the store and the logs for nobody goes; what a job may need stays, whatever its state."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from nas_service.errors import ConflictError
from nas_service.lifecycle import CandidateState, JobState
from nas_service.settings import Settings
from nas_service.storage import architectures, candidates, file_holds, jobs, litter
from nas_service.storage.artifacts import SCRATCH, ArtifactStore, StoredFile, record_artifact
from nas_service.storage.candidates import PlannedCandidate
from nas_service.storage.keys import (
    candidate_key,
    checkpoint_key,
    full_precision_key,
    supernet_folder,
    supernet_key,
    whole_training_key,
)
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.holds import held
from tests.object_store import ObjectStore
from tests.samples import random_genotype
from tests.workers.conftest import sampled
from workers.context import JobContext
from workers.garbage import Found, GarbageCollector
from workers.search_driver import SearchDriver
from workers.tidier import Tidier

GONE = "0190a1b2-0000-7000-8000-000000000000"
HOUR_S = 3600.0
CONTENT = b"content"


@dataclass(frozen=True)
class World:
    """A store and logs with something of every kind, all of it two hours old.

    Attributes:
        used: Keys that have to stay.
        orphans: Keys that nobody needs.
        search: A search that is over, of which a training is at work.
    """

    used: tuple[str, ...]
    orphans: tuple[str, ...]
    search: str


def _age(settings: Settings, *keys: str) -> None:
    for key in keys:
        _age_file(Path(settings.artifacts.removeprefix("file://")) / key)


def _age_file(path: Path, seconds: float = 2 * HOUR_S) -> None:
    moment = time.time() - seconds
    os.utime(path, (moment, moment))


@pytest.fixture
def world(settings: Settings, opened: Database) -> World:
    """Return a search that is over, its training at work on one of two candidates, and a search that is paused."""
    with opened.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "", {})
        held(session)
        found = [architectures.Discovery(random_genotype(SPACES.get("tiny")), 0.9, {})]
        (architecture,) = architectures.add_architectures(session, search.id, found)
        jobs.move(session, search.id, JobState.SUCCEEDED)
        training = jobs.create_job(session, jobs.TRAINING, "", {"architectures": [architecture.id], "teacher": None})
        held(session)
        planned = [PlannedCandidate(architecture.id, {"name": "bnn", "settings": {}}, seed) for seed in range(2)]
        done, working = candidates.plan_candidates(session, training.id, planned)
        candidates.begin(session, done.id, "host:1", "cpu", 0)
        candidates.move(session, done.id, CandidateState.SUCCEEDED)
        record_artifact(session, done.id, "bundle", StoredFile.of(candidate_key(done.id, "bundle.zip"), CONTENT))
        paused = jobs.create_job(session, jobs.SEARCH, "", {})
        jobs.move(session, paused.id, JobState.PAUSED)
        litter.picked_up(session, litter.list_litter(session, 100))  # and then late writers came
        litter.drop(session, [f"trainings/{GONE}/"])
    used = [candidate_key(done.id, "bundle.zip"), checkpoint_key(working.id), candidate_key(working.id, "bundle.zip")]
    used += [supernet_key(paused.id, 8), whole_training_key(search.id, "a" * 64, "b" * 64), full_precision_key("c" * 64)]
    used += [f"trainings/{GONE}/{'d' * 64}.safetensors", "notes/of/others.txt"]
    orphans = [supernet_key(search.id, 8), supernet_key(GONE, 4), whole_training_key(GONE, "a" * 64, "b" * 64)]
    orphans += [checkpoint_key(done.id), candidate_key(GONE, "bundle.zip"), f"registrations/{GONE}/sheet.png"]
    for key in (*used, *orphans):
        ArtifactStore(settings.artifacts).put(key, CONTENT)
    _age(settings, *used, *orphans)
    return World(tuple(used), tuple(orphans), search.id)


def _collector(settings: Settings, database: Database, age_s: float = HOUR_S, *, with_caches: bool = False) -> GarbageCollector:
    return GarbageCollector(settings, database, ArtifactStore(settings.artifacts), age_s=age_s, with_caches=with_caches)


def _counted(found: Found) -> dict[tuple[str, bool], tuple[int, int]]:
    return {(pile.kind, pile.goes): (pile.files, pile.size_bytes) for pile in found.piles}


def _files(settings: Settings) -> set[str]:
    return {file.key for file in ArtifactStore(settings.artifacts).files()}


def test_what_nobody_needs_goes_and_what_a_job_may_need_stays(settings: Settings, opened: Database, world: World) -> None:
    before = _files(settings)
    look = _collector(settings, opened).look()
    assert _counted(look) == {
        ("results", False): (1, 7),
        ("work of jobs", False): (4, 28),
        ("full-precision networks", False): (1, 7),
        ("litter", False): (1, 7),
        ("unknown", False): (1, 7),
        ("orphans", True): (6, 42),
    }
    assert (look.lost, _files(settings)) == ((), before)  # to look changes nothing
    assert _collector(settings, opened).collect() == look
    assert _files(settings) == set(world.used)
    assert ("orphans", True) not in _counted(_collector(settings, opened).look())
    with opened.read() as session:
        assert litter.list_litter(session, 100) == [f"trainings/{GONE}/"]


def test_what_was_written_lately_stays_and_never_for_less_than_litter_does(
    settings: Settings, opened: Database, world: World
) -> None:
    store = ArtifactStore(settings.artifacts)
    store.put(world.orphans[0], CONTENT)
    _collector(settings, opened, age_s=0.0).collect()  # litter stays a minute
    assert _files(settings) == {*world.used, world.orphans[0]}
    _collector(settings.model_copy(update={"litter_s": 0.0}), opened, age_s=0.0).collect()
    assert _files(settings) == set(world.used)


def test_full_precision_networks_go_where_that_is_asked_for_and_no_training_is_at_work(
    settings: Settings, opened: Database, world: World
) -> None:
    found = _collector(settings, opened, with_caches=True).collect()
    (stays,) = (pile for pile in found.piles if pile.kind == "full-precision networks")
    assert (stays.goes, stays.why) == (False, "a training is not over, and may need them")
    with opened.write() as session:
        for job in jobs.list_jobs(session, jobs.TRAINING, limit=10):
            jobs.move(session, job.id, JobState.SUCCEEDED)
    found = _collector(settings, opened, with_caches=True).collect()
    assert _counted(found)["full-precision networks", True] == (1, 7)
    assert full_precision_key("c" * 64) not in _files(settings)


def test_rows_whose_files_are_lost_are_named_and_kept(settings: Settings, opened: Database, world: World) -> None:
    ArtifactStore(settings.artifacts).delete(world.used[0])
    found = _collector(settings, opened).collect()
    assert (found.lost, found.lost_count) == ((world.used[0],), 1)
    assert _collector(settings, opened).look().lost_count == 1


def test_logs_of_jobs_that_are_gone_and_what_dead_writers_left_go(settings: Settings, opened: Database, world: World) -> None:
    logs = settings.home / "logs"
    logs.mkdir()
    for name in (f"{world.search}-1.log", f"{GONE}-1.log", f"{GONE}-12.log"):
        (logs / name).write_bytes(CONTENT)
    for name in (f"{world.search}-1.log", f"{GONE}-1.log"):
        _age_file(logs / name)
    scratch = settings.home / "artifacts" / SCRATCH
    scratch.mkdir(exist_ok=True)
    (scratch / f"elsewhere-{os.getpid()}-1").write_bytes(CONTENT)
    (scratch / "elsewhere-1-2").write_bytes(CONTENT)
    _age_file(scratch / "elsewhere-1-2", 48 * HOUR_S)
    found = _counted(_collector(settings, opened).collect())
    assert found["logs of deleted jobs", True] == found["half-written", True] == found["half-written", False] == (1, 7)
    assert sorted(path.name for path in logs.iterdir()) == sorted([f"{world.search}-1.log", f"{GONE}-12.log"])
    assert [path.name for path in scratch.iterdir()] == [f"elsewhere-{os.getpid()}-1"]


def test_the_store_of_another_database_is_left_alone(settings: Settings, opened: Database) -> None:
    """A new database knows of no file: all would be orphans."""
    before = [supernet_key(GONE, 4), candidate_key(GONE, "bundle.zip")]
    for key in before:
        ArtifactStore(settings.artifacts).put(key, CONTENT)
    _age(settings, *before)
    with pytest.raises(ConflictError, match="this database knows none of the 2 files in the store"):
        _collector(settings, opened).collect()
    with opened.write() as session:
        jobs.create_job(session, jobs.SEARCH, "", {})
    with pytest.raises(ConflictError, match="knows none of the 2 files"):
        _collector(settings, opened).collect()
    assert _files(settings) == set(before)


def test_files_of_jobs_that_are_newer_than_the_database_stay(settings: Settings, opened: Database, world: World) -> None:
    """Somebody put an older database back: what came after it is no garbage."""
    newer = supernet_key("ffffffff-0000-7000-8000-000000000000", 4)
    ArtifactStore(settings.artifacts).put(newer, CONTENT)
    _age(settings, newer)
    found = _collector(settings, opened).collect()
    assert _counted(found)["unknown", False] == (2, 14)
    assert _files(settings) == {*world.used, newer}


def test_nothing_is_deleted_while_a_backup_is_under_way(settings: Settings, opened: Database, world: World) -> None:
    with opened.write() as session:
        hold = file_holds.take_hold(session)
    with pytest.raises(ConflictError, match="a backup is under way"):
        _collector(settings, opened).collect()
    hurried = settings.model_copy(update={"litter_s": 0.0})
    Tidier(hurried, opened).tidy()
    assert _files(settings) == {*world.used, *world.orphans}
    with opened.write() as session:
        file_holds.let_go(session, hold)
    Tidier(hurried, opened).tidy()
    assert _files(settings) == {key for key in (*world.used, *world.orphans) if GONE not in key or "trainings" not in key}


def test_on_s3_orphans_go_and_uploads_that_were_never_ended(
    settings: Settings, opened: Database, s3_url: str, s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.garbage.GIVEN_UP_S", 0.0)  # the server says when an upload was begun
    on_s3, files = settings.model_copy(update={"artifact_url": s3_url, "litter_s": 0.0}), s3_server.files()
    with opened.write() as session:
        ours = jobs.create_job(session, jobs.SEARCH, "", {}).id
    ArtifactStore(s3_url).put(supernet_key(ours, 4), CONTENT)
    ArtifactStore(s3_url).put(supernet_key(GONE, 4), CONTENT)
    bucket, _, prefix = s3_url.removeprefix("s3://").partition("/")
    begun = files.call_s3("create_multipart_upload", Bucket=bucket, Key=f"{prefix}/a")
    files.call_s3("upload_part", Bucket=bucket, Key=f"{prefix}/a", PartNumber=1, UploadId=begun["UploadId"], Body=CONTENT)
    time.sleep(1.1)  # the server tells whole seconds
    found = _collector(on_s3, opened, age_s=0.0).collect()
    assert _counted(found) == {("work of jobs", False): (1, 7), ("orphans", True): (1, 7), ("unfinished uploads", True): (1, 7)}
    assert _counted(_collector(on_s3, opened, age_s=0.0).look()) == {("work of jobs", False): (1, 7)}


def test_a_search_keeps_older_shared_weights_while_a_backup_is_under_way(settings: Settings, opened: Database) -> None:
    job, store = sampled(opened, 3), ArtifactStore(settings.artifacts)
    context = JobContext(settings, job.id, job.attempt)
    keys = [supernet_key(job.id, samples) for samples in (1, 2, 3)]
    for key in keys:
        store.put(key, CONTENT)
    with opened.write() as session:
        hold = file_holds.take_hold(session)
    driver = SearchDriver(context, job)
    driver._forget_older(keys[2])
    assert store.keys(supernet_folder(job.id)) == keys
    with opened.write() as session:
        file_holds.let_go(session, hold)
    driver._forget_older(keys[1])
    assert store.keys(supernet_folder(job.id)) == keys[1:]  # a newer one belongs to an attempt that took over
    context.close()
