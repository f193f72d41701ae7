"""What a few modules of ours need of the others, and the same sources under another package.

Every import counts, also one inside a function or for a type checker: what is left out would only be missed by a user.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from sys import stdlib_module_names

OURS = ("api", "migrations", "nas_service", "search_spaces", "workers")


class ClosureError(Exception):
    """A source cannot be taken along; the message says which, by whom it is needed, and what to do."""


@dataclass(frozen=True)
class Allowed:
    """Packages of others that sources may import.

    Attributes:
        anywhere: What is installed with them.
        in_functions: What a user may lack who never calls the function; it may be named to type checkers too.
    """

    anywhere: frozenset[str]
    in_functions: frozenset[str]


def closure(root: Path, fronts: Sequence[str], allowed: Allowed) -> dict[str, Path]:
    """Return the files of `fronts` and of every module of ours that they need, by the names of the modules.

    Args:
        root: Folder with our packages in it.
        fronts: Names of modules.
        allowed: What they may import of others, beside the standard library.

    Raises:
        ClosureError: If one of them imports what is not allowed, or in a way that `moved` cannot follow.
    """
    found: dict[str, Path] = {}
    waiting = {front: front for front in fronts}
    while waiting:
        name, chain = waiting.popitem()
        found[name] = _file(root, name)
        for needed in _needed(root, _parsed(found[name]), chain, allowed):
            if needed not in found:
                waiting.setdefault(needed, f"{chain} -> {needed}")
        parent = name.rpartition(".")[0]
        if parent and parent not in found:
            waiting.setdefault(parent, chain)
    return dict(sorted(found.items()))


def moved(source: str, package: str) -> str:
    """Return a source that imports what is ours from `package`, where it is now."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        for place, name in _imports_of_ours(node):
            line = lines[place.lineno - 1].encode()  # columns are counted in bytes
            start = line.index(name.encode(), place.col_offset)
            lines[place.lineno - 1] = (line[:start] + f"{package}.".encode() + line[start:]).decode()
    return "".join(lines)


def stated_names(file: Path) -> list[str]:
    """Return the names that a module lists in `__all__`.

    Raises:
        ClosureError: If it has none.
    """
    for node in _parsed(file).body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == "__all__" for to in node.targets):
            return sorted(ast.literal_eval(node.value))
    raise ClosureError(f"{file} has no __all__: it has to say which of its names are for users")


def _imports_of_ours(node: ast.AST) -> list[tuple[ast.ImportFrom | ast.alias, str]]:
    if isinstance(node, ast.ImportFrom) and node.module and _top(node.module) in OURS:
        return [(node, node.module)]
    if isinstance(node, ast.Import):
        return [(alias, alias.name) for alias in node.names if _top(alias.name) in OURS]
    return []


def _needed(root: Path, tree: ast.Module, chain: str, allowed: Allowed) -> Iterator[str]:
    """Yield the modules of ours that a source imports, and refuse what is not allowed of others."""
    at_load = set(_run_when_loaded(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_module(root, node.value):
            raise ClosureError(f"{chain} names {node.value} as a string, line {node.lineno}: an import statement can be followed")
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        where = f"{chain}, line {node.lineno},"
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ClosureError(f"{where} imports relatively: write the whole name")
        if isinstance(node, ast.Import) and any(_top(alias.name) in OURS and not alias.asname for alias in node.names):
            raise ClosureError(f"{where} imports a module of ours by its path: write `from PACKAGE import MODULE`")
        yield from _ours(root, node)
        for top in _tops(node) - stdlib_module_names - set(OURS) - allowed.anywhere:
            if top not in allowed.in_functions or node in at_load:
                more = " inside functions alone" if top in allowed.in_functions else ""
                raise ClosureError(f"{where} imports {top}, which is not allowed there{more and f', but{more}'}")


def _run_when_loaded(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is loaded: neither functions nor what is for type checkers."""
    for child in ast.iter_child_nodes(node):
        for_checkers = isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"
        if not for_checkers and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield child
            yield from _run_when_loaded(child)


def _ours(root: Path, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    for _, name in _imports_of_ours(node):
        yield name
        if isinstance(node, ast.ImportFrom):
            inner = (f"{name}.{alias.name}" for alias in node.names)
            yield from (one for one in inner if _is_module(root, one))


def _tops(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return {_top(name) for name in names}


def _top(name: str) -> str:
    return name.partition(".")[0]


def _is_module(root: Path, name: str) -> bool:
    if _top(name) not in OURS or "." not in name or not all(part.isidentifier() for part in name.split(".")):
        return False
    path = root.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _file(root: Path, name: str) -> Path:
    path = root.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def written(sources: Mapping[str, Path], root: Path, into: Path) -> None:
    """Write modules into the package `into`, a folder, under their own names; they import one another there."""
    for file in sources.values():
        to = into / file.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(moved(file.read_text(encoding="utf-8"), into.name), encoding="utf-8")
