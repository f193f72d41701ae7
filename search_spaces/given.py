"""The base of every model that reads what a user gave: spaces, strategies, methods, datasets, recipes, specs. No torch."""

from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

UNKNOWN = "extra_forbidden"  # pydantic's name of the fault
KNOWN = "known"  # in the context of that fault: the fields that there are
_OF_PYDANTIC = set(get_args(ErrorType))


class GivenModel(BaseModel):
    """What a user gave, read as it was written: unknown fields are refused, and nothing is turned into another type.

    `true` and "3" are no numbers and 1 is no boolean; a whole number is a number where fractions are allowed. NaN and infinity,
    which JSON does not have, are refused. A field whose type JSON has no word for (an enum, a tuple) says `strict=False`: a text
    stands for the enum, a list for the tuple, and the entries of a tuple are read strictly all the same. The fault of an unknown
    field carries the names of those that there are, so that whoever tells of it can say which one is meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _name_known_fields(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - whatever was given
        try:
            return read(given)
        except ValidationError as error:
            entries = error.errors(include_url=False)
            if not any(entry["type"] == UNKNOWN and KNOWN not in entry.get("ctx", {}) for entry in entries):
                raise
            faults = [_fault(entry, sorted(cls.model_fields)) for entry in entries]
            raise ValidationError.from_exception_data(error.title, faults) from None


def _fault(entry: ErrorDetails, known: list[str]) -> InitErrorDetails:
    """Return a fault as it was, of an unknown field of this very model with the fields that there are."""
    context = entry.get("ctx", {})
    kind: str | PydanticCustomError = entry["type"]
    if kind == UNKNOWN:
        kind = PydanticCustomError(UNKNOWN, "Extra inputs are not permitted", {KNOWN: context.get(KNOWN, known)})
    elif kind not in _OF_PYDANTIC:
        kind = PydanticCustomError(entry["type"], entry["msg"], context)
    return InitErrorDetails(type=kind, loc=entry["loc"], input=entry["input"], ctx=context)
