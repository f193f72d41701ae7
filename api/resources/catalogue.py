"""/specs /spaces /operations /templates /strategies /methods: what can be asked for, with the JSON schema of its settings."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from fastapi import APIRouter

from api.resources.jobs import NOT_FOUND
from api.views import EntryView, Page
from nas_service.binarization.method import METHODS, Method
from nas_service.export.palette import look_of
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import RegistrationSpec, SearchSpec, TrainingSpec
from search_spaces.given import GivenModel
from search_spaces.operation import OPERATIONS, Operation
from search_spaces.registry import Registry
from search_spaces.space import SPACES, SearchSpace, SpaceSettings
from search_spaces.template import TEMPLATES

router = APIRouter(tags=["catalogue"])


def _space(name: str, space: SearchSpace) -> EntryView:
    facts = {
        "cell_types": [{"name": cell.name, "role": cell.role.value, "required": cell.required} for cell in space.cell_types],
        "edges": {edge.name: list(edge.operations) for edge in space.edges},
        "nodes": space.nodes,
        "inputs": space.inputs,
        "inter_cell_skips": space.inter_cell_skips,
        "cells": space.cells,
        "channels": space.channels,
        "template": space.template,
        "stem": space.stem.value,
        "chain": None if space.chain is None else space.chain.value,
        "hidden_widths": list(space.hidden_widths),
        "genotypes": str(space.size()),
    }
    schema = SpaceSettings.model_json_schema()
    return EntryView(name=name, summary=space.summary, settings_schema=schema, facts=facts)


def _operation(name: str, entry: type[Operation]) -> EntryView:
    return EntryView(name=name, summary=entry.summary, facts={"colour": look_of(name).to_dict()})


def _plain(name: str, entry: Any) -> EntryView:  # noqa: ANN401 - templates share a summary, not a type
    return EntryView(name=name, summary=entry.summary)


def _configurable(name: str, entry: Any) -> EntryView:  # noqa: ANN401 - strategies and methods share these, not a type
    schema = entry.settings_model.model_json_schema()
    return EntryView(name=name, summary=entry.summary, reference=entry.reference, settings_schema=schema)


def _strategy(name: str, entry: type[Strategy]) -> EntryView:
    facts = {"arms": asdict(entry.arm_facts), "figures": entry.figures, "needs_own": entry.needs_own}
    return _configurable(name, entry).model_copy(update={"facts": facts})


def _method(name: str, entry: type[Method]) -> EntryView:
    facts = {"presets": entry.presets(), "inert": [asdict(part) for part in entry.inert]}
    return _configurable(name, entry).model_copy(update={"facts": facts})


@dataclass(frozen=True)
class Shelf:
    """A registry and how its entries are shown."""

    registry: Registry[Any]
    view: Callable[[str, Any], EntryView]


SHELVES = {
    "spaces": Shelf(SPACES, _space),
    "operations": Shelf(OPERATIONS, _operation),
    "templates": Shelf(TEMPLATES, _plain),
    "strategies": Shelf(STRATEGIES, _strategy),
    "methods": Shelf(METHODS, _method),
}


def _add_shelf(plural: str, shelf: Shelf) -> None:
    @router.get(f"/{plural}", summary=f"List {plural}", name=f"list_{plural}")
    def list_entries() -> Page[EntryView]:
        return Page(items=[shelf.view(name, shelf.registry.get(name)) for name in shelf.registry.names()])

    @router.get(f"/{plural}/{{name}}", summary=f"One of the {plural}", name=f"get_{plural}", responses=NOT_FOUND)
    def get_entry(name: str) -> EntryView:
        return shelf.view(name, shelf.registry.get(name))


class SpecKind(StrEnum):
    """What can be submitted."""

    SEARCH = "search"
    TRAINING = "training"
    REGISTRATION = "registration"


_SPECS: dict[SpecKind, type[GivenModel]] = {
    SpecKind.SEARCH: SearchSpec,
    SpecKind.TRAINING: TrainingSpec,
    SpecKind.REGISTRATION: RegistrationSpec,
}


@router.get("/specs/{kind}", summary="The JSON schema of what can be submitted")
def get_spec_schema(kind: SpecKind) -> dict[str, Any]:
    """Return fields, types, bounds, defaults and descriptions: what a form needs. Settings are in the catalogue's entries."""
    return _SPECS[kind].model_json_schema()


for _plural, _shelf in SHELVES.items():
    _add_shelf(_plural, _shelf)
