"""/datasets: what can be learnt from: built in, or registered by users."""

from fastapi import APIRouter, status

from api.bodies import RegistrationBody
from api.deps import ServiceDep
from api.resources.jobs import CONFLICT, NOT_FOUND
from api.views import DatasetRegistration, EntryView, Page
from nas_service.checking.datasets import open_dataset
from nas_service.checking.drafts import read_draft
from nas_service.data.dataset import DATASETS
from nas_service.errors import ConflictError
from nas_service.specs import Component
from nas_service.storage.datasets import delete_dataset, register_dataset
from nas_service.storage.datasets import list_datasets as list_registered
from nas_service.storage.models import DatasetRow

router = APIRouter(prefix="/datasets", tags=["catalogue"])


def _registered(row: DatasetRow) -> EntryView:
    return EntryView(name=row.name, summary=f"{row.kind}: {row.settings.get('path', '')}", facts=row.facts)


@router.get("", summary="List datasets, built in and registered")
def list_datasets(service: ServiceDep) -> Page[EntryView]:
    """Return names to use in specs."""
    built_in = [
        EntryView(name=name, summary=entry.summary, settings_schema=entry.settings_model.model_json_schema())
        for name, entry in ((name, DATASETS.get(name)) for name in DATASETS.names())
    ]
    with service.database.read() as session:
        return Page(items=built_in + [_registered(row) for row in list_registered(session)])


@router.post("", status_code=status.HTTP_201_CREATED, summary="Register a folder or file under the data root", responses=CONFLICT)
def register(service: ServiceDep, body: RegistrationBody) -> EntryView:
    """Read every image once, so that a broken one is found now, and keep the name.

    Raises:
        ConflictError: If the name is taken.
        InvalidInputError: If the kind is unknown, or its settings or files are not right.
    """
    draft = read_draft(DatasetRegistration, body)
    draft.finish()
    registration = draft.spec
    if registration.name in DATASETS.names():
        raise ConflictError(f"a dataset {registration.name!r} is built in")
    component = Component(name=registration.kind, settings=registration.settings)
    loaded = open_dataset(component, service.settings.data)
    facts = {"kind": component.name, "settings": component.settings, **loaded.facts.to_dict()}
    with service.database.write() as session:
        return _registered(register_dataset(session, registration.name, component.name, component.settings, facts))


@router.delete(
    "/{name}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Forget the name of a registered dataset",
    responses=NOT_FOUND | CONFLICT,
)
def delete(service: ServiceDep, name: str) -> None:
    """Keep its files, and the jobs that learnt it.

    Raises:
        ConflictError: If it is built in.
    """
    if name in DATASETS.names():
        raise ConflictError(f"the dataset {name!r} is built in and cannot be deleted")
    with service.database.write() as session:
        delete_dataset(session, name)
