"""What the errors of a job say to people far away; the log of the process that met one keeps the rest."""

from ray.exceptions import RayTaskError

from nas_service.data.paths import reason_of
from nas_service.errors import NasError
from search_spaces.errors import InvalidFieldError, UnknownNameError

_OURS = (NasError, InvalidFieldError, UnknownNameError)


def described(error: Exception) -> str:
    """Return what an error says, without traceback and without absolute paths.

    One of our own is a sentence that was written for its reader. Of any other it is the kind and the first line: what follows
    (of Ray's, of SQLAlchemy's) is where it happened, statements and addresses.
    """
    if isinstance(error, RayTaskError) and isinstance(error.cause, Exception):
        return described(error.cause)
    text = reason_of(error).strip()
    if isinstance(error, _OURS):
        return text
    kind, first = type(error).__name__, text.partition("\n")[0]
    return f"{kind}: {first}" if first else kind
