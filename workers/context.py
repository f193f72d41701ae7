"""JobContext: a driver's hold on its job.

It renews the lease, commits, watches for progress, and notices that the job should end.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import structlog

from nas_service.errors import LateResultError
from nas_service.lifecycle import JobState, Loss
from nas_service.logs import Outage
from nas_service.reports import AnyProgress
from nas_service.settings import Settings
from nas_service.storage import attempts, jobs
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import Database, Session
from workers.conclusion import conclude, findings_of, release
from workers.watchdog import StallLimits, Watchdog

log = structlog.get_logger()

Result = TypeVar("Result")

TICK_S = 1.0  # between two looks at the job's state
CONNECTIONS = 3  # most of a driver, which keeps one: a server that serves a thousand drivers has few
ELSEWHERE = 3  # a driver's exit status: another attempt goes on


class JobEndedError(Exception):
    """The job should not go on here: it was cancelled, paused, taken over, or this process was asked to end."""


class CancelledError(JobEndedError):
    """Somebody asked for the job's end."""


class PausedError(JobEndedError):
    """Somebody asked the job to rest."""


class ReleasedError(JobEndedError):
    """This process was asked to end; another attempt goes on from the last commit."""


class StalledError(JobEndedError):
    """Nothing happens any more; another attempt goes on from the last commit."""


_ASKED = {JobState.CANCELLING: CancelledError("the job was cancelled"), JobState.PAUSING: PausedError("the job was paused")}


