"""Names that others chose, as a terminal and a real Markdown reader show them."""

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt
from markdown_it.token import Token

from nas_service.wording import code_span, listed, markdown, printable
from tests.search_spaces.test_wording import INVISIBLE

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKUP = [
    "a|b",
    "`",
    "``x`",
    "<script>",
    "[x](y)",
    "![x](y)",
    "[x]: y",
    "*a*",
    "__b__",
    "~~c~~",
    "&lt;",
    "\\",
    "\\|",
    "<http://x>",
]


def _row(cell: str) -> list[list[Token]]:
    """Return what a reader makes of the cells of a row that begins with `cell`."""
    tokens = READER.parse(f"| a | b |\n|---|---|\n| {cell} | end |\n")
    return [token.children or [] for token in tokens if token.type == "inline"][2:]


@pytest.mark.parametrize("name", MARKUP + INVISIBLE, ids=ascii)
def test_a_name_in_a_cell_of_a_table_is_shown_and_not_obeyed(name: str) -> None:
    first, second = _row(markdown(f"x{name}x"))
    assert [(token.type, token.content) for token in first] == [("text", f"x{printable(name)}x")]
    assert [token.content for token in second] == ["end"]


@given(some.text(min_size=1))
def test_so_is_any_text(name: str) -> None:
    first, second = _row(markdown(f"x{name}x"))
    assert [(token.type, token.content) for token in first] == [("text", f"x{printable(name)}x")]
    assert [token.content for token in second] == ["end"]


@given(some.text(some.sampled_from("`ab \n|*"), min_size=1))
def test_a_code_span_shows_any_text(text: str) -> None:
    (paragraph,) = [token for token in READER.parse(f"see {code_span(f'x{text}x')} there") if token.type == "inline"]
    assert [token.content for token in paragraph.children or []] == ["see ", f"x{printable(text)}x", " there"]


def test_names_in_any_script_stay_as_they_are() -> None:
    for name in ("می‌خواهم", "👩‍🔬", "cat", "größer als", "猫 と 犬", "ice-cream (cold), no. 1"):
        assert markdown(name) == printable(name) == name


def test_of_many_words_the_first_are_listed() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
