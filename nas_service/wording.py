"""Wording: strings that others chose, such as class names, as text that neither a terminal nor Markdown obeys."""

import re
from collections.abc import Sequence

from search_spaces.wording import is_text, printable

__all__ = ["code_span", "is_text", "listed", "markdown", "named", "percent", "printable"]

_FEW = 3  # words in a sentence
_MARKS = re.compile(r"[\\`*_\[\]<>|~&$:@]")


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


def named(words: Sequence[str]) -> str:
    """Return the first few words joined by commas, and how many there are besides: for a sentence."""
    return listed(words, _FEW)


def percent(share: float | None) -> str:
    """Return a share in [0, 1] as per cent."""
    return "-" if share is None else f"{100 * share:.2f} %"
