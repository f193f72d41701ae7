"""Cost: what an architecture costs, part by part."""

from fastapi import APIRouter, Request, Response

from api.deps import Service, ServiceDep
from api.resources.etags import tagged_view
from api.resources.jobs import CONFLICT, NOT_FOUND
from api.resources.tables import AS_CSV, Format, TableFormat, csv_reply
from api.training_views import ArchitectureCostView, LayerCostView
from nas_service.catalogue import build_method, build_space
from nas_service.errors import ConflictError, NasError
from nas_service.specs import Component
from nas_service.storage import architectures, jobs
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.genotype import Genotype
from search_spaces.layers import layer_costs
from search_spaces.network import ImageFormat, network_cost

router = APIRouter(tags=["architectures"])


def _image_format(service: Service, dataset: Component) -> ImageFormat:
    """Return what the images of a search's dataset are like.

    Raises:
        ConflictError: If the dataset is gone or unreadable.
    """
    try:
        return service.place().datasets.facts(dataset).image_format
    except (NasError, InvalidFieldError, UnknownNameError, OSError) as error:
        raise ConflictError(f"the cost by layer depends on the images of dataset {dataset.name!r}: {error}") from error


@router.get(
    "/architectures/{architecture_id}/cost",
    summary="What an architecture costs, by cell, edge, layer and bit width",
    response_model=ArchitectureCostView,
    responses=NOT_FOUND | CONFLICT | AS_CSV,
)
def get_cost(service: ServiceDep, request: Request, architecture_id: str, file_format: Format = TableFormat.JSON) -> Response:
    """Return the parts in the order in which an image passes them; what neither weighs nor computes, such as a pool, is none."""
    with service.database.read() as session:
        row = architectures.get_architecture(session, architecture_id)
        spec = jobs.get_job(session, row.job_id).spec
    space, method = build_space(Component.model_validate(spec["space"])), Component.model_validate(spec["method"])
    image = _image_format(service, Component.model_validate(spec["dataset"]))
    genotype, precision = Genotype.from_dict(row.genotype), build_method(method).facts.precision
    rows = [LayerCostView.model_validate(layer) for layer in layer_costs(space, genotype, image, precision)]
    if file_format is TableFormat.CSV:
        return csv_reply(request, f"cost-{row.id}.csv", LayerCostView.model_fields, (view.model_dump() for view in rows))
    totals = network_cost(space, genotype, image, precision).to_dict()
    return tagged_view(request, ArchitectureCostView(rows=rows, totals=totals, method=method.model_dump()))
