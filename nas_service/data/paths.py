"""Paths under the data root. No message names a path that its reader did not give: the root is "the data root"."""

import re
from pathlib import Path, PurePosixPath

from search_spaces.errors import InvalidFieldError

DATA_ROOT = "the data root (NAS_DATA_ROOT)"

_SCHEME = r"(?:\b(?:file|sqlite)[\w+]*:/{2,3}(?=/))"  # of an address that is a path
_ABSOLUTE = re.compile(
    rf"""(?<=['"]){_SCHEME}?/(?!/)[^'"\n]*(?=['"])"""  # in quotes, where it may hold spaces
    rf"""|(?:{_SCHEME}|(?<![^\s'"(\[<>=:,;|]))/(?!/)[^\s'"()\[\]<>,;]+"""
)


def without_paths(text: str) -> str:
    """Return a text in which every absolute path is but its last name; addresses of other machines stay.

    Example:
        >>> without_paths("cannot map '/srv/nas/my data/a.parquet': see https://example.org/help")
        "cannot map 'a.parquet': see https://example.org/help"
    """
    return _ABSOLUTE.sub(lambda found: PurePosixPath(found[0]).name, text)


def reason_of(error: Exception, *paths: Path) -> str:
    """Return what an error says, for people far away: without absolute paths, which are this machine's own, and `paths`."""
    text = str(getattr(error, "strerror", None) or error)
    for path in paths:
        text = text.replace(str(path), path.name)
    return without_paths(text)


def path_inside(data_root: Path, path: str, field: str) -> Path:
    """Return `path` under the data root, whether or not it exists.

    Raises:
        InvalidFieldError: If it leads outside the data root, or no file system can hold it.
    """
    root = data_root.resolve()
    try:
        target = (root / path).resolve()
        target.exists()
    except RuntimeError as error:  # its message has the whole path
        raise InvalidFieldError(field, path, "a path that a file system can hold (a circle of links)") from error
    except (ValueError, OSError) as error:  # a NUL, a name that is too long
        raise InvalidFieldError(field, path, f"a path that a file system can hold ({reason_of(error)})") from error
    if not target.is_relative_to(root):
        raise InvalidFieldError(field, path, f"a path inside {DATA_ROOT}")
    return target


def resolve_path(data_root: Path, path: str, field: str) -> Path:
    """Return `path` under the data root.

    Raises:
        InvalidFieldError: If it leads outside the data root or is not there.
    """
    target = path_inside(data_root, path, field)
    if not target.exists():
        raise InvalidFieldError(field, path, f"a file or folder that exists under {DATA_ROOT}")
    return target