class JobContext:
    """What a driver needs of the service: database, artifacts, lease, and the wish of others that it ends."""

    def __init__(self, settings: Settings, job_id: str, attempt: int) -> None:
        """Open the database and the store."""
        self.settings = settings
        self.hold = Hold(job_id, attempt, timedelta(seconds=settings.lease_s))
        self.database = Database(settings.database, connections=CONNECTIONS)
        self.store = ArtifactStore(settings.artifacts)
        self._limits = StallLimits(settings.first_progress_s, settings.stall_s, settings.stall_factor)
        self._watchdog = Watchdog(self._limits, None)
        self._waiting_for: str | None = None
        self._devices = self._devices_told = 0.0, 0.0  # CPUs and GPUs that actors or trials have
        self._left = threading.Event()
        self._ending: JobEndedError | None = None

    def start(self) -> Job:
        """Take the job over.

        Raises:
            LateResultError: If the attempt is over already.
        """
        with self.database.write() as session:
            job = attempts.start(session, self.hold)
        self._watchdog = Watchdog(self._limits, job.usual_s)
        return job

    @contextmanager
    def alive(self, leave: Callable[[JobEndedError], object]) -> Iterator[None]:
        """Hold the job inside the block: renew its lease, watch it, and turn SIGTERM into `ReleasedError`.

        Args:
            leave: Called where the block does not end in time although it should; this process is ended after it.
        """
        thread = threading.Thread(target=self._look_after, args=[leave], name="lease", daemon=True)
        before = signal.signal(signal.SIGTERM, lambda *_: self._end(ReleasedError("this process was asked to end")))
        thread.start()
        try:
            yield
        finally:
            self._left.set()
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

    def mark(self, took_s: float | None = None, *, known: bool | None = None) -> None:
        """Note a sign of progress: a sample, an epoch, a training step somewhere; arguments as of `Watchdog.mark`."""
        self._watchdog.mark(took_s, known=known)
        self._stop_waiting()

    def reading(self, done: int, total: int) -> None:
        """Note that images were decoded, so many of so many.

        Raises:
            JobEndedError: As `check`.
        """
        del done, total
        self.mark()
        self.check()

    def wait_for(self, reason: str) -> None:
        """Say what keeps the job from going on, until the next mark or `go_on`; that is no stall."""
        self._watchdog.rest()
        if reason != self._waiting_for:
            self._waiting_for = reason
            self.commit(lambda session: attempts.wait(session, self.hold, reason))

    def go_on(self) -> None:
        """Say that nothing keeps the job from going on any more; silence counts from now, if it did not."""
        self._watchdog.wake()
        self._stop_waiting()

    def holds(self, cpus: float, gpus: float) -> None:
        """Say what actors or trials have from now on; it is written with the next look at the job."""
        self._devices = cpus, gpus

    def _stop_waiting(self) -> None:
        if self._waiting_for is not None:
            self._waiting_for = None
            self.commit(lambda session: attempts.wait(session, self.hold, None))

    @property
    def usual_s(self) -> float | None:
        """The longest that work was silent so far and then was not."""
        return self._watchdog.usual_s

    def commit(self, write: Callable[[Session], Result]) -> Result:
        """Run `write` with a session in one transaction.

        Raises:
            LateResultError: If `write` finds that the attempt is over.
        """
        with self.database.write() as session:
            return write(session)

    def tell(self, progress: AnyProgress) -> None:
        """Show progress that nothing durable stands behind: another phase, say."""
        self._watchdog.mark()
        self.note_state(self.commit(lambda session: attempts.tell(session, self.hold, progress)))

    def note_state(self, state: JobState) -> None:
        """Take note of the state that a commit returned."""
        if state in _ASKED:
            self._end(_ASKED[state])

    def finish(self) -> None:
        """Move the job to `succeeded`, if this attempt still holds it."""
        self.commit(lambda session: jobs.move(session, self.hold.job_id, JobState.SUCCEEDED, attempt=self.hold.attempt))

    def conclude(self, state: JobState, error: str | None = None) -> None:
        """End the job before its work is done, if this attempt still holds it."""
        job = self._job()
        if job.attempt == self.hold.attempt:
            found = findings_of(self.database, self.store, job)
            self.commit(lambda session: conclude(session, job, state, found, error))

    def pause(self) -> None:
        """Let the job rest, or queue again where it makes room, if it should."""
        self.commit(lambda session: attempts.rest(session, self.hold.job_id, self.hold.attempt))

    def release(self, reason: str) -> None:
        """Let another attempt go on at once; one that is being cancelled or paused is left to the controller."""
        with self.database.write() as session:
            if not attempts.requeue(session, self.hold, reason):
                attempts.renew(session, Hold(self.hold.job_id, self.hold.attempt, timedelta(seconds=-1)))

    def give_up(self, reason: str, why: Loss = Loss.DRIVER) -> None:
        """Let another attempt go on where this one cannot; the job fails after too many without progress."""
        job = self._job()
        if job.attempt != self.hold.attempt:
            return
        found = findings_of(self.database, self.store, job)
        with self.database.write() as session:
            current = jobs.get_job(session, job.id)
            if current.attempt == self.hold.attempt:
                release(session, current, reason, self.settings.max_stalls, found, why)

    def _job(self) -> Job:
        with self.database.read() as session:
            return jobs.get_job(session, self.hold.job_id)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def _end(self, reason: JobEndedError) -> None:
        if self._ending is None:
            self._ending = reason

    def _look_after(self, leave: Callable[[JobEndedError], object]) -> None:
        """Look at the job and its progress every second, and renew the lease in time."""
        outage = Outage("lease.not_renewed", job_id=self.hold.job_id)
        renewed = time.monotonic()
        while not self._left.wait(min(TICK_S, self.settings.lease_s / 4)):
            looked = time.monotonic()
            devices = self._devices
            due = looked - renewed > self.settings.lease_s / 4 or devices != self._devices_told
            try:
                with self.database.write() if due else self.database.read() as session:
                    state = attempts.take_devices(session, self.hold, *devices) if due else attempts.state_of(session, self.hold)
                self.note_state(state)
                self._devices_told = devices
                outage.over()
                renewed = time.monotonic() if due else renewed
            except LateResultError as error:
                self._end(JobEndedError(str(error)))
            except Exception as error:  # noqa: BLE001 - the database is away: the lease tells when it is for too long
                outage.seen(f"{type(error).__name__}: {error}")
            if outage.reason is not None or time.monotonic() - looked > TICK_S:
                self._watchdog.excuse()  # who cannot write what was done tells nothing of it either
            stalled = self._watchdog.overdue()
            if stalled is not None:
                self._end(StalledError(stalled))
            if self._ending is not None and not self._left.wait(self.settings.leave_s):
                self._leave_by_force(leave, self._ending)

    def _leave_by_force(self, leave: Callable[[JobEndedError], object], reason: JobEndedError) -> None:
        """End this process although its main thread is stuck, with what it started; the launcher sees to the rest."""
        log.warning("driver.stuck", job_id=self.hold.job_id, reason=str(reason), after_s=self.settings.leave_s)
        try:
            leave(reason)
        except Exception:
            log.exception("driver.not_left", job_id=self.hold.job_id)
        os._exit(ELSEWHERE)
