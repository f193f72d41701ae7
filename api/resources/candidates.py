"""/candidates: trained networks, their curves and their files."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import ServiceDep
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.resources.candidate_views import candidate_views
from api.resources.etags import tagged_view
from api.resources.files import Described, MadeSource, Source, StoredSource, download_reply, send_file
from api.resources.jobs import CONFLICT, NOT_FOUND
from api.views import CandidateView, Page
from nas_service.errors import ConflictError
from nas_service.export.formats import DOWNLOADS, DownloadFormat, take
from nas_service.lifecycle import CandidateState
from nas_service.reports import EpochReport
from nas_service.storage import candidates
from nas_service.storage.artifacts import StoredFile, get_artifact

router = APIRouter(prefix="/candidates", tags=["candidates"])


@router.get("", summary="List candidates, newest first")
def list_candidates(
    service: ServiceDep,
    training: Annotated[str | None, Query(description="Only those of this training.")] = None,
    search: Annotated[str | None, Query(description="Only those whose architecture this search found.")] = None,
    architecture: Annotated[str | None, Query(description="Only those of this architecture.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[CandidateView]:
    """Return trained networks with their accuracies; curves, and figures by class, are told of one candidate."""
    count = service.page_limit(limit)
    with service.database.read() as session:
        rows = candidates.list_candidates(
            session,
            limit=count + 1,
            before=decode_cursor(cursor, str),
            job_id=training,
            architecture_id=architecture,
            search_id=search,
        )
        views = candidate_views(session, rows, listed=True)
    return paginate(views, count, lambda view: view.id, lambda view: view)


@router.get("/{candidate_id}", summary="One candidate", responses=NOT_FOUND, response_model=CandidateView)
def get_candidate(service: ServiceDep, request: Request, candidate_id: str) -> Response:
    """Return method, seed, state, accuracies, also by class, and cost."""
    with service.database.read() as session:
        (view,) = candidate_views(session, [candidates.get_candidate(session, candidate_id)])
    return tagged_view(request, view)


@router.get("/{candidate_id}/curves", summary="The epochs of a candidate's training", responses=NOT_FOUND)
def list_curves(service: ServiceDep, candidate_id: str, cursor: Cursor = None, limit: Limit = 200) -> Page[EpochReport]:
    """Return loss, accuracies and flip ratio by epoch."""
    count = service.page_limit(limit)
    after = decode_cursor(cursor, int)
    with service.database.read() as session:
        candidates.get_candidate(session, candidate_id)
        rows = candidates.curves_of(session, candidate_id, limit=count + 1, after=-1 if after is None else after)
    return paginate(rows, count, lambda row: row.epoch, lambda row: EpochReport.model_validate(row, from_attributes=True))


@router.head("/{candidate_id}/download", include_in_schema=False)
@router.get(
    "/{candidate_id}/download",
    summary="A candidate's files",
    response_class=Response,
    responses=NOT_FOUND | CONFLICT | download_reply("application/zip", "application/octet-stream"),
)
def download_candidate(
    service: ServiceDep,
    request: Request,
    candidate_id: str,
    file_format: Annotated[
        DownloadFormat,
        Query(
            alias="format",
            description="bundle: everything, as a zip; c: a zip of what a program in C needs; onnx: the network for runtimes of "
            "that format; qonnx: the same with its binary operands quantised, for research; "
            "safetensors: the trained network with its latent weights, to go on from.",
        ),
    ] = DownloadFormat.BUNDLE,
) -> Response:
    """Return a file: the bundle, a part of it, or the trainable weights.

    Raises:
        ConflictError: If the candidate is not trained yet, or its bundle was made without this format.
        BrokenFileError: If the store lost the file, or it is damaged.
        ExportError: If it is no bundle.
    """
    download = DOWNLOADS[file_format]
    with service.database.read() as session:
        row = candidates.get_candidate(session, candidate_id)
        if row.state != CandidateState.SUCCEEDED.value:
            raise ConflictError(f"candidate {candidate_id} is {row.state}: it has no files")
        artifact = get_artifact(session, candidate_id, download.artifact)

    stored = StoredFile.of_row(artifact)

    def source() -> Source:
        if not download.files:
            return StoredSource(service.store, stored)
        return MadeSource(take(file_format, service.store.read(stored)))

    digest = artifact.sha256
    if download.files:
        digest = hashlib.sha256(f"{file_format} of {artifact.sha256}".encode()).hexdigest()
    kept = f"-{file_format}" if download.packed else ""
    return send_file(request, Described(download.media_type, digest, f"candidate-{candidate_id}{kept}.{download.suffix}"), source)
