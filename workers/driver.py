"""The driver: the process that carries out one job, whatever its kind."""

import traceback
from typing import Protocol

import structlog

from nas_service.errors import LateResultError, NasError
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models import Job
from search_spaces.errors import InvalidFieldError, UnknownNameError
from workers.context import CancelledError, JobContext, JobEndedError, ReleasedError

log = structlog.get_logger()


class Driver(Protocol):
    """One attempt at one job."""

    def run(self) -> None:
        """Carry it out."""
        ...


def create_driver(context: JobContext, job: Job) -> Driver:
    """Return the driver for a job's kind."""
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
        job = context.start()
        with context.alive():
            log.info("driver.started", job_id=job_id, kind=job.kind, attempt=attempt)
            create_driver(context, job).run()
    except ReleasedError:
        context.release()
        log.info("driver.released", job_id=job_id)
        return 3
    except CancelledError:
        context.finish(JobState.CANCELLED)
        log.info("driver.cancelled", job_id=job_id)
        return 0
    except (LateResultError, JobEndedError) as error:
        log.info("driver.superseded", job_id=job_id, reason=str(error))
        return 3
    except (NasError, InvalidFieldError, UnknownNameError) as error:
        context.finish(JobState.FAILED, str(error))
        log.exception("driver.failed", job_id=job_id, error=str(error))
        return 1
    except Exception as error:
        context.finish(JobState.FAILED, "".join(traceback.format_exception_only(error)).strip())
        log.exception("driver.failed", job_id=job_id)
        return 1
    finally:
        context.close()
    log.info("driver.finished", job_id=job_id)
    return 0
