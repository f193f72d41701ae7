"""The controller: claims queued jobs, starts their drivers, and finishes what dead drivers left. It owns no results."""

import threading
import time
from datetime import timedelta

import structlog

from nas_service.errors import NasError
from nas_service.lifecycle import FINISHED
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.models import Job
from nas_service.storage.session import Database, utc_now
from workers.conclusion import forget_checkpoints, keep_sampled
from workers.launcher import Launcher

log = structlog.get_logger()

STOP_GRACE_S = 6.0  # with what comes before it less than the 10 s after which Docker kills
STEP_GRACE_S = 2.0
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0


class Controller:
    """One step at a time: reap, then claim. Everything it knows is in the database; a restart forgets nothing."""

    def __init__(self, settings: Settings, database: Database, launcher: Launcher) -> None:
        """Keep what the steps need."""
        self._settings = settings
        self._database = database
        self._launcher = launcher
        self._lease = timedelta(seconds=settings.lease_s)
        self._backoff_s = FIRST_BACKOFF_S
        self._launch_after = 0.0
        self._last_good_step: float | None = None
        self._over = False
        self.trouble: str | None = None  # why no driver can be started now, in the launcher's words
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Step in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._loop, name="controller", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the loop and the drivers it started; their jobs go on with the next controller."""
        self._over = True
        self.wake()
        if self._thread is not None:
            self._thread.join(STEP_GRACE_S)  # a step may wait for a database that is away
        self._launcher.close(grace_s=STOP_GRACE_S)

    def wake(self) -> None:
        """Take the next step now: something was submitted or cancelled."""
        self._awake.set()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def last_good_step_age_s(self) -> float | None:
        """Seconds since the last step that met no trouble; None before the first."""
        return None if self._last_good_step is None else time.monotonic() - self._last_good_step

    def step(self) -> None:
        """Finish what ended without saying so, then start what waits."""
        self._reap()
        while self._claim():
            pass
        self._last_good_step = time.monotonic()

    def _loop(self) -> None:
        while not self._over:
            self._awake.wait(self._settings.poll_s)
            self._awake.clear()
            try:
                self.step()
            except Exception:
                # A database that is away for a moment must not end the service; the next step looks again.
                log.exception("controller.step_failed")

    def _reap(self) -> None:
        with self._database.read() as session:
            held = jobs.held(session)
        for job in held:
            ended = self._launcher.ended(job.id, job.attempt)
            lapsed = job.lease_expires_at is None or job.lease_expires_at < utc_now()
            if ended is not None or lapsed:
                reason = ended.reason if ended is not None else "its lease ran out"
                try:
                    self._release(job, reason)
                except Exception:
                    # What is wrong with one job must not keep the others waiting; the next step looks again.
                    log.exception("job.not_released", job_id=job.id)

    def _release(self, job: Job, reason: str) -> None:
        self._launcher.stop(job.id, job.attempt, grace_s=0)  # a driver whose lease ran out may still be there
        with self._database.write() as session:
            current = jobs.get_job(session, job.id)
            if current.attempt != job.attempt or current.state != job.state:
                return  # it moved on while we looked
            state = jobs.release_lost(session, current, reason, self._settings.max_attempts)
            if state in FINISHED:
                keep_sampled(session, current)
        log.warning("job.released", job_id=job.id, attempt=job.attempt, reason=reason, state=state.value)
        if state in FINISHED:
            forget_checkpoints(ArtifactStore(self._settings.artifacts), job.id)

    def _claim(self) -> bool:
        """Start the oldest job that waits; return whether another may be tried.

        Where a driver does not start (a Ray that restarts, say) the job waits on, and the launcher is left alone for a while.
        """
        if time.monotonic() < self._launch_after:
            return False
        with self._database.write() as session:
            if jobs.held_count(session) >= self._settings.max_concurrent_jobs:
                return False
            job = jobs.claim(session, self._lease, utc_now())
        if job is None:
            return False
        try:
            self._launcher.launch(job.id, job.attempt)
        except (NasError, OSError, RuntimeError) as error:
            self.trouble = str(error)
            self._backoff_s = min(MAX_BACKOFF_S, 2 * self._backoff_s)
            self._launch_after = time.monotonic() + self._backoff_s
            with self._database.write() as session:
                jobs.requeue(session, job.id, job.attempt, f"the driver did not start: {error}")
            log.warning("job.not_launched", job_id=job.id, error=str(error), again_in_s=self._backoff_s)
            return False
        self._backoff_s, self.trouble = FIRST_BACKOFF_S, None
        log.info("job.launched", job_id=job.id, kind=job.kind, attempt=job.attempt)
        return True
