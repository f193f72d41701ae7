"""Commands whose code is loaded when they are called: help, completion and a misspelt word cost next to nothing."""

from functools import cached_property
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


class DeferredCommand(TyperCommand):
    """A command, or a group of them, of which name and summary are known."""

    def __init__(self, name: str, place: str, summary: str) -> None:
        """Name what is in a module of `api.commands`.

        Args:
            name: As it is called.
            place: `module:attribute`, a function or a `typer.Typer`.
            summary: The first sentence of its help.
        """
        super().__init__(name, help=summary)
        self._place = place

    @cached_property
    def loaded(self) -> TyperCommand | TyperGroup:
        """The command itself."""
        module, _, attribute = self._place.partition(":")
        found = getattr(import_module(f"api.commands.{module}"), attribute)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command(self.name)(found)
            command = typer.main.get_command(alone)
        command.name = self.name
        return command  # type: ignore[no-any-return]  # typer's own two kinds

    def make_context(self, *words: Any, **options: Any) -> Any:  # noqa: ANN401 - typer's own types
        """Load the command, and let it read its words; whatever comes after asks the context for it."""
        return self.loaded.make_context(*words, **options)


class DeferringGroup(TyperGroup):
    """The program: its commands are all deferred."""

    deferred: tuple[DeferredCommand, ...] = ()

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - typer's own settings
        """Take the commands of the class."""
        super().__init__(**settings)
        for command in self.deferred:
            self.add_command(command)
