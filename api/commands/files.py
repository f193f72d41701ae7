"""Files that commands write."""

from collections.abc import Callable
from pathlib import Path

from api.console import print_json, say
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


def write_drawing(output: Path | None, what: str, find: Callable[[], str], draw: Callable[[str], str], *, as_json: bool) -> None:
    """Write a picture, and print where it is.

    Args:
        output: File; None: WHAT-ID.svg, here.
        what: Is drawn.
        find: Says the id of it.
        draw: Returns the SVG of that id.
        as_json: Whether JSON is printed.

    Raises:
        InvalidFieldError: If the file cannot be written; nobody was asked then.
    """
    if output is not None:
        require_writable("--output", output)
    found = find()
    path = output or Path(f"{what}-{found}.svg")
    path.write_text(draw(found), encoding="utf-8")
    if as_json:
        print_json({"path": str(path), "size_bytes": path.stat().st_size})
    else:
        say(str(path))
