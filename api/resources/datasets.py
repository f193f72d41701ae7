"""/datasets: what can be learnt from: built in, or registered by users."""

import re
from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter, Request, Response, status
from pydantic import ValidationError

from api.bodies import RegistrationBody
from api.deps import ServiceDep
from api.resources.files import Described, StoredSource, download_reply, send_file
from api.resources.jobs import CONFLICT, NOT_FOUND
from api.resources.submission import IdempotencyKey, accept, checked_registration
from api.views import DatasetView, EntryView, JobView, Page
from nas_service.data.dataset import DATASETS
from nas_service.errors import ConflictError, NotFoundError
from nas_service.reports import DatasetReport
from nas_service.storage import datasets
from nas_service.storage.artifacts import StoredFile, get_artifact
from nas_service.storage.models import DatasetRow
from nas_service.wording import printable

router = APIRouter(prefix="/datasets", tags=["catalogue"])

_NO_TEXT = re.compile("[\ud800-\udfff]")  # an earlier version kept names of files as they were


def _showable(stored: object) -> object:
    """Return JSON from the database as it can be sent: what is no text is escaped."""
    if isinstance(stored, str):
        return _NO_TEXT.sub(lambda found: printable(found[0]), stored)
    if isinstance(stored, Mapping):
        return {str(_showable(key)): _showable(value) for key, value in stored.items()}
    return [_showable(entry) for entry in stored] if isinstance(stored, list) else stored


def _mapping(stored: object) -> dict[str, object]:
    shown = _showable(stored)
    return shown if isinstance(shown, dict) else {}


def _entry(row: DatasetRow) -> EntryView:
    settings = _mapping(row.settings)
    return EntryView(name=row.name, summary=f"{row.kind}: {settings.get('path', '')}", facts=_mapping(row.facts))


def _report(row: DatasetRow) -> DatasetReport:
    """Return what a row says was counted, as much of it as can be told."""
    stored = _mapping(row.facts)
    try:
        return DatasetReport.model_validate(stored)
    except ValidationError as error:
        faulty = {entry["loc"][0] for entry in error.errors()}
        return DatasetReport.model_validate({field: value for field, value in stored.items() if field not in faulty})


def _registered(row: DatasetRow) -> DatasetView:
    entry = _entry(row)
    return DatasetView(
        name=row.name,
        kind=row.kind,
        summary=entry.summary,
        settings=_mapping(row.settings),
        facts=_report(row),
        registered_at=row.created_at,
        registration_id=row.registration_id,
        sheet=None if row.registration_id is None else f"/v1/datasets/{row.name}/sheet.png",
    )


def _built_in(name: str) -> EntryView:
    kind = DATASETS.get(name)
    return EntryView(name=name, summary=kind.summary, settings_schema=kind.settings_model.model_json_schema())


@router.get("", summary="List datasets, built in and registered")
def list_datasets(service: ServiceDep) -> Page[EntryView]:
    """Return names to use in specs."""
    built_in = [_built_in(name) for name in DATASETS.names()]
    with service.database.read() as session:
        return Page(items=built_in + [_entry(row) for row in datasets.list_datasets(session)])


@router.post(
    "", status_code=status.HTTP_202_ACCEPTED, summary="Register a folder or file under the data root", responses=CONFLICT
)
def register(service: ServiceDep, body: RegistrationBody, response: Response, idempotency_key: IdempotencyKey = None) -> JobView:
    """Look whether the files are there, and queue a job that reads every image once and then keeps the name."""
    return accept(service, response, replace(checked_registration(service, body), key=idempotency_key))


@router.get("/{name}", summary="One dataset: its settings, and what was counted of it", responses=NOT_FOUND)
def get_dataset(service: ServiceDep, name: str) -> DatasetView:
    """Return classes, counts by class and part, what was skipped, and what people should know before they train."""
    if name in DATASETS.names():
        entry = _built_in(name)
        return DatasetView(name=name, kind=name, summary=entry.summary, settings={}, settings_schema=entry.settings_schema)
    with service.database.read() as session:
        return _registered(datasets.get_dataset(session, name))


@router.head("/{name}/sheet.png", include_in_schema=False)
@router.get(
    "/{name}/sheet.png",
    summary="Some training images of every class, as a network gets them",
    response_class=Response,
    responses=NOT_FOUND | download_reply("image/png"),
)
def get_sheet(service: ServiceDep, request: Request, name: str) -> Response:
    """Return the contact sheet that was drawn when the dataset was registered.

    Raises:
        NotFoundError: If none was drawn.
        BrokenFileError: If the store lost the file, or it is damaged.
    """
    if name in DATASETS.names():
        raise NotFoundError("contact sheet of the built-in dataset", name)
    with service.database.read() as session:
        row = datasets.get_dataset(session, name)
        if row.registration_id is None:
            raise NotFoundError("contact sheet, since an earlier version registered the dataset", name)
        sheet = get_artifact(session, row.registration_id, datasets.SHEET)
    stored = StoredFile.of_row(sheet)
    return send_file(request, Described("image/png", stored.sha256), lambda: StoredSource(service.store, stored))


@router.delete(
    "/{name}",
    status_code=status.HTTP_204_NO_CONTENT,
    summary="Forget the name of a registered dataset",
    responses=NOT_FOUND | CONFLICT,
)
def delete(service: ServiceDep, name: str) -> None:
    """Keep its files, and the jobs that learnt it; its contact sheet goes.

    Raises:
        ConflictError: If it is built in.
    """
    if name in DATASETS.names():
        raise ConflictError(f"the dataset {name!r} is built in and cannot be deleted")
    with service.database.write() as session:
        datasets.delete_dataset(session, name)
    service.wake_controller()
