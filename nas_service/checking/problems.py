"""Complaints about what a user gave, collected so that all of them are told at once."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError, UnknownNameError
from search_spaces.given import KNOWN, UNKNOWN
from search_spaces.registry import near_matches

Built = TypeVar("Built")


_KINDS = {  # what is allowed, by the start of pydantic's name of the fault: its own words are of Python
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "string_type": "text",
    "list_": "a list",
    "tuple_type": "a list",
    "dict_": "an object",
    "model_": "an object",
}


_BESIDE = {"priority": "it is no part of a spec but given beside it, as ?priority= over REST, --priority or priority="}


def complaint(field: str, entry: Mapping[str, Any]) -> InvalidFieldError:
    """Return one of pydantic's complaints as ours."""
    if entry["type"] == "missing":
        return InvalidFieldError(field or "body", None, "a value: this field is required")
    if entry["type"] == UNKNOWN:
        if field in _BESIDE:
            return InvalidFieldError(field, entry.get("input"), f"nothing: {_BESIDE[field]}")
        near = near_matches(field.rpartition(".")[2], entry.get("ctx", {}).get(KNOWN, ()))
        meant = f"; did you mean {' or '.join(near)}?" if near else ""
        return InvalidFieldError(field or "body", entry.get("input"), f"nothing: there is no such field{meant}")
    return InvalidFieldError(field or "body", entry.get("input"), _allowed(entry))


def _allowed(entry: Mapping[str, Any]) -> str:
    """Return what one of pydantic's complaints allows, in our words."""
    fault, bounds = entry["type"], entry.get("ctx", {})
    if fault in {"string_too_short", "string_too_long"}:
        return _counted(bounds, "character", "characters")
    if fault in {"too_short", "too_long"}:
        return f"{_counted(bounds, 'entry', 'entries')}, not {bounds['actual_length']}"
    if fault == "string_pattern_mismatch":
        return f"text of the pattern {bounds['pattern']}"
    kind = next((words for start, words in _KINDS.items() if fault.startswith(start)), None)
    return kind or str(entry["msg"].removeprefix("Value error, ").removeprefix("Input should be "))


def _counted(bounds: Mapping[str, Any], one: str, several: str) -> str:
    """Return a bound of a length in words: at most 200 characters."""
    word, count = ("at least", bounds["min_length"]) if "min_length" in bounds else ("at most", bounds["max_length"])
    return f"{word} {count} {one if count == 1 else several}"


def dotted(location: Sequence[str | int], prefix: str = "") -> str:
    """Return a place in JSON as a field: `training.methods.0.name`."""
    return ".".join([prefix, *map(str, location)]).strip(".")


def field_errors(error: ValidationError, prefix: str = "") -> list[InvalidFieldError]:
    """Return pydantic's complaints as ours: dotted field, value given, what is allowed."""
    return [complaint(dotted(entry["loc"], prefix), entry) for entry in error.errors(include_url=False)]


class Problems:
    """Complaints so far.

    Attributes:
        found: As they were found.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.found: list[InvalidFieldError] = []
        self._read = 0
        self._faulty: set[str] = set()  # fields that are complained about ...
        self._above: set[str] = set()  # ... and what holds them

    def complain(self, field: str, given: object, allowed: str) -> None:
        """Keep a complaint."""
        self.found.append(InvalidFieldError(field, given, allowed))

    def sound(self, *fields: str) -> bool:
        """Return whether nothing is wrong so far with these fields, what they hold, and what they are held by.

        What depends on a faulty field is not judged: it would be judged by a value that nobody gave.
        """
        for problem in self.found[self._read :]:
            self._faulty.add(problem.field)
            self._above.update(_holders(problem.field))
        self._read = len(self.found)
        return not any(
            field in self._faulty or field in self._above or any(holder in self._faulty for holder in _holders(field))
            for field in fields
        )

    def attempt(self, field: str, build: Callable[[], Built], part: str = "settings") -> Built | None:
        """Return what `build` makes of a component's name and its `part`; None, with one complaint, if they are faulty."""
        return self.build(f"{field}.name", f"{field}.{part}", build)

    def build(self, name: str, part: str, build: Callable[[], Built]) -> Built | None:
        """As `attempt`, of a name and settings in these two fields."""
        if not self.sound(name, part):
            return None
        try:
            return build()
        except UnknownNameError as error:
            self.complain(name, error.name, error.allowed)
        except InvalidFieldError as error:
            self.found.append(error.under(part))
        except ValidationError as error:
            self.found.extend(field_errors(error, part))
        return None

    def finish(self, order: Sequence[str] = ()) -> None:
        """Raise what was collected, in the order of these fields of the whole; others come last.

        Raises:
            InvalidInputError: If there is any.
        """
        if self.found:
            places = {field: place for place, field in enumerate(order)}
            raise InvalidInputError(sorted(self.found, key=lambda entry: places.get(entry.field.split(".")[0], len(places))))


def _holders(field: str) -> list[str]:
    """Return the fields that hold a field: of `a.b.c` these are `a` and `a.b`."""
    parts = field.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
