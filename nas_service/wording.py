"""Wording: strings that others chose, such as class names, as text that neither a terminal nor Markdown obeys."""

import re
import unicodedata
from collections.abc import Sequence

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control and format characters, halves of pairs, ends of lines and paragraphs
_JOINERS = "\u200c\u200d"  # in words and in emoji
_MARKS = re.compile(r"[\\`*_\[\]<>|~&$:@]")


def printable(text: str) -> str:
    r"""Return `text` in one line, with escapes such as \n and \x1b for what a terminal would act on or nobody would see.

    Bytes that are no UTF-8, which Python holds in names of files as halves of pairs, are shown as bytes: \xe9.
    """
    return "".join(sign if _is_seen(sign) else _escaped(sign) for sign in text)


def is_text(text: str) -> bool:
    """Whether `printable` would escape nothing of it."""
    return all(map(_is_seen, text))


def _is_seen(sign: str) -> bool:
    return unicodedata.category(sign) not in _UNSEEN or sign in _JOINERS


def _escaped(sign: str) -> str:
    byte = ord(sign) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else sign.encode("unicode_escape").decode()  # noqa: PLR2004 - no ASCII


def markdown(text: str) -> str:
    """Return Markdown that shows `printable(text)`, inside a sentence or a cell of a table."""
    return _MARKS.sub(r"\\\g<0>", printable(text))


def code_span(text: str) -> str:
    """Return Markdown that shows `printable(text)` as code inside a sentence."""
    shown = printable(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    return f"{fence} {shown} {fence}" if "`" in shown else f"{fence}{shown}{fence}"


def listed(words: Sequence[str], most: int) -> str:
    """Return the first `most` words joined by commas, and how many there are besides."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
