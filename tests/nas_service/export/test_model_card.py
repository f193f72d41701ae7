"""Model cards: what they say of classes, whatever those are called."""

from collections.abc import Sequence
from typing import Any

import pytest
from markdown_it import MarkdownIt

from nas_service.binarization.method import METHODS
from nas_service.export.model_card import candidate_card
from nas_service.reports import CandidateMetrics, ClassFigures
from nas_service.wording import printable
from tests.reports import class_figures, epoch_report, even

COST = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
C = {
    "written": True,
    "verified": True,
    "arena_bytes": 4096,
    "constant_bytes": 1234,
    "selftest_images": 8,
    "images": 1259,
    "other_class": 0,
    "tolerance": 1e-5,
    "compiler": "gcc (Debian) 12",
    "builds": [{"flags": "-O1", "instructions": "scalar C"}, {"flags": "-O3", "instructions": "AVX2"}],
}
ONNX = {"written": True, "verified": True, "images": 1259, "other_class": 0, "tolerance": 1e-5, "runtime": "onnxruntime 1"}
NASTY = ("a|b", "`code`", "<b>x</b>", "[x](http://y)", "*star* _under_", "two\nlines\n\n# heading", "\x1b[31mred", "\udcff", "\\")


def _card(test: ClassFigures, settings: dict[str, Any] | None = None, **more: object) -> str:
    known = CandidateMetrics.of(epoch_report(), even(900), test, None)
    manifest = {
        "space": {"name": "tiny"},
        "method": {"name": "bnn", "settings": {}},
        "dataset": {"name": "parquet", "settings": settings or {}},
        "class_names": list(test.names),
        "image": {"channels": 1, "height": 8, "width": 8, "classes": len(test.names), "mean": [0.5], "std": [0.25]},
        "preparation": "white on black",
        "seed": 0,
        "search": {},
        "recipe": {},
        "metrics": known.model_dump(mode="json", exclude_none=True),
        "cost": COST,
        "c": C,
        "onnx": ONNX,
        "qonnx": {"written": True, "verified": False, "reason": "run in tests"},
        "rounding": {
            "validation": {"images": 900, "above_tolerance": 2, "other_class": 0},
            "test": {"images": 359, "above_tolerance": 1, "other_class": 1},
        },
        **more,
    }
    return candidate_card(manifest, has_test_images=True)


@pytest.mark.parametrize("method", METHODS.names())
def test_a_card_says_what_its_method_makes_of_weights_and_activations(method: str) -> None:
    """Not all have -1 and +1 on both sides."""
    card = _card(class_figures(_names(2), [[9, 1], [0, 10]]), method={"name": method, "settings": {}})
    assert METHODS.get(method).summary in card
    assert "are -1 or +1" not in card


@pytest.mark.parametrize(
    ("space", "words"),
    [("tiny", "found in the search space `tiny`"), ("resnet-20", "`resnet-20` of the literature, made by hand")],
)
def test_a_card_says_whether_a_search_found_it(space: str, words: str) -> None:
    named = {"name": space, "settings": {"template": "double-norm"}}
    card = _card(class_figures(_names(2), [[9, 1], [0, 10]]), space=named)
    assert words in card
    assert "in the template `double-norm`" in card


def test_a_card_says_how_many_images_the_frozen_network_takes_otherwise() -> None:
    words = " ".join(_card(class_figures(_names(2), [[9, 1], [0, 10]])).split())
    assert "of the 1259 validation and test images, 3 have logits that differ" in words
    assert "where a sign flipped, and 1 another class." in words


def _words(card: str) -> str:
    return " ".join(card.split())


def test_a_card_says_what_its_c_takes_and_how_it_was_verified() -> None:
    figures = class_figures(_names(2), [[9, 1], [0, 10]])
    flash = {"flash_bytes": 2345, "flash_with_checksum_bytes": 2400, "flash_of": "arm-none-eabi-gcc -Os"}
    words = _words(_card(figures, c={**C, **flash}))
    assert "| flash | 2,345 bytes: 1,234 of constants, the rest code (`arm-none-eabi-gcc -Os`); 2,400 of an object, with" in words
    assert "| RAM | 4,096 bytes" in words
    assert "| for one image | 64 binary and 1 other multiply-accumulates |" in words
    assert "**Verified when it was made** on 1,259 of 1,259 validation and test images: compiled by `gcc (Debian) 12`" in words
    assert "`-O1` (scalar C) and `-O3` (AVX2), the same bits of every logit" in words
    assert "| flash | 1,234 bytes of constants, and some 12,000 of code" in _words(_card(figures))


def test_a_card_says_that_its_c_was_not_verified_or_cannot_be() -> None:
    figures = class_figures(_names(2), [[9, 1], [0, 10]])
    card = _card(figures, c={**C, "verified": False, "reason": "no compiler"})
    assert "**Not verified**: no compiler. `make -C c selftest` verifies 8 images." in card
    card = _card(figures, c={"written": False, "reason": "a layer has no form"})
    assert "This network cannot be written as C: a layer has no form." in card
    assert "make -C c" not in card


