"""Domain errors. They know nothing of HTTP: `api/errors.py` holds the one table that maps them."""

from collections.abc import Sequence

from search_spaces.errors import InvalidFieldError, PortableError
from search_spaces.wording import one_line

_LONGEST = 500  # letters of a message


class NasError(PortableError):
    """Base of the service's own errors."""


class InvalidInputError(NasError, ValueError):
    """One or more fields of what a user gave are not allowed.

    Attributes:
        problems: Every complaint, in the order of the fields.
    """

    def __init__(self, problems: Sequence[InvalidFieldError]) -> None:
        """Join the complaints into one message."""
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


class NotFoundError(NasError, LookupError):
    """There is no such thing."""

    def __init__(self, kind: str, identifier: str, instead: str | None = None) -> None:
        """Name what was looked for, and of what kind the thing of that name is, if there is one."""
        self.kind = kind
        self.identifier = identifier
        super().__init__(f"there is no {kind} {identifier!r}" + (f": it is a {instead}" if instead else ""))


class ConflictError(NasError):
    """The thing is there, but not in a state that allows what was asked."""


class LateResultError(NasError):
    """A driver whose attempt is over tried to commit; nothing was written."""


class CannotFreezeError(NasError):
    """A layer has no exact deployed form."""


class ExportError(NasError):
    """A bundle could not be made, or is not what its manifest says.

    What it says may come out of somebody else's file: it is one line, and not a long one.
    """

    def __init__(self, message: str) -> None:
        """Keep the message, made one line and cut short."""
        shown = one_line(message)
        super().__init__(shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 3]}...")


class BrokenFileError(NasError):
    """A file in the artifact store is lost, or not what was written."""


class NotReadyError(NasError):
    """Something the service needs is missing; the message says what to do."""


class UnavailableError(NasError):
    """Something that the service stands on is away for a moment; the same request, or another attempt, may succeed later."""


class BusyError(NasError):
    """As many of something are at work as the service allows; the same request may succeed later."""


class TooManyAtOnceError(NasError):
    """Somebody asks for more at once than is allowed; fewer may be had at any time."""


class LimitReachedError(NasError):
    """Somebody has as much as the service allows; the message names the limit, what was asked for and what is there."""


class DatabaseAwayError(UnavailableError):
    """The database cannot be reached, or cannot be written now: locked, full, read-only, too slow, out of connections."""


class StoreAwayError(UnavailableError, OSError):
    """The artifact store cannot be reached, or cannot be written now. An OSError too: to a driver it is one like any other."""


class DeliveryError(UnavailableError, OSError):
    """A node did not get the images that a job learns; another attempt may. An OSError too, as `StoreAwayError` is."""
