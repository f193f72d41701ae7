"""Files of this project as one file of a bundle, which imports nothing of it."""

import ast
import inspect
from collections.abc import Sequence
from types import ModuleType


def joined_source(parts: Sequence[ModuleType], *, last: str) -> list[str]:
    """Return the lines of files one after the other, their imports first and each once; those with the word `last` at the end.

    Files begin with a docstring, which is left out, and `from __future__ import annotations`. What they import of each other is
    in the same file then; every other import is one line.
    """
    own = {part.__name__ for part in parts}
    imports: dict[str, None] = {}
    bodies: list[str] = []
    for part in parts:
        lines = inspect.getsource(part).splitlines()
        nodes = [node for node in ast.parse("\n".join(lines)).body if isinstance(node, ast.Import | ast.ImportFrom)]
        theirs = [node for node in nodes if not (isinstance(node, ast.ImportFrom) and node.module in own)]
        imports.update(dict.fromkeys(lines[node.lineno - 1] for node in theirs))
        bodies += ["", *lines[nodes[-1].end_lineno :]]
    first, *others = imports
    return [first, "", *sorted(others, key=lambda line: (last in line, line)), *bodies]
