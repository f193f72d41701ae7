"""Reading a job's data: the same images in every attempt."""

from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import ImageDataset
from nas_service.specs import Component
from nas_service.storage import events
from nas_service.storage.session import Session
from search_spaces.errors import InvalidFieldError
from workers.context import JobContext

DATA_READ = "data.read"


def read_dataset(context: JobContext, component: Component) -> ImageDataset:
    """Return a dataset, having seen that it is the one that the job began with.

    Raises:
        InvalidInputError: As `open_dataset`.
        InvalidFieldError: If images, classes or split are others than in an earlier attempt: its results hold for those.
        JobEndedError: If the job should end here.
    """
    dataset = open_dataset(component, context.settings, context.reading)
    job_id, facts = context.hold.job_id, dataset.facts
    told = {"digest": dataset.digest, "train": facts.train, "validation": facts.validation, "test": facts.test}

    def see(session: Session) -> str:
        first = events.first_event(session, job_id, DATA_READ)
        if first is None:
            events.record(session, job_id, DATA_READ, told)
            return dataset.digest
        return str(first.data["digest"])

    if context.commit(see) != dataset.digest:
        allowed = "the images, classes and split that the job began with: its files were changed meanwhile; submit it anew"
        raise InvalidFieldError("dataset", component.name, allowed)
    return dataset
