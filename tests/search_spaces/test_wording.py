"""Names that others chose, as a terminal shows them, alone and in messages."""

import os

import pytest

from nas_service.errors import ExportError
from search_spaces.errors import InvalidFieldError
from search_spaces.wording import is_text, one_line, printable

INVISIBLE = ["a\nb", "a\r\n\nb", "\x1b[31m", "\x00", "\x07", "\u2028", "\u202etxt", "\u200b", "\ud83d", "\x9b2J"]
SEEN = ["می‌خواهم", "👩‍🔬", "größer als", "猫　犬", "1 000", "\ue000"]


@pytest.mark.parametrize("name", INVISIBLE, ids=ascii)
def test_what_a_terminal_would_act_on_is_escaped(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == name
    assert printable(shown) == shown
    assert (is_text(name), is_text(shown)) == (False, True)


def test_bytes_that_are_no_text_are_shown_as_bytes() -> None:
    assert printable(os.fsdecode(b"caf\xe9.png")) == r"caf\xe9.png"


def test_a_text_of_many_lines_becomes_one_line() -> None:
    assert one_line("shapes differ:\n\t2 and 3\r\n  \x1b[31m end\n") == r"shapes differ: 2 and 3 \x1b[31m end"


@pytest.mark.parametrize("name", [*INVISIBLE, *SEEN], ids=ascii)
def test_messages_show_names_as_everything_else_does(name: str) -> None:
    shown = one_line(f"x{name}x")
    assert is_text(shown)
    assert "\n" in name or shown == printable(f"x{name}x")
    assert str(InvalidFieldError("field", 1, f"x{name}x")) == f"field: 1 is not allowed; allowed: {shown}"
    assert str(ExportError(f"x{name}x")) == shown
