"""Carries out one registration: lists and decodes a dataset, draws some of it, and keeps the name with what was counted.

The process loads no Ray; where drivers are Ray Jobs it is one as well, and waits for a Ray that is away as they do. Images that
were decoded stay in the cache for whoever learns them next.
"""

import time
from contextlib import suppress

from nas_service.checking.registrations import read_registered
from nas_service.data.contact_sheet import contact_sheet
from nas_service.data.dataset import ImageDataset
from nas_service.errors import DatabaseAwayError, LateResultError
from nas_service.lifecycle import JobState
from nas_service.reports import DatasetReport, RegistrationPhase, RegistrationProgress
from nas_service.specs import RegistrationSpec
from nas_service.storage import attempts, jobs
from nas_service.storage.artifacts import StoredFile
from nas_service.storage.datasets import Registration, register_dataset
from nas_service.storage.keys import sheet_key
from nas_service.storage.models import Job
from workers.context import JobContext

TELL_EVERY_S = 1.0


class RegistrationDriver:
    """One attempt at one registration."""

    def __init__(self, context: JobContext, job: Job) -> None:
        """Read the spec."""
        self._context = context
        self._spec = RegistrationSpec.model_validate(job.spec)
        self._told = 0.0

    def run(self) -> None:
        """Read everything, then keep it under its name.

        Raises:
            JobEndedError: If the registration should go on elsewhere, or not at all.
            InvalidInputError: Naming every file that is not as it should be.
            ConflictError: If the name was taken meanwhile.
        """
        context = self._context
        context.tell(RegistrationProgress(phase=RegistrationPhase.LISTING))
        dataset = read_registered(self._spec, context.settings, self._reading)
        count = sum(len(part) for part in (dataset.train, dataset.validation, dataset.test or ()))
        done = RegistrationProgress(phase=RegistrationPhase.CONCLUDING, images=count, total=count)
        context.tell(done)
        context.check()
        self._conclude(dataset, done)

    def _reading(self, done: int, total: int) -> None:
        """Note images that were decoded.

        Raises:
            JobEndedError: If the registration should end here.
        """
        self._context.reading(done, total)
        if time.monotonic() - self._told >= TELL_EVERY_S:
            with suppress(DatabaseAwayError):  # the lease says when it is away for too long; people see the next figure
                self._context.tell(RegistrationProgress(phase=RegistrationPhase.DECODING, images=done, total=total))
            self._told = time.monotonic()

    def _conclude(self, dataset: ImageDataset, progress: RegistrationProgress) -> None:
        """Store the sheet, then name, facts and the registration's end, all or nothing.

        Raises:
            CancelledError: If somebody asked for the end since the last look; PausedError likewise.
            ConflictError: If the name is taken.
            LateResultError: If the attempt is over.
        """
        context, job_id = self._context, self._context.hold.job_id
        facts = DatasetReport.model_validate({**dataset.facts.to_dict(), "digest": dataset.digest})
        facts.model_dump_json()  # what cannot be shown must not be kept: this raises
        sheet = contact_sheet(dataset, self._spec.name)
        stored = StoredFile.of(sheet_key(job_id), sheet)
        context.store.put(stored.key, sheet)
        with context.database.write() as session:
            context.note_state(attempts.renew(session, context.hold, progress))
            context.check()
            register_dataset(session, job_id, Registration(self._spec, facts, stored))
            if not jobs.move(session, job_id, JobState.SUCCEEDED, attempt=context.hold.attempt):
                raise LateResultError(f"attempt {context.hold.attempt} of registration {job_id} is over")
