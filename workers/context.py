"""JobContext: a driver's hold on its job. It renews the lease, notices that the job should end, and commits."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from nas_service.errors import LateResultError
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from workers.conclusion import end_early

log = structlog.get_logger()

Result = TypeVar("Result")


class JobEndedError(Exception):
    """The job should not go on here: it was cancelled, taken over, or this process was asked to end."""


class CancelledError(JobEndedError):
    """Somebody asked for the job's end."""


class ReleasedError(JobEndedError):
    """This process was asked to end; another attempt goes on from the last commit."""


class JobContext:
    """What a driver needs of the service: database, artifacts, lease, and the wish of others that it ends."""

    def __init__(self, settings: Settings, job_id: str, attempt: int) -> None:
        """Open the database and the store."""
        self.settings = settings
        self.job_id = job_id
        self.attempt = attempt
        self.database = Database(settings.database)
        self.store = ArtifactStore(settings.artifacts)
        self.lease = timedelta(seconds=settings.lease_s)
        self._over = threading.Event()
        self._ending: JobEndedError | None = None

    def start(self) -> Job:
        """Take the job over.

        Raises:
            LateResultError: If the attempt is over already.
        """
        with self.database.write() as session:
            return jobs.start(session, self.job_id, self.attempt, self.lease)

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Renew the lease in the background, and turn SIGTERM into `ReleasedError`, inside the block."""
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        before = signal.signal(signal.SIGTERM, lambda *_: self._end(ReleasedError("this process was asked to end")))
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            signal.signal(signal.SIGTERM, before)

    def check(self) -> None:
        """Raise why the job should end here, if it should.

        Raises:
            JobEndedError: See its kinds.
        """
        if self._ending is not None:
            raise self._ending

    @property
    def should_end(self) -> bool:
        """Whether `check` would raise."""
        return self._ending is not None

    def commit(self, write: Callable[[Any], Result]) -> Result:
        """Run `write` with a session in one transaction.

        Raises:
            LateResultError: If `write` finds that the attempt is over.
        """
        with self.database.write() as session:
            return write(session)

    def note_state(self, state: JobState) -> None:
        """Take note of the state that a commit returned."""
        if state is JobState.CANCELLING:
            self._end(CancelledError("the job was cancelled"))

    def finish(self, state: JobState) -> None:
        """Move the job to its last state, if this attempt still holds it."""
        with self.database.write() as session:
            jobs.move(session, self.job_id, state, attempt=self.attempt)

    def end_early(self, job: Job, state: JobState, error: str | None = None) -> None:
        """As `conclusion.end_early`."""
        end_early(self.database, self.store, job, state, error)

    def release(self, reason: str) -> None:
        """Let another attempt go on at once; one that is being cancelled or paused is left to the controller."""
        with self.database.write() as session:
            if not jobs.requeue(session, self.job_id, self.attempt, reason):
                jobs.renew(session, self.job_id, self.attempt, timedelta(seconds=-1))

    def give_up(self, reason: str) -> None:
        """Let another attempt go on where this one cannot; the job fails after too many without progress."""
        with self.database.write() as session:
            job = jobs.get_job(session, self.job_id)
            if job.attempt == self.attempt:
                jobs.release_lost(session, job, reason, self.settings.max_attempts)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _end(self, reason: JobEndedError) -> None:
        if self._ending is None:
            self._ending = reason

    def _renew(self) -> None:
        while not self._over.wait(self.settings.lease_s / 4):
            try:
                with self.database.write() as session:
                    self.note_state(jobs.renew(session, self.job_id, self.attempt, self.lease))
            except LateResultError as error:
                self._end(JobEndedError(str(error)))
                return
            except Exception:
                log.warning("lease.not_renewed", job_id=self.job_id, exc_info=True)
