"""Genotype: one architecture as a frozen value with a canonical JSON form and a stable digest."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from search_spaces.errors import InvalidFieldError


class Choice(NamedTuple):
    """The operation that one edge of one cell type computes; as a key it also names an arm."""

    cell: str
    edge: str
    operation: str


@dataclass(frozen=True)
class Genotype:
    """An operation for every edge of every cell type of a space.

    Attributes:
        space: Name of the search space.
        choices: One choice an edge, in the space's own order of cell types and edges.
    """

    space: str
    choices: tuple[Choice, ...]

    def operation(self, cell: str, edge: str) -> str:
        """Return the operation on an edge.

        Raises:
            KeyError: If the genotype has no such cell type or edge.
        """
        return self._operations[cell, edge]

    @cached_property
    def _operations(self) -> dict[tuple[str, str], str]:
        return {(choice.cell, choice.edge): choice.operation for choice in self.choices}

    def to_dict(self) -> dict[str, object]:
        """Return `{"space": name, "cells": {cell type: {edge: operation}}}`."""
        cells: dict[str, dict[str, str]] = {}
        for cell, edge, operation in self.choices:
            cells.setdefault(cell, {})[edge] = operation
        return {"space": self.space, "cells": cells}

    def to_json(self) -> str:
        """Return the canonical JSON: keys sorted, no spaces, so that equal genotypes are equal texts."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_dict(cls, payload: object) -> "Genotype":
        """Read the form that `to_dict` writes; the order of cells and edges is kept as given.

        `SearchSpace.parse` reads a genotype *of that space*: it also puts the choices into the space's order and
        refuses operations that the space does not allow.

        Raises:
            InvalidFieldError: Naming the first field that has the wrong shape.
        """
        if not isinstance(payload, dict):
            raise InvalidFieldError("genotype", payload, 'an object {"space": ..., "cells": ...}')
        unknown = sorted(set(payload) - {"space", "cells"})
        if unknown:
            raise InvalidFieldError(f"genotype.{unknown[0]}", payload[unknown[0]], "only the keys space and cells")
        space, cells = payload.get("space"), payload.get("cells")
        if not isinstance(space, str) or not space:
            raise InvalidFieldError("genotype.space", space, "the name of a search space")
        if not isinstance(cells, dict) or not cells:
            raise InvalidFieldError("genotype.cells", cells, "an object {cell type: {edge: operation}}")
        return cls(space, tuple(_read_choices(cells)))

    @classmethod
    def from_json(cls, text: str) -> "Genotype":
        """Read canonical (or any) JSON of `to_dict`'s form.

        Raises:
            InvalidFieldError: If the text is not JSON or has the wrong shape.
        """
        try:
            payload = json.loads(text)
        except (ValueError, RecursionError) as error:  # also a number of too many digits, and brackets deeper than the stack
            raise InvalidFieldError("genotype", text, f"JSON ({error})") from error
        return cls.from_dict(payload)


@lru_cache(maxsize=10_000)
def _choice(cell: str, edge: str, operation: str) -> Choice:
    """Return a choice that equal ones share: a long history has millions of them, and few that differ."""
    return Choice(cell, edge, operation)


def _read_choices(cells: dict[object, object]) -> Iterable[Choice]:
    for cell, edges in cells.items():
        if not isinstance(edges, dict) or not edges:
            raise InvalidFieldError(f"genotype.cells.{cell}", edges, "an object {edge: operation}")
        for edge, operation in edges.items():
            if not isinstance(operation, str):
                raise InvalidFieldError(f"genotype.cells.{cell}.{edge}", operation, "the name of an operation")
            yield _choice(str(cell), str(edge), operation)
