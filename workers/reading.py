"""Reading a job's data: the same images in every attempt."""

from nas_service.catalogue import build_dataset
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.job_events import DataRead
from nas_service.specs import Component
from nas_service.storage import attempts, events
from nas_service.storage.datasets import registered_digests
from nas_service.storage.session import Session
from search_spaces.errors import InvalidFieldError
from workers.context import JobContext


def read_dataset(context: JobContext, component: Component, *, begun: bool) -> ImageDataset:
    """Return a dataset, having seen that it is the one that the job began with.

    Args:
        context: Of the job.
        component: Kind and settings of the dataset.
        begun: Whether there are results of earlier attempts.

    Raises:
        InvalidInputError: As `open_dataset`.
        InvalidFieldError: If images, classes or split are others than in an earlier attempt, whose results hold for those, or
            than when the dataset was registered, by which the job was checked.
        JobEndedError: If the job should end here.
        LateResultError: If the attempt is over.
    """
    dataset = open_dataset(component, context.settings, context.reading)
    job_id, facts = context.hold.job_id, dataset.facts
    told = DataRead(
        digest=dataset.digest,
        train=facts.train,
        validation=facts.validation,
        test=facts.test,
        skipped=dict(facts.skipped),
        warnings=tuple(facts.warnings),
    )

    def see(session: Session) -> str:
        attempts.renew(session, context.hold)  # nothing is written by an attempt that is over
        for name, digest in registered_digests(session, job_id, component.name, component.settings).items():
            if digest != dataset.digest:
                allowed = f"its files changed since it was registered as {name!r}: delete it and register it anew"
                raise InvalidFieldError("dataset", component.name, allowed)
        first = events.first_event(session, job_id, DataRead.kind)
        if first is None and not (begun and build_dataset(component).split_by_class):
            events.record(session, job_id, told)
            return dataset.digest
        return "" if first is None else str(first.data["digest"])

    earlier = context.commit(see)
    if not earlier:
        allowed = "a job that began with this version: the one that began it split such images in another way; submit it anew"
        raise InvalidFieldError("dataset", component.name, allowed)
    if earlier != dataset.digest:
        allowed = "the images, classes and split that the job began with: its files were changed meanwhile; submit it anew"
        raise InvalidFieldError("dataset", component.name, allowed)
    return dataset
