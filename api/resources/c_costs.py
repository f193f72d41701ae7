"""C costs: what an architecture takes in generated C, or why there is none."""

from typing import Any

from api.deps import Service
from nas_service.catalogue import build_method, build_space
from nas_service.deploy.c_cost import CCost, c_costs
from nas_service.errors import CannotFreezeError, ConflictError, ExportError, NasError
from nas_service.specs import Component
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat


def image_format(service: Service, dataset: Component) -> ImageFormat:
    """Return what the images of a search's dataset are like.

    Raises:
        ConflictError: If the dataset is gone or unreadable.
    """
    try:
        return service.place().datasets.facts(dataset).image_format
    except (NasError, InvalidFieldError, UnknownNameError, OSError) as error:
        raise ConflictError(f"the cost by layer depends on the images of dataset {dataset.name!r}: {error}") from error


def cost_in_c(service: Service, spec: dict[str, Any], genotype: Genotype) -> CCost | str:
    """Return what a genotype of a search with this spec takes in C with its method, or why nobody can tell."""
    space, method = build_space(Component.model_validate(spec["space"])), Component.model_validate(spec["method"])
    settings = build_method(method).settings.model_dump_json()
    try:
        image = image_format(service, Component.model_validate(spec["dataset"]))
        return c_costs(space, method.name, settings, image).of(genotype)
    except (CannotFreezeError, ConflictError, ExportError) as error:
        return str(error)
