"""Paths under the data root. No message names a path that its reader did not give: the root is "the data root"."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

from search_spaces.errors import InvalidFieldError

DATA_ROOT = "the data root (NAS_DATA_ROOT)"

_UNSEEN = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of pairs (bytes that are no UTF-8), line and paragraph ends
_DIRECTIONS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # they show a text in another order

_SCHEME = r"(?:\b(?:file|sqlite)[\w+]*:/{2,3}(?=/))"  # of an address that is a path
_ABSOLUTE = re.compile(
    rf"""(?<=['"]){_SCHEME}?/(?!/)[^'"\n]*(?=['"])"""  # in quotes, where it may hold spaces
    rf"""|(?:{_SCHEME}|(?<![\w./~-]))/(?!/)[^\s'"()\[\]<>,;]+"""
)


def without_paths(text: str) -> str:
    """Return a text in which every absolute path is but its last name; addresses of other machines stay.

    Example:
        >>> without_paths("cannot map '/srv/nas/my data/a.parquet': see https://example.org/help")
        "cannot map 'a.parquet': see https://example.org/help"
    """
    return _ABSOLUTE.sub(lambda found: PurePosixPath(found[0]).name, text)


def shown(name: str) -> str:
    r"""Return a name from a disk as it can be shown and stored: what is no text, or would steer a terminal, is escaped.

    Example:
        >>> shown("caf\udce9 \x1b[31m.png")
        'caf\\xe9 \\x1b[31m.png'
    """
    return "".join(letter if _is_plain(letter) else _escaped(letter) for letter in name)


def is_text(name: str) -> bool:
    """Whether a name is text that can be shown as it is: no control characters, and no bytes outside UTF-8."""
    return all(map(_is_plain, name))


def _is_plain(letter: str) -> bool:
    return unicodedata.category(letter) not in _UNSEEN and letter not in _DIRECTIONS


def _escaped(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - a byte that is no UTF-8, as Python holds it in a file's name
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - Latin-1


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
