"""The driver: the process that carries out one job, whatever its kind."""

from typing import Protocol

import structlog

from nas_service.errors import LateResultError, UnavailableError
from nas_service.lifecycle import JobState, Loss
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.session import TRANSIENT_ERRORS
from workers.context import (
    ELSEWHERE,
    CancelledError,
    JobContext,
    JobEndedError,
    PausedError,
    ReleasedError,
    StalledError,
)
from workers.ray_errors import cause_of, is_ray_error
from workers.reasons import described

log = structlog.get_logger()

_TRANSIENT: tuple[type[BaseException], ...] = (OSError, UnavailableError, *TRANSIENT_ERRORS)


class Driver(Protocol):
    """One attempt at one job."""

    def run(self) -> None:
        """Carry it out."""
        ...


def create_driver(context: JobContext, job: Job) -> Driver:
    """Return the driver for a job's kind."""
    if job.kind == jobs.REGISTRATION:
        from workers.registration_driver import RegistrationDriver  # noqa: PLC0415 - a registration loads no Ray

        return RegistrationDriver(context, job)
    if job.kind == jobs.SEARCH:
        from workers.search_driver import SearchDriver  # noqa: PLC0415 - a search need not load Ray Tune (0.7 s)

        return SearchDriver(context, job)
    from workers.training_driver import TrainingDriver  # noqa: PLC0415 - as above

    return TrainingDriver(context, job)


def drive(settings: Settings, job_id: str, attempt: int) -> int:
    """Carry out an attempt at a job; return the process's exit status.

    0: the job is in its last state. 1: it failed, and the database says why. 3: it goes on elsewhere.
    """
    context = JobContext(settings, job_id, attempt)
    try:
        return carry_out(context, context.start())
    except LateResultError as error:
        log.info("driver.superseded", job_id=job_id, reason=str(error))
        return ELSEWHERE
    finally:
        context.close()


def carry_out(context: JobContext, job: Job) -> int:
    """Carry out a job that the context holds; return the process's exit status."""
    try:
        with context.alive(lambda reason: _leave(context, job, reason)):
            log.info("driver.started", job_id=job.id, kind=job.kind, attempt=job.attempt)
            create_driver(context, job).run()
    except JobEndedError as error:
        return _leave(context, job, error)
    except LateResultError:
        raise
    except Exception as error:
        reason = described(error)
        log.exception("driver.failed", job_id=job.id, error=reason)
        is_accident = isinstance(error, _TRANSIENT) or is_ray_error(error)
        cause = cause_of(error)
        if is_accident and (cause is None or isinstance(cause, _TRANSIENT)):  # a task's own mistake is no accident
            context.give_up(reason)
            return ELSEWHERE
        context.conclude(JobState.FAILED, reason)
        return 1
    log.info("driver.finished", job_id=job.id)
    return 0


def _leave(context: JobContext, job: Job, reason: JobEndedError) -> int:
    """Put the job where the reason says; it moves once, however often it is asked to."""
    log.info("driver.left", job_id=job.id, reason=str(reason))
    if isinstance(reason, CancelledError):
        context.conclude(JobState.CANCELLED)
        return 0
    if isinstance(reason, PausedError):
        context.pause()
    elif isinstance(reason, ReleasedError):
        context.release(str(reason))
    elif isinstance(reason, StalledError):
        context.give_up(str(reason), Loss.STALL)
    return ELSEWHERE
