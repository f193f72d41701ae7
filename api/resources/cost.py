"""Cost: what an architecture costs, part by part."""

from fastapi import APIRouter, Request, Response

from api.deps import ServiceDep
from api.resources.c_costs import cost_in_c, image_format
from api.resources.etags import tagged_view
from api.resources.jobs import CONFLICT, NOT_FOUND
from api.resources.tables import AS_CSV, Format, TableFormat, csv_reply
from api.training_views import ArchitectureCostView, CCostView, LayerCostView
from nas_service.catalogue import build_method, build_space
from nas_service.specs import Component
from nas_service.storage import architectures, jobs
from search_spaces.genotype import Genotype
from search_spaces.layers import layer_costs
from search_spaces.network import network_cost

router = APIRouter(tags=["architectures"])


@router.get(
    "/architectures/{architecture_id}/cost",
    summary="What an architecture costs, by cell, edge, layer and bit width",
    response_model=ArchitectureCostView,
    responses=NOT_FOUND | CONFLICT | AS_CSV,
)
def get_cost(service: ServiceDep, request: Request, architecture_id: str, file_format: Format = TableFormat.JSON) -> Response:
    """Return the parts in the order in which an image passes them; what neither weighs nor computes, such as a pool, is none.

    As JSON with what generated C takes of flash and RAM, or why there is none.
    """
    with service.database.read() as session:
        row = architectures.get_architecture(session, architecture_id)
        spec = jobs.get_job(session, row.job_id).spec
    space, method = build_space(Component.model_validate(spec["space"])), Component.model_validate(spec["method"])
    image = image_format(service, Component.model_validate(spec["dataset"]))
    genotype, precision = Genotype.from_dict(row.genotype), build_method(method).facts.precision
    rows = [LayerCostView.model_validate(layer) for layer in layer_costs(space, genotype, image, precision)]
    if file_format is TableFormat.CSV:
        return csv_reply(request, f"cost-{row.id}.csv", LayerCostView.model_fields, (view.model_dump() for view in rows))
    totals = network_cost(space, genotype, image, precision).to_dict()
    in_c = cost_in_c(service, spec, genotype)
    c, refused = (None, in_c) if isinstance(in_c, str) else (CCostView.model_validate(in_c.to_dict()), None)
    view = ArchitectureCostView(rows=rows, totals=totals, method=method.model_dump(), c=c, c_refused=refused)
    return tagged_view(request, view)
