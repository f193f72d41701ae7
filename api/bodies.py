"""Bodies that the catalogue reads, not FastAPI: so that all faults are told at once. OpenAPI shows their models all the same."""

from typing import Annotated

from fastapi import Body
from pydantic import BaseModel, GetJsonSchemaHandler, GetPydanticSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from nas_service.specs import RegistrationSpec, SearchSpec, TrainingSpec


def _as_described(model: type[BaseModel]) -> GetPydanticSchema:
    """Return what makes a type take any JSON and be described as `model`."""

    def describe(_: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(model.__pydantic_core_schema__)

    return GetPydanticSchema(lambda _, __: core_schema.any_schema(), describe)


SearchBody = Annotated[object, _as_described(SearchSpec), Body()]
TrainingBody = Annotated[object, _as_described(TrainingSpec), Body()]
RegistrationBody = Annotated[object, _as_described(RegistrationSpec), Body()]
