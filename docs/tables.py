"""The tables of the documentation, written from the registries, routes and settings: `python -m docs.tables` (`make docs`)."""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from api.app import create_app
from api.commands.routes import COMMANDS, FOR_OTHERS
from nas_service.binarization.method import METHODS, Method
from nas_service.data.dataset import DATASETS
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.settings import Settings
from search_spaces.operation import OPERATIONS
from search_spaces.registry import Registry
from search_spaces.space import SPACES, SearchSpace
from search_spaces.template import TEMPLATES

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"


def _table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _cited(entry: type[Method]) -> str:
    return f"{entry.summary} ({entry.reference})"


def _strategy(entry: type[Strategy]) -> str:
    return f"{entry.summary}; {entry.reference}; [figures](../{entry.figures})"


def _space(space: SearchSpace) -> str:
    size = f"{space.cells} cells, the first with {space.channels} channels"
    return f"{space.summary} Without settings: {size}, template `{space.template}`."


def catalogue() -> str:
    """Return everything that can be named in a spec."""
    shelves: list[tuple[str, Registry[Any], Callable[[Any], str]]] = [
        ("search space", SPACES, _space),
        ("operation", OPERATIONS, lambda entry: str(entry.summary)),
        ("template", TEMPLATES, lambda entry: str(entry.summary)),
        ("strategy", STRATEGIES, _strategy),
        ("method", METHODS, _cited),
        ("dataset", DATASETS, lambda entry: str(entry.summary)),
    ]
    rows = [
        (kind, f"`{name}`", describe(registry.get(name))) for kind, registry, describe in shelves for name in registry.names()
    ]
    return _table(("kind", "name", "what it is"), rows)


def inert() -> str:
    """Return what hardly acts in the default configuration of every method."""
    rows = [
        (f"`{name}`", entry.name, " and ".join(optimizer.value for optimizer in entry.optimizers), entry.why)
        for name in METHODS.names()
        for entry in METHODS.get(name).inert
    ]
    return _table(("method", "term or parameter", "with", "why"), rows)


def routes() -> str:
    """Return every route with its summary."""
    document = create_app(Settings(controller=False)).openapi()
    rows = [
        (f"`{verb.upper()} {path}`", operation["summary"])
        for path, verbs in document["paths"].items()
        for verb, operation in verbs.items()
    ]
    return _table(("route", "what it does"), rows)


def settings() -> str:
    """Return every setting of an installation."""
    rows = []
    for name, field in Settings.model_fields.items():
        variable = name.upper() if name.startswith("ray_auth_") else f"NAS_{name.upper()}"
        default = "" if field.default is None or name == "ray_auth_token" else f"`{field.default}`" if str(field.default) else ""
        rows.append((f"`{variable}`", default, field.description or ""))
    return _table(("variable", "default", "meaning"), rows)


def commands() -> str:
    """Return every command that asks a service, with the routes that it asks for; routes for others come last."""
    asked: dict[str, list[str]] = {}
    for route, command in COMMANDS.items():
        asked.setdefault(command, []).append(f"`{route}`")
    rows = [(f"`nas {command}`", ", ".join(routes)) for command, routes in asked.items()]
    return _table(("command", "route"), [*rows, *((f"none: for {whom}", f"`{route}`") for route, whom in FOR_OTHERS.items())])


def example(name: str) -> str:
    """Return a script of `examples/`, for reading: a guide that runs it says so beside it."""
    return f"```py\n{(README.parent / 'examples' / f'{name}.py').read_text().rstrip()}\n```"


BLOCKS: dict[str, tuple[Path, Callable[[], str]]] = {
    "catalogue": (DOCS / "catalogue.md", catalogue),
    "inert": (DOCS / "catalogue.md", inert),
    "commands": (DOCS / "commands.md", commands),
    "routes": (DOCS / "rest.md", routes),
    "settings": (DOCS / "operating.md", settings),
    **{
        name: (DOCS / "guides" / f"{name.replace('_', '-')}.md", partial(example, name))
        for name in ("own_method", "own_operation", "own_data", "own_strategy")
    },
}


def rewritten(name: str) -> str:
    """Return the page that holds a generated block, with the block as it should be.

    Raises:
        ValueError: If the block's marks are missing.
    """
    page, make = BLOCKS[name]
    text = page.read_text()
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{page.name} has no block {name}")
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{make()}\n\n{end}{tail}"


def main() -> None:
    """Write the blocks anew, or with --check only say whether they are right."""
    for name, (page, _) in BLOCKS.items():
        wanted = rewritten(name)
        if "--check" not in sys.argv:
            page.write_text(wanted)
        elif page.read_text() != wanted:
            sys.exit(f"{page.name} is out of date: run `make docs`")


if __name__ == "__main__":
    main()
