"""Errors of the search spaces; the other floors raise the same kinds where they mean the same thing."""

from collections.abc import Iterable, Sequence
from typing import Any

from search_spaces.wording import one_line


class PortableError(Exception):
    """Base of errors whose constructor takes the parts of a sentence: they cross processes with message and attributes.

    Python makes a pickled exception anew from its class and `args`, the sentence, which is not what such a constructor takes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it from `args` without the constructor, then give it its attributes."""
        return _from_args, (type(self), self.args), self.__dict__


def _from_args(kind: type[PortableError], args: tuple[object, ...]) -> PortableError:
    return kind.__new__(kind, *args)


def _listed(values: Iterable[object]) -> str:
    return ", ".join(str(value) for value in values)


class InvalidFieldError(PortableError, ValueError):
    """A value somebody gave is not allowed.

    Attributes:
        field: Dotted path of the field, as the giver knows it (`strategy.settings.lambda`).
        given: What was given.
        allowed: What would have been accepted, in words.
    """

    def __init__(self, field: str, given: object, allowed: str) -> None:
        """Keep the three parts and join them into one sentence."""
        self.field = field
        self.given = given
        self.allowed = allowed
        shown = repr(given)
        if len(shown) > 120:  # noqa: PLR2004 - a message is for reading; the whole value is in `given`
            shown = shown[:117] + "..."
        super().__init__(one_line(f"{field}: {shown} is not allowed; allowed: {allowed}"))

    def under(self, prefix: str) -> "InvalidFieldError":
        """Return the same complaint with the field's path put under `prefix`."""
        return InvalidFieldError(f"{prefix}.{self.field}" if self.field else prefix, self.given, self.allowed)


class UnknownNameError(PortableError, LookupError):
    """A registry holds nothing under the name asked for."""

    def __init__(self, kind: str, name: str, near: Sequence[str], known: Sequence[str]) -> None:
        """Keep what was asked and what is known; near matches come first in the message."""
        self.kind = kind
        self.name = name
        self.near = tuple(near)
        self.known = tuple(known)
        super().__init__(f"unknown {kind} {name!r}; {self.allowed}")

    @property
    def allowed(self) -> str:
        """What may be given instead, near matches first."""
        known = f"one of: {_listed(self.known)}" if self.known else "none is registered"
        return f"did you mean {_listed(self.near)}? {known}" if self.near else known


class DuplicateNameError(PortableError, ValueError):
    """Two entries of a registry ask for one name."""

    def __init__(self, kind: str, name: str, first: str, second: str) -> None:
        """Name both places."""
        super().__init__(f"{kind} {name!r} is registered twice: in {first} and in {second}")


class BrokenPackageError(PortableError, ImportError):
    """An installed package promises an entry of a registry, and does not give it."""

    def __init__(self, kind: str, name: str, package: str, why: str) -> None:
        """Say who promised what, and why it is not there."""
        super().__init__(
            f"{kind} {name!r} of the installed package {package} cannot be loaded: {one_line(why)}; mend or remove it"
        )