def test_a_card_says_how_its_onnx_was_verified_or_why_not() -> None:
    figures = class_figures(_names(2), [[9, 1], [0, 10]])
    alike = "logits within 1e-05 of the frozen network's, of the largest or of 1, and its class on"
    assert f"on 1,259 of 1,259 validation and test images in onnxruntime 1: {alike} every image." in _card(figures)
    card = _card(figures, onnx={**ONNX, "images": 1200, "other_class": 2})
    assert f"on 1,200 of 1,259 validation and test images in onnxruntime 1: {alike} all but 2 images whose two best" in card
    assert "**Not verified**: no runtime." in _card(figures, onnx={"written": True, "verified": False, "reason": "no runtime"})
    words = "This network cannot be written as ONNX: a layer has no form."
    assert words in _card(figures, onnx={"written": False, "reason": "a layer has no form"})


def _names(count: int) -> list[str]:
    return [f"class {place}" for place in range(count)]


def _diagonal(rights: Sequence[int]) -> list[list[int]]:
    """Return a matrix of 10 images a class, of which so many are right and the others are taken for the next class."""
    rows = [[0] * len(rights) for _ in rights]
    for place, right in enumerate(rights):
        rows[place][place] = right
        rows[place][(place + 1) % len(rights)] += 10 - right
    return rows


def _table(card: str, heading: str) -> list[list[str]]:
    """Return the cells that a Markdown reader finds in the table with such a heading."""
    _, _, body = card.split("---\n", 2)  # behind its head of YAML
    tokens = MarkdownIt("commonmark").enable("table").parse(body)
    tables: list[list[list[str]]] = []
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and token.level > 2:
            tables[-1][-1].append("".join(child.content for child in token.children or []))
    (found,) = [table for table in tables if heading in table[0]]
    return found


def test_a_table_says_how_each_class_does_and_what_it_is_confused_with() -> None:
    card = _card(class_figures(("common", "rare", "third"), [[200, 0, 0], [1, 0, 0], [0, 2, 2]]))
    assert _table(card, "class")[1:] == [
        ["common", "200", "1.0000", "-"],
        ["rare", "1", "0.0000", "common (1)"],
        ["third", "4", "0.5000", "rare (2)"],
    ]
    assert _table(card, "balanced accuracy")[2] == ["test", f"{202 / 205:.4f}", "0.5000", "205"]
    assert "3 of 3 have test images" in card
    assert "nothing is known" not in card


def test_classes_without_test_images_are_named() -> None:
    card = _card(class_figures(("cat", "dog", "eel"), [[2, 0, 0], [0, 0, 0], [0, 0, 0]]))
    assert "nothing is known of dog, eel." in card
    assert "1 of 3 have test images" in card
    assert _table(card, "class")[2] == ["dog", "0", "-", "-"]


def test_of_many_classes_the_worst_twenty_are_shown() -> None:
    """Of 30 classes the last twenty get 0, 1, ... of 10 right: the first ten, all right, are left out."""
    rights = [10] * 10 + [place % 10 for place in range(20)]
    card = _card(class_figures(_names(30), _diagonal(rights)))
    rows = _table(card, "class")[1:]
    assert len(rows) == 20
    assert [row[2] for row in rows] == [f"{place / 10:.4f}" for place in range(10) for _ in range(2)]
    assert [row[0] for row in rows[:2]] == ["class 10", "class 20"]
    assert "The 20 of 30 classes with the lowest accuracy; `manifest.json` has all, with the confusion matrix." in card


def test_of_more_than_a_hundred_classes_the_card_says_why_there_is_no_matrix() -> None:
    rights = [5] * 100 + [0] * 10
    matrix = _diagonal(rights)
    matrix[105:] = [[0] * 110 for _ in range(5)]
    card = _card(class_figures(_names(110), matrix))
    assert "no confusion matrix is kept of more than 100" in card
    assert [row[0] for row in _table(card, "class")[1:6]] == [f"class {place}" for place in range(100, 105)]
    assert "nothing is known of class 105, class 106, class 107, class 108, class 109." in card


@pytest.mark.parametrize("name", NASTY, ids=ascii)
def test_a_class_may_be_called_anything(name: str) -> None:
    """What a reader shows is the name with escapes for what is invisible; no table breaks, and no heading is added."""
    card = _card(class_figures(("cat", name), [[3, 1], [0, 0]]), {"classes": ["cat", name]})
    card.encode()
    assert all(sign.isprintable() or sign == "\n" for sign in card)
    assert _table(card, "class")[1:] == [["cat", "4", "0.7500", f"{printable(name)} (1)"], [printable(name), "0", "-", "-"]]
    plain = _card(class_figures(("cat", "dog"), [[3, 1], [0, 0]]), {"classes": ["cat", "dog"]})
    kinds = [[token.type for token in MarkdownIt("commonmark").enable("table").parse(text)] for text in (card, plain)]
    assert kinds[0] == kinds[1]
    shown = "".join(
        child.content for token in MarkdownIt("commonmark").parse(card) for child in token.children or [] if child.type == "text"
    )
    assert f"2 classes: cat, {printable(name)}." in shown
    assert f"nothing is known of {printable(name)}." in shown
