"""Several controllers on one PostgreSQL: every job is claimed once, and never more are held than may be."""

import threading
import time
from collections import Counter
from datetime import timedelta

import pytest

from nas_service.capacity import Capacity
from nas_service.lifecycle import FINISHED, JobState
from nas_service.settings import Settings
from nas_service.storage import attempts, jobs
from nas_service.storage.attempts import Hold
from nas_service.storage.session import Database
from tests.waiting import wait_until
from tests.workers.conftest import submitted
from workers.controller import Controller
from workers.launcher import Exit

LEASE = timedelta(seconds=30)


class _Threads:
    """Launches drivers that do nothing but hold their job for a moment, as threads of this process."""

    def __init__(self, url: str, launched: Counter[str], most: list[int]) -> None:
        self._database = Database(url)
        self._launched = launched
        self._most = most
        self._threads: list[threading.Thread] = []

    def capacity(self) -> Capacity:
        """Return something."""
        return Capacity(cpus=1, gpus=0)

    def trouble(self) -> str | None:
        """Return None."""
        return None

    def launch(self, job_id: str, attempt: int) -> None:
        """Hold the job and end it."""
        self._launched[job_id] += 1
        self._threads.append(threading.Thread(target=self._drive, args=[Hold(job_id, attempt, LEASE)]))
        self._threads[-1].start()

    def _drive(self, hold: Hold) -> None:
        with self._database.write() as session:
            attempts.start(session, hold)
            self._most[0] = max(self._most[0], attempts.held_count(session))
        time.sleep(0.02)
        with self._database.write() as session:
            jobs.move(session, hold.job_id, JobState.SUCCEEDED, attempt=hold.attempt)

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return None: the job says it itself."""
        del job_id, attempt
        return None

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Do nothing: there is nothing to stop."""

    def tidy(self) -> None:
        """Do nothing."""

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """Wait for what goes on."""
        for thread in self._threads:
            thread.join(grace_s)
        self._database.close()
        return []


@pytest.mark.few(1)
@pytest.mark.parametrize("limit", [1, 3])
def test_six_controllers_carry_out_every_job_once_and_hold_no_more_than_the_limit(
    limit: int, postgres_url: str, settings: Settings
) -> None:
    url, launched, most = postgres_url, Counter[str](), [0]
    database = Database(url)
    ids = [submitted(database).id for _ in range(60)]
    steering = settings.model_copy(update={"database_url": url, "max_concurrent_jobs": limit, "poll_s": 0.02})
    controllers = [Controller(steering, Database(url), _Threads(url, launched, most)) for _ in range(6)]
    for controller in controllers:
        controller.start()

    def is_over() -> bool:
        with database.read() as session:
            return all(jobs.get_job(session, job_id).state in FINISHED for job_id in ids)

    wait_until(is_over, bool, 120)
    for controller in controllers:
        controller.stop()
    assert launched == Counter(ids)
    assert most[0] <= limit
    with database.read() as session:
        assert {jobs.get_job(session, job_id).attempt for job_id in ids} == {1}
    database.close()
