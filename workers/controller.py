"""The controller: claims queued jobs, starts their drivers, and finishes what dead drivers left. It owns no results."""

import threading
import time
from collections import Counter
from collections.abc import Hashable
from datetime import timedelta

import structlog

from nas_service.data.paths import reason_of
from nas_service.errors import NasError, NotFoundError
from nas_service.fair_share import Rules
from nas_service.lifecycle import HELD, JobState, Loss
from nas_service.logs import Outage, Seldom
from nas_service.settings import Settings
from nas_service.storage import attempts, controllers, jobs
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.attempts import Hold
from nas_service.storage.models import Job
from nas_service.storage.session import TRANSIENT_ERRORS, Database, new_id
from workers.conclusion import Findings, findings_of, release
from workers.launcher import Launcher
from workers.tidier import Tidier

log = structlog.get_logger()

STOP_GRACE_S = 6.0  # with what comes before it less than the 10 s after which Docker kills
STEP_GRACE_S = 2.0
STOPPED = "the service was stopped"
_LEASE_OVER = "its lease ran out"
FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 60.0
CLAIM_S = 5.0  # in one step that starts drivers: a thousand of them on an empty cluster take minutes
REPORT_S = 5.0  # between two notes that this controller steps
RANKING_TRIES = 5  # with a database that does not give the samples of a search in time, before it ends without its best


