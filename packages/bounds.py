"""Whether the lower bounds in pyproject.toml can be had: `python -m packages.bounds PINS [NAME ...]`.

PINS is what uv resolved with `lowest-direct`; names are of packages whose version was given. A bound below everything that goes
with the other requirements was never tried by anybody, and says nothing.
"""

import re
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import Version

from packages.client_sources import project


def idle_bounds(table: Mapping[str, Any], pins: Iterable[str], given: Collection[str] = ()) -> list[str]:
    """Return a sentence for every requirement of a project table whose lower bound is not the version that was taken.

    Args:
        table: With `name`, `dependencies` and `optional-dependencies`.
        pins: Lines `name==version`: the lowest versions of these requirements that go together.
        given: Names that are not looked at.

    Raises:
        ValueError: If a requirement has no lower bound.
    """
    taken = dict(line.partition(" ")[0].split("==") for line in pins if "==" in line)
    extras = table.get("optional-dependencies", {}).values()
    found = []
    for line in sorted({*table["dependencies"], *(line for extra in extras for line in extra)}):
        wanted = Requirement(line)
        name = _canonical(wanted.name)
        if name == _canonical(table["name"]) or name in map(_canonical, given):
            continue
        bounds = [one.version for one in wanted.specifier if one.operator == ">="]
        if not bounds:
            raise ValueError(f"{line} has no lower bound: write NAME>=VERSION")
        if Version(bounds[0]) != Version(taken[name]):
            found.append(f"{line}: the lowest that goes with the others is {taken[name]}")
    return found


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    _, file, *names = sys.argv
    if idle := idle_bounds(project(), Path(file).read_text().splitlines(), names):
        sys.exit("\n".join(idle))
