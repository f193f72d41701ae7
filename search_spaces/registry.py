"""The one registry class: operations, templates, spaces, methods, strategies and datasets all live in one of these.

Entries are files of a folder here, and what other installed packages name as entry points: nothing that a request says is ever
imported.
"""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from search_spaces.errors import BrokenPackageError, DuplicateNameError, InvalidFieldError, UnknownNameError

Entry = TypeVar("Entry")
Registered = TypeVar("Registered")

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def near_matches(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names that look like `name`, the nearest first."""
    return difflib.get_close_matches(name, known, n=3, cutoff=0.5)


class Registry(Generic[Entry]):
    """Entries by name, found by importing every module of one package, and what installed packages promise beside it.

    A file dropped into the package is an entry: nothing else has to be edited. Who cannot, or does not want to, installs a
    package of his own with an entry point in `group`: its name is the entry's, its object the module that registers it. All of
    them are imported on the first look-up, so declaring a registry costs nothing.

    Attributes:
        kind: What an entry is called in messages.
        group: Of entry points, such as `nas_service.methods`.

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
        self.group = f"nas_service.{package.rpartition('.')[2]}"
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
            BrokenPackageError: If an installed package does not give what it promises.
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
        for promised in entry_points(group=self.group):
            self._load(promised)
        self._discovered = True

    def _load(self, promised: EntryPoint) -> None:
        """Import what another package promises.

        Raises:
            BrokenPackageError: If that fails, or registers nothing of that name.
        """
        try:
            promised.load()
        except Exception as error:
            raise self._broken(promised, f"{type(error).__name__}: {error}") from error
        if promised.name not in self._entries:
            raise self._broken(promised, f"{promised.value} registers no {self.kind} of that name")

    def _broken(self, promised: EntryPoint, why: str) -> BrokenPackageError:
        package = "unknown" if promised.dist is None else promised.dist.name
        return BrokenPackageError(self.kind, promised.name, package, why)
