"""One command a route."""

import typer
from typer.core import TyperGroup

from api.app import create_app
from api.cli import Commands, app
from api.commands.loading import DeferredCommand
from api.commands.routes import COMMANDS, FOR_OTHERS
from nas_service.settings import Settings

# What works here, or with several routes, has none of its own.
HERE = {
    "backup",
    "restore",
    "gc",
    "keys create",
    "keys list",
    "keys revoke",
    "serve",
    "controller",
    "migrate",
    "demo",
    "doctor",
    "evaluate",
    "compile",
    "train-local",
    "export",
    "dataset export",
    "search run",
}
SEVERAL = {"search watch", "training watch", "registration watch"}


def _routes() -> set[str]:
    document = create_app(Settings(controller=False)).openapi()
    return {f"{verb.upper()} {path}" for path, verbs in document["paths"].items() for verb in verbs}


def _options(words: list[str]) -> tuple[str, set[str]]:
    """Return the command that words lead to, and its options."""
    command = typer.main.get_command(app)
    path = []
    for word in words:
        if not isinstance(command, TyperGroup):
            break
        entry = command.commands[word]
        command = entry.loaded if isinstance(entry, DeferredCommand) else entry
        path.append(word)
    assert not isinstance(command, TyperGroup), words
    return " ".join(path), {option for parameter in command.params for option in parameter.opts}


def _commands() -> set[str]:
    found = set[str | None]()
    for entry in Commands.deferred:
        command = entry.loaded
        found |= {f"{entry.name} {name}" for name in command.commands} if isinstance(command, TyperGroup) else {entry.name}
    return {name for name in found if name is not None}


def test_every_route_has_a_command_or_is_for_somebody_else() -> None:
    assert set(COMMANDS) | set(FOR_OTHERS) == _routes()
    assert not set(COMMANDS) & set(FOR_OTHERS)


def test_every_command_that_a_route_is_said_to_have_is_there_with_its_options() -> None:
    for words in COMMANDS.values():
        _, options = _options(words.split())
        assert {word for word in words.split() if word.startswith("--")} <= options, words


def test_every_command_asks_for_a_route_or_works_here() -> None:
    asking = {_options(words.split())[0] for words in COMMANDS.values()}
    assert _commands() == asking | HERE | SEVERAL
