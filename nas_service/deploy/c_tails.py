"""Tails of stages in C: what happens to each number once it is computed, one statement an operation, so that none are fused."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from nas_service.deploy.pointwise import Floats, Kind, Pointwise
from nas_service.deploy.stages import Other, Tail

Numbers = np.ndarray[Any, np.dtype[Any]]
_BODIES = {
    Kind.AFFINE: ("v = v * {0};", "v = v + {1};"),
    Kind.ADD: ("v = v + {0};",),
    Kind.SUBTRACT: ("v = v - {0};",),
    Kind.MULTIPLY: ("v = v * {0};",),
    Kind.PRELU: ("r = v * {0};", "v = nn_positive_or(v, r);"),
    Kind.RELU: ("v = nn_positive_or(v, 0.0f);",),
    Kind.NEGATE: ("v = -v;",),
    Kind.CLIP: ("v = v < {0} ? {0} : v;", "v = v > {1} ? {1} : v;"),
    Kind.MAXOUT: ("r = nn_positive_or(v, 0.0f);", "v = v - r;", "v = {0} * v;", "r = {1} * r;", "v = r + v;"),
}


@dataclass(frozen=True)
class TailCode:
    """A tail's C.

    Attributes:
        pointers: Declarations before the loop over lanes.
        body: Statements inside.
        constants: Arrays that it reads, in order.
        others: Maps that it reads, in order.
        shifts: Powers of two that it reads, in order.
    """

    pointers: str
    body: str
    constants: tuple[Numbers, ...]
    others: tuple[int, ...]
    shifts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Before:
    """What a tail begins with.

    Attributes:
        hidden: Constants that the head reads by itself.
        constants: Constants that `lines` read, by channel.
        pointers: Declarations.
        lines: Statements.
    """

    hidden: tuple[Numbers, ...] = ()
    constants: tuple[Floats, ...] = ()
    pointers: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


def tail_code(tail: Tail, before: Before) -> TailCode:
    """Return the C of a tail."""
    constants: list[Numbers] = [*before.hidden, *before.constants]
    others = list[int]()
    body, pointers = list(before.lines), list(before.pointers)
    for entry in tail:
        if isinstance(entry, Pointwise):
            names = [f"c{len(constants) + place}[lane]" for place in range(len(entry.constants))]
            constants += entry.constants
            body += [line.format(*names) for line in _BODIES[entry.kind]]
            continue
        place = len(others)
        others.append(entry.step)
        base = f"const nn_value *x{place} = arena + s->other[{place}] + pixel * s->other_stride[{place}]"
        pointers.append(base + (";" if entry.multiplies else " + first;"))
        body.append(f"v = v * x{place}[(first + lane) / s->other_group];" if entry.multiplies else f"v = v + x{place}[lane];")
    seen = range(len(before.hidden), len(constants))
    pointers = [f"const nn_number *c{place} = s->constants[{place}] + first;" for place in seen] + pointers
    if any("r = " in line for line in body):
        body.insert(0, "nn_number r;")
    return TailCode(indented(pointers, 2), indented(body, 4), tuple(constants), tuple(others))


def reads_other(tail: Tail) -> list[Other]:
    """Return the maps that a tail reads."""
    return [entry for entry in tail if isinstance(entry, Other)]


def indented(lines: list[str], spaces: int) -> str:
    """Return lines of C."""
    return "\n".join(" " * spaces + line for line in lines)
