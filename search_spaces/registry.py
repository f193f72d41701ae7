"""The one registry class: operations, templates, spaces, methods, strategies and datasets all live in one of these."""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from search_spaces.errors import DuplicateNameError, InvalidFieldError, UnknownNameError

Entry = TypeVar("Entry")
Registered = TypeVar("Registered")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def near_matches(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that look like `name`, the nearest first."""
    return difflib.get_close_matches(name, known, n=3, cutoff=0.5)


class Registry(Generic[Entry]):
    """Entries by name, found by importing every module of one package.

    A file dropped into the package is an entry: nothing else has to be edited. The package is imported on the first
    look-up, so declaring a registry costs nothing.

    Example:
        >>> from search_spaces.space import SPACES
        >>> "tiny" in SPACES.names()
        True
    """

    def __init__(self, kind: str, package: str) -> None:
        """Declare a registry.

        Args:
            kind: What an entry is called in messages, in the singular (`operation`).
            package: Dotted name of the package whose modules register the entries.
        """
        self.kind = kind
        self._package = package
        self._entries: dict[str, Entry] = {}
        self._origins: dict[str, str] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """Return a decorator that files its argument under `name`.

        Raises:
            InvalidFieldError: If the name is not lower-case words joined by hyphens.
            DuplicateNameError: If the name is taken.
        """
        if not _NAME.fullmatch(name):
            raise InvalidFieldError(f"{self.kind} name", name, "lower-case words and digits joined by hyphens")

        def file(entry: Registered) -> Registered:
            origin = str(getattr(entry, "__module__", "unknown"))
            if name in self._entries:
                raise DuplicateNameError(self.kind, name, self._origins[name], origin)
            self._entries[name] = entry  # type: ignore[assignment]  # the decorator must hand back its argument's own type
            self._origins[name] = origin
            return entry

        return file

    def get(self, name: str) -> Entry:
        """Return the entry called `name`.

        Raises:
            UnknownNameError: If there is none; the message lists near matches.
        """
        self._discover()
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, near_matches(name, self._entries), self.names())
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return every name, sorted."""
        self._discover()
        return tuple(sorted(self._entries))

    def _discover(self) -> None:
        if self._discovered:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._discovered = True
