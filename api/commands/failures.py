"""What a command says of bad input and of the world outside, in place of a traceback."""

from pydantic import ValidationError

from nas_service.checking.problems import field_errors
from nas_service.errors import InvalidInputError, NasError
from nas_service.settings import Settings
from search_spaces.errors import BrokenPackageError, InvalidFieldError, UnknownNameError

# Errors of the client are NasErrors.
_EXPECTED = (
    NasError,
    InvalidFieldError,
    UnknownNameError,
    BrokenPackageError,
    OSError,
    FloatingPointError,  # a training that diverged
    UnicodeError,  # words of the command line that are no text
)


def told(error: Exception) -> list[str] | None:
    """Return what to say of an error; None of one that is a fault of this program."""
    if isinstance(error, ValidationError):
        said = []
        for problem in field_errors(error):
            setting = f"NAS_{problem.field.upper()}" if error.title == Settings.__name__ else problem.field
            said.append(f"{setting}: {problem.given!r} is not allowed; allowed: {problem.allowed}")
        return said
    if isinstance(error, InvalidInputError):
        return [str(problem) for problem in error.problems]
    return str(error).split("\n") if isinstance(error, _EXPECTED) else None