class Controller:
    """One step at a time: reap, tidy, claim. Everything it knows is in the database; a restart forgets nothing."""

    def __init__(self, settings: Settings, database: Database, launcher: Launcher) -> None:
        """Keep what the steps need."""
        self._settings = settings
        self._database = database
        self._launcher = launcher
        self._tidier, self._store = Tidier(settings, database), ArtifactStore(settings.artifacts)
        self._id = new_id()
        self._rules = Rules(settings.max_concurrent_jobs, settings.owner_jobs, settings.turn_s)
        self._backoff_s = FIRST_BACKOFF_S
        self._launch_after = 0.0
        self._not_started: str | None = None  # what kept the last driver from starting
        self._seen: dict[Hashable, float] = {}  # what was seen of a held job -> when this controller saw it first
        self._good_step: float | None = None
        self._launched: set[tuple[str, int]] = set()  # and not seen at work yet
        self._unranked: Counter[str] = Counter()  # searches whose samples could not be read
        self._reported = 0.0
        self._away = Outage("controller.database_away")
        self._failure = Outage("controller.step_failed")
        self._put_off = Seldom("job.put_off")
        self._over = False
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble: str | None = None  # why no driver can be started now, in the launcher's words

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
        self._end_drivers()

    def wake(self) -> None:
        """Take the next step now: something was submitted or cancelled."""
        self._awake.set()

    @property
    def is_alive(self) -> bool:
        """Whether the loop runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def last_good_step_age_s(self) -> float | None:
        """Seconds since a step went well; None before the first."""
        return None if self._good_step is None else time.monotonic() - self._good_step

    def step(self) -> None:
        """Finish what ended without saying so, forget what nobody needs, then start what waits."""
        self._launcher.tidy()
        self._reap()
        self._tidier.tidy()
        self.trouble = self._launcher.trouble() or (self._not_started if time.monotonic() < self._launch_after else None)
        claimed_until = time.monotonic() + CLAIM_S
        while self._claim():
            if time.monotonic() >= claimed_until:
                self.wake()  # leases are judged, and this controller reports, before it goes on
                break
        self._good_step = time.monotonic()
        if self._good_step - self._reported >= REPORT_S:
            with self._database.write() as session:
                controllers.report(session, self._id, self.trouble, self._rules.owner_jobs)
            self._reported = self._good_step

    def _loop(self) -> None:
        structlog.contextvars.bind_contextvars(controller=self._id)  # of this thread
        while not self._over:
            self._awake.wait(self._settings.poll_s)
            self._awake.clear()
            if self._over:
                break
            try:
                self.step()
                self._away.over()
                self._failure.over()
            except TRANSIENT_ERRORS as error:
                # The database is away for a moment. Nobody could renew a lease meanwhile, so watching begins anew.
                self._seen.clear()
                self._away.seen(f"{type(error).__name__}: {str(error).splitlines()[0]}")
            except Exception as error:
                # Whatever it is must not end the service; the next step looks again.
                if self._failure.reason is None:
                    log.exception("controller.step_failed")
                self._failure.seen(f"{type(error).__name__}: {error}")

    def _end_drivers(self) -> None:
        """End the drivers that this process started, and give back the jobs of those that could not do so themselves."""
        ended = self._launcher.close(grace_s=STOP_GRACE_S)
        try:
            for job_id, attempt in ended:
                self._give_back(job_id, attempt)
            with self._database.write() as session:
                controllers.sign_off(session, self._id)
        except TRANSIENT_ERRORS as error:
            log.warning("controller.jobs_not_given_back", error=str(error), until="their leases run out")

    def _give_back(self, job_id: str, attempt: int) -> None:
        """Let a job go on elsewhere, or end where it should end; one that moved on, or was deleted, is left alone."""
        try:
            with self._database.read() as session:
                job = jobs.get_job(session, job_id)
        except NotFoundError:
            return
        found = findings_of(self._database, self._store, job) if job.state == JobState.CANCELLING.value else Findings()
        with self._database.write() as session:
            if job.attempt != attempt or JobState(job.state) not in HELD or not attempts.is_unchanged(session, job, lease=False):
                return
            if not attempts.requeue(session, Hold(job_id, attempt, timedelta()), STOPPED):
                release(session, jobs.get_job(session, job_id), STOPPED, self._settings.max_stalls, found)

    def _reap(self) -> None:
        with self._database.read() as session:
            held = attempts.held(session)
            lapsed = attempts.lapsed(session, held)
        if any(job.state == JobState.RUNNING.value and (job.id, job.attempt) in self._launched for job in held):
            self._backoff_s = FIRST_BACKOFF_S  # drivers of ours begin their work
        starting = {(job.id, job.attempt) for job in held if job.state == JobState.STARTING.value}
        self._launched &= starting
        seen = {key for job in held for key in (_lease(job), _state(job))}
        self._seen = {key: since for key, since in self._seen.items() if key in seen}
        for job in held:
            try:
                reason = self._why_over(job, lapsed=job.id in lapsed)
                if reason is not None:
                    self._release(job, reason, lapsed=job.id in lapsed)
            except TRANSIENT_ERRORS as error:
                # It cannot be written for a moment, and neither can its driver write: watching it begins anew.
                self._seen.pop(_lease(job), None)
                self._seen.pop(_state(job), None)
                self._put_off.tell(f"job {job.id}", cause=str(error).splitlines()[0])
            except Exception as error:
                # What is wrong with one job must not keep the others waiting; the next step looks again.
                if self._put_off.tell(f"job {job.id}", cause=f"{type(error).__name__}: {error}"):
                    log.exception("job.not_released", job_id=job.id)

    def _why_over(self, job: Job, *, lapsed: bool) -> str | None:
        """Return why an attempt is over, if it is.

        A lease has to have run out by the database's clock and, since that clock may have jumped and a driver may have waited
        for the database as this controller did, to have stood still while this controller watched.
        """
        ended = self._launcher.ended(job.id, job.attempt)
        if ended is not None:
            return ended.reason
        if job.lease_expires_at is None:
            return "it had no driver"
        starts, stood_s = job.state == JobState.STARTING.value, self._watched_s(_lease(job))
        if lapsed and stood_s >= (self._settings.start_limit_s if starts else self._settings.lease_s) / 2:
            return "its driver did not start in time" if starts else _LEASE_OVER
        asked = job.state in {JobState.PAUSING.value, JobState.CANCELLING.value}
        if asked and self._watched_s(_state(job)) >= 2 * self._settings.leave_s:
            return "its driver did not let go"
        return None

    def _watched_s(self, key: Hashable) -> float:
        """Return for how long this controller has seen the same."""
        return time.monotonic() - self._seen.setdefault(key, time.monotonic())

    def _release(self, job: Job, reason: str, *, lapsed: bool) -> None:
        with self._database.write() as session:  # where nobody can write, its driver cannot renew a lease either
            if not attempts.is_unchanged(session, job, lease=lapsed):
                return  # it moved on while we looked
            whole = jobs.get_job(session, job.id)
        self._launcher.stop(job.id, job.attempt, grace_s=0)  # a driver whose lease ran out may still be there
        found = self._findings_of(whole) if attempts.is_last(whole, self._settings.max_stalls) else Findings()
        with self._database.write() as session:
            if not attempts.is_unchanged(session, job, lease=lapsed):
                return
            why = Loss.LEASE if reason == _LEASE_OVER else Loss.DRIVER
            state = release(session, jobs.get_job(session, job.id), reason, self._settings.max_stalls, found, why)
        tell = log.info if state in {JobState.PAUSED, JobState.CANCELLED} else log.warning
        tell("job.released", job_id=job.id, attempt=job.attempt, reason=reason, state=state.value)
        if job.state == JobState.STARTING.value:
            self._back_off(reason)

    def _findings_of(self, job: Job) -> Findings:
        try:
            found = findings_of(self._database, self._store, job)
        except TRANSIENT_ERRORS:
            self._unranked[job.id] += 1
            if self._unranked[job.id] < RANKING_TRIES:
                raise
            found = Findings(trouble="the database did not give its samples in time")
        self._unranked.pop(job.id, None)
        return found

    def _claim(self) -> bool:
        """Start the job whose turn it is, or ask one to make room for it; return whether another may be tried.

        Where a driver does not start (a Ray that restarts, say) the job waits on, and the launcher is left alone for a while.
        """
        if self._over or self.trouble is not None:
            return False
        with self._database.read() as session:
            if not attempts.has_queued(session):
                return False
        with self._database.write() as session:
            limit, rules = timedelta(seconds=self._settings.start_limit_s), self._rules
            job = attempts.claim(session, limit, rules.places, self._settings.max_concurrent_registrations, rules.owner_jobs)
            leaving = None if job is not None else attempts.make_room(session, rules)
        if leaving is not None:
            log.info("job.makes_room", job_id=leaving.id, kind=leaving.kind, attempt=leaving.attempt)
        if job is None:
            return leaving is not None
        try:
            self._launcher.launch(job.id, job.attempt)
        except (NasError, OSError, RuntimeError) as error:
            reason = reason_of(error)
            self._back_off(reason)
            hold, waiting_for = Hold(job.id, job.attempt, timedelta()), f"its driver to start: {reason}"
            with self._database.write() as session:
                attempts.requeue(session, hold, f"the driver did not start: {reason}", waiting_for=waiting_for)
            log.warning("job.not_launched", job_id=job.id, error=str(error), again_in_s=self._backoff_s)
            return False
        self._launched.add((job.id, job.attempt))
        log.info("job.launched", job_id=job.id, kind=job.kind, attempt=job.attempt)
        return True

    def _back_off(self, reason: str) -> None:
        """Leave the launcher alone for a while, each time for longer; queued jobs say why."""
        self._backoff_s = min(MAX_BACKOFF_S, 2 * self._backoff_s)
        self._launch_after = time.monotonic() + self._backoff_s
        self._not_started = self.trouble = f"a driver to start, tried again in {self._backoff_s:g} s: {reason}"


def _lease(job: Job) -> Hashable:
    return job.id, job.attempt, job.lease_expires_at


def _state(job: Job) -> Hashable:
    return job.id, job.attempt, job.state
