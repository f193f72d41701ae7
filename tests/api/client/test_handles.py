"""Jobs, architectures and candidates that can be asked, in both clients."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from api.app import create_app
from api.async_client import AsyncNasClient
from api.client import (
    ApiError,
    Candidate,
    InvalidFieldError,
    NasClient,
    NotSucceededError,
    Search,
    StillAtWorkError,
    Training,
)
from api.spec_fields import SearchFields, TrainingFields
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.specs import SearchSpec, TrainingSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.api.conftest import write_bundled
from tests.api.whole_training import Written
from tests.clusters import free_port
from tests.serving import in_thread


def _move(settings: Settings, job_id: str, *states: JobState, error: str | None = None) -> None:
    database = Database(settings.database)
    with database.write() as session:
        for state in states:
            jobs.move(session, job_id, state, error=error if state == JobState.FAILED else None)
    database.close()


def _soon(act: Callable[[], None]) -> threading.Thread:
    def later() -> None:
        time.sleep(0.3)
        act()

    thread = threading.Thread(target=later)
    thread.start()
    return thread


def test_the_keywords_are_the_fields_of_the_specs() -> None:
    assert SearchFields.__annotations__.keys() == SearchSpec.model_fields.keys()
    assert TrainingFields.__annotations__.keys() == TrainingSpec.model_fields.keys()


def test_a_search_is_submitted_by_keywords_and_found_by_its_id(nas: NasClient) -> None:
    search = nas.search(space="tiny", dataset="digits", strategy="random", seed=7, training={"methods": ["bnn"]})
    assert isinstance(search, Search)
    assert (search.state, search.spec["strategy"]["name"], search.spec["seed"]) == ("queued", "random", 7)
    again = nas.search(search.id)
    assert again == search
    assert [row.id for row in nas.searches()] == [search.id]
    first, second = (nas.search(space="tiny", idempotency_key="key") for _ in range(2))
    assert first.id == second.id


def test_fields_that_are_wrong_are_named_and_neither_nor_both_is_refused(nas: NasClient) -> None:
    with pytest.raises(ApiError, match=r"space.name: 'tini' is not allowed"):
        nas.search(space="tini")
    with pytest.raises(TypeError, match="give an id, or fields of a spec"):
        nas.search()


def test_a_training_takes_space_and_dataset_of_what_it_trains(nas: NasClient, finished_search: str) -> None:
    search = nas.search(finished_search)
    first, second = search.architectures()
    training = nas.train(architectures=[first, second.id], methods=["bnn"])
    assert isinstance(training, Training)
    assert training.spec["architectures"] == [first.id, second.id]
    assert (training.spec["space"], training.spec["dataset"]["name"]) == (search.spec["space"], "digits")
    best = search.train(methods=["bnn", "rebnn"], seeds=[0, 1], name="the best")
    assert (best.spec["architectures"], best.name, len(best.spec["methods"])) == ([first.id], "the best", 2)


def test_a_job_is_paused_resumed_renamed_cloned_cancelled_and_deleted(nas: NasClient, settings: Settings) -> None:
    search = nas.search(space="tiny")
    assert search.pause().state == search.state == "paused"
    assert search.resume().state == "queued"
    assert search.change(name="mine", tags=["a"]).name == search.name == "mine"
    clone = search.clone({"seed": 3})
    assert (clone.spec["seed"], clone.id != search.id) == (3, True)
    assert search.cancel().state == "cancelling"
    _move(settings, search.id, JobState.CANCELLED)
    assert search.refresh().state == "cancelled"
    assert [event.kind for event in search.events("state")] == ["state"] * len(search.events("state"))
    assert search.logs().missing == "no driver has begun yet"
    search.delete()
    with pytest.raises(ApiError, match="there is no search"):
        search.refresh()


def test_waiting_ends_with_success_and_says_why_it_did_not(nas: NasClient, settings: Settings) -> None:
    search = nas.search(space="tiny")
    with pytest.raises(StillAtWorkError, match=f"search {search.id} is still queued and waits for .*it goes on") as late:
        search.wait(0.1)
    assert isinstance(late.value, TimeoutError)
    thread = _soon(lambda: _move(settings, search.id, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED))
    assert search.wait(60) is search
    assert search.state == "succeeded"
    thread.join()
    bad = nas.search(space="tiny", name="bad")
    _move(settings, bad.id, JobState.STARTING, JobState.FAILED, error="no room")
    with pytest.raises(NotSucceededError, match=rf"search {bad.id} \(bad\) failed: no room") as failed:
        bad.wait()
    assert failed.value.job is bad
    gone = nas.search(space="tiny")
    gone.cancel()
    _move(settings, gone.id, JobState.CANCELLED)
    with pytest.raises(NotSucceededError, match="was cancelled"):
        gone.wait()


def test_waiting_survives_a_service_that_restarts(settings: Settings) -> None:
    port, ended = free_port(), list[str]()
    with in_thread(create_app(settings), port=port) as url, NasClient(url) as nas:
        search = nas.search(space="tiny")
        waiting = threading.Thread(target=lambda: ended.append(search.wait(60).state))
        waiting.start()
    time.sleep(1.5)  # in which it asks nobody, twice
    _move(settings, search.id, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED)
    with in_thread(create_app(settings), port=port):
        waiting.join(60)
    assert ended == ["succeeded"]


def test_a_search_waits_for_its_trainings_unless_it_should_not(nas: NasClient, settings: Settings, finished_search: str) -> None:
    database = Database(settings.database)
    with database.write() as session:
        training = jobs.create_job(session, jobs.TRAINING, "", {}, parent_id=finished_search).id
    database.close()
    search = nas.search(finished_search)
    assert search.wait(trainings=False).id == finished_search
    assert [row.id for row in search.trainings()] == [training]
    with pytest.raises(StillAtWorkError, match=f"training {training}"):
        search.wait(0.1)
    _move(settings, training, JobState.STARTING, JobState.FAILED, error="no room")
    with pytest.raises(NotSucceededError, match=f"training {training} failed"):
        search.wait()


def test_what_a_job_does_is_streamed_and_watched(nas: NasClient, settings: Settings) -> None:
    search = nas.search(space="tiny")
    thread = _soon(lambda: _move(settings, search.id, JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED))
    messages = list(search.stream(0))
    thread.join()
    assert [message.data["state"] for message in messages if message.kind == "state"][-1] == "succeeded"
    assert messages[-1].kind == "end"
    assert [job.state for job in nas.search(search.id).watch()] == ["succeeded", "succeeded"]


def test_everything_of_a_search_is_asked_of_it(nas: NasClient, finished_search: str) -> None:
    search = nas.search(finished_search)
    assert [sample.index for sample in search.samples()] == [0, 1, 2]
    assert len(search.arms()) == 18
    assert {arm.cell for arm in search.arms(cell=search.arms()[0].cell)} == {search.arms()[0].cell}
    assert search.rounds().samples == 3
    assert search.series(fields="reward").points == 3
    assert search.leader().digest
    assert search.diagram().startswith("<svg")
    assert search.beliefs().beliefs == []
    assert search.report().startswith(b"<!doctype html>")
    assert search.correlation().points == []
    with pytest.raises(ApiError):
        search.best()


def test_everything_of_a_training_is_asked_of_it(nas: NasClient, whole: Written) -> None:
    training = nas.training(whole.training)
    assert len(training.candidates()) == 45
    best = training.best()
    assert best.metrics is not None
    assert best.validation_accuracy == max(row.validation_accuracy or 0 for row in training.candidates())
    assert len(best.curves()) == 12
    architecture = best.architecture()
    assert (architecture.id, len(architecture.candidates())) == (best.architecture_id, 9)
    assert architecture.cost_by_part().rows
    other = next(key for key in whole.architectures if key != architecture.id)
    assert architecture.diagram(compare=other) != architecture.diagram()
    assert len(training.curves().candidates) == 45
    assert len(training.comparison().pairs) == 15
    assert best.refresh() is best


def test_a_candidate_is_saved_where_one_says(
    nas: NasClient, settings: Settings, finished_search: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = nas.search(finished_search).architectures()[0].id
    candidate = nas.candidate(write_bundled(settings, key))
    assert isinstance(candidate, Candidate)
    assert candidate.download(tmp_path / "x.zip") == tmp_path / "x.zip"
    assert (tmp_path / "x.zip").read_bytes() == b"the bundle"
    folder = tmp_path / "folder"
    folder.mkdir()
    named = folder / f"candidate-{candidate.id}.zip"
    assert candidate.download(folder) == named
    monkeypatch.chdir(folder)
    assert candidate.download() == Path(named.name)
    assert [path.name for path in folder.iterdir()] == [named.name]
    link = tmp_path / "link.zip"
    link.symlink_to(named)
    candidate.download(link, format="bundle")
    assert link.is_symlink()


def test_a_file_that_cannot_be_written_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with NasClient("http://127.0.0.1:1") as nobody:
        for place in (tmp_path / "none" / "x.zip", "/dev/null", "/proc/x.zip"):
            with pytest.raises(InvalidFieldError, match=r"^path: .* allowed: a file or"):
                nobody.save("candidates", "x", place)


def test_a_refused_download_keeps_what_was_there(nas: NasClient, whole: Written, tmp_path: Path) -> None:
    kept = tmp_path / "folder" / "x.zip"
    kept.parent.mkdir()
    kept.write_text("before")
    with pytest.raises(ApiError):
        nas.training(whole.training).candidates()[0].download(kept, format="c")
    assert (kept.read_text(), [path.name for path in kept.parent.iterdir()]) == ("before", ["x.zip"])


def test_what_came_through_a_connection_outlives_it(url: str, finished_search: str) -> None:
    with NasClient(url) as nas:
        search, arms = nas.search(finished_search), nas.arms(finished_search)
    assert (len(arms), search.refresh().state) == (18, "succeeded")
    search._client.close()
    assert [message.kind for message in search.stream()] == ["progress", "end"]
    search._client.close()


def test_handles_go_to_other_processes(nas: NasClient) -> None:
    search = pickle.loads(pickle.dumps(nas.search(space="tiny")))  # noqa: S301 - our own
    assert search.refresh().state == "queued"


def test_waiting_takes_the_time_it_was_given_and_looks_once_more(nas: NasClient) -> None:
    search, begun = nas.search(space="tiny"), time.monotonic()
    with pytest.raises(StillAtWorkError):
        search.wait(0.2)
    assert time.monotonic() - begun >= 0.2


def test_the_asynchronous_client_has_the_same_calls(url: str, settings: Settings, whole: Written, tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncNasClient(url) as nas:
            search = await nas.search(space="tiny", training={"methods": ["bnn"]})
            with pytest.raises(StillAtWorkError):
                await search.wait(0.1)
            assert search.id in [row.id async for row in nas.searches()]
            assert (await search.pause()).state == "paused"
            waiting = asyncio.create_task(search.wait(60))
            await search.resume()
            for state in (JobState.STARTING, JobState.RUNNING, JobState.SUCCEEDED):
                await asyncio.to_thread(_move, settings, search.id, state)
            assert (await waiting).state == "succeeded"
            assert [message.kind async for message in search.stream(0)][-1] == "end"
            training = await nas.training(whole.training)
            rows = await training.candidates()
            assert len(rows.to_pandas()) == len(rows) == 45
            best = await training.best()
            architecture = await best.architecture()
            assert "<img" not in architecture._repr_html_()
            assert "<img" in (await architecture.diagram())._repr_html_()
            path = await architecture.download(tmp_path)
            assert path.read_bytes()[:2] == b"PK"

    asyncio.run(use())


def test_the_asynchronous_client_leaves_the_loop_to_others_while_it_waits(url: str) -> None:
    async def use() -> int:
        async with AsyncNasClient(url) as nas:
            search, turns = await nas.search(space="tiny"), 0
            waiting = asyncio.create_task(search.wait(1))
            while not waiting.done():
                await asyncio.sleep(0.01)
                turns += 1
            with pytest.raises(StillAtWorkError):
                await waiting
            return turns

    assert asyncio.run(use()) > 10  # of the hundred that fit, on a busy machine


SCRIPT = "import sys; from api.client import NasClient; NasClient(sys.argv[1]).search(sys.argv[2]).wait(quiet=len(sys.argv) > 3)"


def _shown_by(*words: str) -> str:
    """Return what a program writes on a terminal."""
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "160"}
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, *words], stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        seen = b""
        while part := _read(terminal.fileno()):
            seen += part
        assert process.wait() == 0, seen.decode()
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux tells that nobody writes any more
        return b""


def test_a_terminal_shows_a_bar_unless_quiet_is_asked_for(url: str, finished_search: str) -> None:
    shown = _shown_by(url, finished_search)
    assert "search succeeded" in shown
    assert "3/18 samples" in shown
    assert _shown_by(url, finished_search, "quiet") == ""
