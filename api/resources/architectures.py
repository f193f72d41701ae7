"""/architectures: what searches discovered."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.deps import Service, ServiceDep
from api.errors import file_reply
from api.pagination import Cursor, Limit, decode_cursor, paginate
from api.resources.c_costs import cost_in_c
from api.resources.etags import tagged, tagged_view
from api.resources.files import Described, MadeSource, download_reply, send_file
from api.resources.jobs import NOT_FOUND
from api.views import ArchitectureView, Page
from nas_service.catalogue import build_space
from nas_service.export.bundle import architecture_bundle
from nas_service.export.diagram import draw
from nas_service.export.svg_paint import Theme
from nas_service.specs import Component
from nas_service.storage import architectures, jobs
from nas_service.storage.architectures import origin_of
from nas_service.storage.models import Architecture
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

router = APIRouter(prefix="/architectures", tags=["architectures"])


@router.get("", summary="List architectures: those of a search by rank, else the newest first")
def list_architectures(
    service: ServiceDep,
    search: Annotated[str | None, Query(description="Only those of this search.")] = None,
    pareto: Annotated[  # noqa: FBT002 - a parameter of an address has its name
        bool,
        Query(
            description="With `search`: only those that no other of them beats in score and in what the search trades, "
            "or where it trades none in OPs and packed bytes."
        ),
    ] = False,
    controls: Annotated[bool, Query(description="Random ones that were drawn to compare with, instead of those found.")] = False,  # noqa: FBT002 - FastAPI's way
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[ArchitectureView]:
    """Return discovered genotypes with score and cost."""
    count, before = service.page_limit(limit), decode_cursor(cursor, str)
    with service.database.read() as session:
        if pareto:
            if search is None:
                raise InvalidFieldError("pareto", pareto, "false without `search`: scores of different searches are not alike")
            if controls:
                raise InvalidFieldError("controls", controls, "false with `pareto`: controls have no score")
            found = architectures.pareto_set(session, search)
            rows = [row for row in found if before is None or row.id > before][: count + 1]
        else:
            rows = architectures.list_architectures(session, limit=count + 1, before=before, job_id=search, controls=controls)
    return paginate(rows, count, lambda row: row.id, ArchitectureView.model_validate)


def _load(service: Service, architecture_id: str) -> tuple[Architecture, Component, SearchSpace, Genotype]:
    with service.database.read() as session:
        row = architectures.get_architecture(session, architecture_id)
        component = Component.model_validate(jobs.get_job(session, row.job_id).spec["space"])
    return row, component, build_space(component), Genotype.from_dict(row.genotype)


@router.get("/{architecture_id}", summary="One architecture", responses=NOT_FOUND, response_model=ArchitectureView)
def get_architecture(service: ServiceDep, request: Request, architecture_id: str) -> Response:
    """Return genotype, score and cost."""
    with service.database.read() as session:
        return tagged_view(request, ArchitectureView.model_validate(architectures.get_architecture(session, architecture_id)))


@router.get(
    "/{architecture_id}/diagram.svg",
    summary="The cells as a picture",
    response_class=Response,
    responses=NOT_FOUND | file_reply("image/svg+xml"),
)
def get_diagram(
    service: ServiceDep,
    request: Request,
    architecture_id: str,
    theme: Annotated[Theme, Query(description="What it is looked at on; auto: as the reader's browser prefers.")] = Theme.LIGHT,
    compare: Annotated[
        str | None, Query(description="Id of another architecture: edges that differ from its are bold and say how.")
    ] = None,
) -> Response:
    """Return an SVG that needs nothing from the network."""
    row, component, space, genotype = _load(service, architecture_id)
    title, other = f"Architecture {row.id}", None
    if compare is not None:
        other = _other(service, compare, component.name)
        title += f" compared with {compare}"
    what = f"Rank {row.rank}" if row.control is None else f"Control ({row.control})"
    said = f"{what} of search {row.job_id}, space {component.name}."
    picture = draw(space, genotype, theme=theme, compare=other, title=title, description=said)
    return tagged(request, picture.encode(), "image/svg+xml")


def _other(service: Service, architecture_id: str, space: str) -> Genotype:
    """Return the genotype of an architecture that is compared with one of `space`.

    Raises:
        InvalidFieldError: If it is not there, or of another space.
    """
    with service.database.read() as session:
        found = architectures.find_architectures(session, [architecture_id]).get(architecture_id)
    if found is None or found["space"] != space:
        raise InvalidFieldError("compare", architecture_id, f"the id of an architecture of space {space}")
    return Genotype.from_dict(found)


@router.head("/{architecture_id}/download", include_in_schema=False)
@router.get(
    "/{architecture_id}/download",
    summary="The architecture as a bundle, without weights",
    response_class=Response,
    responses=NOT_FOUND | download_reply("application/zip"),
)
def download_architecture(service: ServiceDep, request: Request, architecture_id: str) -> Response:
    """Return a zip of genotype, picture and model card, which tells what generated C would take."""
    row, component, space, genotype = _load(service, architecture_id)
    facts = {"architecture_id": row.id, "search_id": row.job_id, **origin_of(row), "cost": row.cost}
    with service.database.read() as session:
        in_c = cost_in_c(service, jobs.get_job(session, row.job_id).spec, genotype)
    facts |= {"c_refused": in_c} if isinstance(in_c, str) else {"c": in_c.to_dict()}
    content = architecture_bundle(component, genotype, draw(space, genotype, theme=Theme.AUTO), facts)
    digest = hashlib.sha256(content).hexdigest()
    described = Described("application/zip", digest, f"architecture-{row.id}.zip")
    return send_file(request, described, lambda: MadeSource(content))
