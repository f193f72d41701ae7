"""JSON from strangers: one object, read as it stands or refused."""

import json
import math
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, NoReturn

from nas_service.data.classes import MAX_CLASSES
from nas_service.errors import ExportError

MAX_ENTRIES = 2**16 + 9 * MAX_CLASSES  # a manifest has four lists of names and five of numbers that hold an entry a class
_MARKS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|([,:\[{])', re.DOTALL)  # a string as a whole, or what comes with every entry
_LARGEST = 2**63 - 1


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in pairs:
        if name in result:
            raise ValueError(f"the key {name!r} twice")
        result[name] = value
    return result


def _whole(text: str) -> int:
    if len(text) > len(str(-_LARGEST)) or abs(int(text)) > _LARGEST:
        raise ValueError(f"the number {text[:20]}..., which is too large")
    return int(text)


def _real(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:20]}, which is too large")
    return value


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text}, which is not JSON")


def _count(content: bytes) -> None:
    """See that there are not too many keys and values, before any is made: in memory they are forty times as large."""
    marks = (found for found in _MARKS.finditer(content) if found[1])
    if next(islice(marks, MAX_ENTRIES, None), None):
        raise ValueError(f"more than {MAX_ENTRIES} keys and values")


def read_object(content: bytes, name: str) -> dict[str, Any]:
    """Return the object that a file called `name` holds as JSON in UTF-8.

    Raises:
        ExportError: If it is not JSON, is nested deeper than Python's stack, is no object, holds a key twice, numbers
            beyond 64 bits, NaN, infinity or halves of surrogate pairs, or is larger than a bundle's ever are.
    """
    try:
        _count(content)
        value = json.loads(
            content.decode(), object_pairs_hook=_object, parse_int=_whole, parse_float=_real, parse_constant=_no_number
        )
        json.dumps(value, ensure_ascii=False).encode()  # halves of surrogate pairs have no UTF-8
    except UnicodeError as error:
        raise ExportError(f"{name} holds text that is not Unicode") from error
    except json.JSONDecodeError as error:
        raise ExportError(f"{name} is not JSON: {error}") from error
    except RecursionError as error:
        raise ExportError(f"{name} is nested too deeply") from error
    except ValueError as error:
        raise ExportError(f"{name} holds {error}") from error
    if not isinstance(value, dict):
        raise ExportError(f"{name} holds {type(value).__name__} instead of an object")
    return value
