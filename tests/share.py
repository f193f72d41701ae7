"""Which tests `make test` runs, of products of arguments and of many alike, in which order, and how much each may cost."""

import math
import random
import resource
from collections import defaultdict
from collections.abc import Iterable, Sequence

import pytest

BUDGET_S = 30.0  # CPU seconds of a test that is not slow, on a machine that does much else: three times what is asked of authors


def on_diagonal(places: Sequence[int], lengths: Sequence[int]) -> bool:
    """Return whether a cell of a product is on its diagonal: as many cells as the longest axis has values, every value in one.

    The longest axis goes up by one from cell to cell. The second longest does so too and begins again where it ends; every
    further one is shifted by one whenever those before it have been through, so that short axes meet in all ways.

    Args:
        places: Of the cell, by axis, from 0.
        lengths: Of the axes.
    """
    order = sorted(range(len(lengths)), key=lambda axis: -lengths[axis])
    row = places[order[0]]
    for rank, axis in enumerate(order[1:]):
        turn = math.prod(lengths[other] for other in order[1 : rank + 1])
        shift = row // turn if rank else 0
        if places[axis] != (row + shift) % lengths[axis]:
            return False
    return True


def thin_out(items: Iterable[pytest.Item]) -> None:
    """Mark as slow what is beside the diagonal of a test that is marked `diagonal`."""
    products: dict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("diagonal") is not None:
            products[f"{item.path}::{item.originalname}"].append(item)
    for cells in products.values():
        axes = [list(dict.fromkeys(ids)) for ids in zip(*map(_ids, cells), strict=True)]
        lengths = [len(axis) for axis in axes]
        for cell in cells:
            places = [axis.index(name) for axis, name in zip(axes, _ids(cell), strict=True)]
            if not on_diagonal(places, lengths):
                cell.add_marker(pytest.mark.slow)


def keep_few(items: Iterable[pytest.Item]) -> None:
    """Mark as slow of a test that is marked `few(n)` all but n of its cases: always the same ones, drawn by the test's name."""
    cases: dict[tuple[str, int], list[pytest.Function]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("few")
        if isinstance(item, pytest.Function) and mark is not None and item.get_closest_marker("slow") is None:
            cases[f"{item.path}::{item.originalname}", mark.args[0]].append(item)
    for (name, count), alike in cases.items():
        kept = random.Random(name.rpartition("::")[2]).sample(range(len(alike)), min(count, len(alike)))
        for place, case in enumerate(alike):
            if place not in kept:
                case.add_marker(pytest.mark.slow)


def ray_first(items: list[pytest.Item]) -> None:
    """Put those that start Ray before all others, in their order.

    Of two processes that share the tests (`--dist worksteal`) the first begins with the first half of them and the second takes
    from its end: so those that start Ray run one after another, beside the others, which compute while a Ray starts and ends.
    """
    items.sort(key=lambda item: item.get_closest_marker("ray") is None)


def _ids(cell: pytest.Function) -> Sequence[str]:
    """Return what each `parametrize` calls the values of a cell: pytest's public `indices` count cells, not values."""
    return cell.callspec._idlist


def cpu_seconds() -> float:
    """Return what this process and those that it has waited for have computed."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
