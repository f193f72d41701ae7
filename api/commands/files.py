"""Files that commands write."""

from pathlib import Path

from search_spaces.errors import InvalidFieldError


def require_writable(option: str, path: Path) -> None:
    """Open a file that will be written, so that one that cannot be is told before any work is done; nothing is changed.

    Args:
        option: That named it, as the user knows it.
        path: The file.

    Raises:
        InvalidFieldError: If it cannot be written.
    """
    try:
        place = path.resolve()  # where a link leads
        was_there = place.exists()
        place.open("ab").close()
    except OSError as error:
        raise InvalidFieldError(option, str(path), f"a file that can be written ({error.strerror})") from error
    if not was_there:
        place.unlink()
