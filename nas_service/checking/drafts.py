"""Drafts: a spec as far as it can be read, so that what is wrong with the rest of it can be told in the same breath."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from nas_service.checking.problems import Problems, complaint, dotted
from nas_service.errors import InvalidInputError
from search_spaces.errors import InvalidFieldError
from search_spaces.given import UNKNOWN

Spec = TypeVar("Spec", bound=BaseModel)

MAX_VALUES = 10_000  # entries of objects and lists in a spec: a thousand architectures and a hundred methods are 5,000
# Fields that a model wants: what stands in for one is never judged, so it only has to be of the right kind and unlike any other.
COMPONENTS = {"space", "dataset"}
LISTS = {"methods", "architectures"}
WORDS = {"name", "kind", "path", "search"}
_ROUNDS = 5  # of mending: each goes deeper into the models, which are less deep
_HERE = object()  # marks a fault in a tree of faults

_numbers = count()


class Draft(Problems, Generic[Spec]):
    """What is known of a spec that may be faulty.

    Attributes:
        spec: With defaults, or stand-ins, for the fields that are not `sound`.
    """

    def __init__(self, spec: Spec, found: Sequence[InvalidFieldError] = ()) -> None:
        """Begin with what reading the spec has found."""
        super().__init__()
        self.spec = spec
        self.found.extend(found)


def read_draft(model: type[Spec], body: object) -> Draft[Spec]:
    """Read JSON as a model, and where it is faulty all of it that can be read.

    Raises:
        InvalidInputError: If nothing can: it is no object, or one with more values than any spec needs.
    """
    _bound(body)
    found: list[InvalidFieldError] = []
    given = body
    for _ in range(_ROUNDS):
        try:
            return Draft(model.model_validate(given), found)
        except ValidationError as error:
            entries = error.errors(include_url=False)
        told = Problems()
        told.found.extend(found)
        # What comes to light once the first faults are mended is true only where it has nothing to do with them.
        found += [complaint(field, entry) for entry in entries if told.sound(field := dotted(entry["loc"]) or "body")]
        faults = _tree(entries)
        if _HERE in faults or not isinstance(given, dict):
            break
        given = _mended(given, faults)
    raise InvalidInputError(found)


def _bound(body: object) -> None:
    """Refuse what would take long to complain about, one value after the other.

    Raises:
        InvalidInputError: If there are too many.
    """
    left, seen = [body], 0
    while left:
        given = left.pop()
        below: Sequence[object] = list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else ()
        seen += len(below)
        if seen > MAX_VALUES:
            allowed = f"objects and lists with at most {MAX_VALUES:,} entries in all"
            raise InvalidInputError([InvalidFieldError("body", f"more than {MAX_VALUES:,} entries", allowed)])
        left.extend(entry for entry in below if isinstance(entry, dict | list))


def _tree(entries: Sequence[ErrorDetails]) -> dict[Any, Any]:
    """Return the places of faults as a tree of their keys; at `_HERE` stands whether there is no such field at all."""
    tree: dict[Any, Any] = {}
    for entry in entries:
        node = tree
        for key in entry["loc"]:
            node = node.setdefault(key, {})
        node[_HERE] = entry["type"] == UNKNOWN
    return tree


def _mended(given: Mapping[str, object], faults: Mapping[Any, Any]) -> dict[str, object]:
    """Return a copy of an object in which faulty fields are left out, or stood in for where they are required."""
    mended = dict(given)
    for key, below in faults.items():
        value = given.get(key)
        if _HERE not in below and isinstance(value, dict):
            mended[key] = _mended(value, below)
        elif _HERE not in below and isinstance(value, list) and key in LISTS:
            mended[key] = [_mended_entry(key, entry, below.get(index)) for index, entry in enumerate(value)]
        elif key in COMPONENTS | LISTS | WORDS and not below.get(_HERE):
            mended[key] = _stand_in(key)
        else:
            mended.pop(key, None)
    return mended


def _mended_entry(key: str, entry: object, faults: Mapping[Any, Any] | None) -> object:
    if faults is None:
        return entry
    return _stand_in_entry(key) if _HERE in faults or not isinstance(entry, dict) else _mended(entry, faults)


def _stand_in(key: str) -> object:
    if key in LISTS:
        return [_stand_in_entry(key)]
    return {"name": _word()} if key in COMPONENTS else _word()


def _stand_in_entry(key: str) -> object:
    return {"name": _word()} if key == "methods" else _word()


def _word() -> str:
    return f"stand-in-{next(_numbers)}"
