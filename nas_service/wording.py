"""Wording: strings that others chose, such as class names, as text that neither a terminal nor Markdown obeys."""

import re
from collections.abc import Sequence

_MARKS = re.compile(r"[\\`*_\[\]<>|~&$:@]")


def printable(text: str) -> str:
    r"""Return `text` in one line, with escapes such as \n and \x1b for what a terminal would act on or nobody would see."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


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
