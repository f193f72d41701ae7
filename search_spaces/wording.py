"""Wording: strings that others chose, such as class names, as text that no terminal obeys."""

import unicodedata

_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control and format characters, halves of pairs, ends of lines and paragraphs
_JOINERS = "\u200c\u200d"  # in words and in emoji


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


def one_line(text: str) -> str:
    """Return a text of many lines, such as another library's message, as `printable` shows it, with spaces between the lines."""
    lines = (line.strip(" \t\r") for line in text.split("\n"))
    return printable(" ".join(line for line in lines if line))
