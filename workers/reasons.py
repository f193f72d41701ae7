"""What the errors of a job say to people far away; the log of the process that met one keeps the rest."""

from nas_service.data.paths import reason_of
from nas_service.errors import NasError
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError, UnknownNameError
from workers.ray_errors import cause_of

_OURS = (NasError, InvalidFieldError, UnknownNameError)


def described(error: Exception) -> str:
    """Return what an error says, without traceback and without absolute paths.

    One of our own is a sentence that was written for its reader. Of any other it is the kind and the first line: what follows
    (of Ray's, of SQLAlchemy's) is where it happened, statements and addresses.
    """
    cause = cause_of(error)
    if isinstance(cause, Exception):
        return described(cause)
    text = "\n".join(map(printable, reason_of(error).strip().split("\n")))  # it may hold names of files
    if isinstance(error, _OURS):
        return text
    kind, first = type(error).__name__, text.partition("\n")[0]
    return f"{kind}: {first}" if first else kind
