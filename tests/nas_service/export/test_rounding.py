"""How many images the frozen network may take otherwise than the trained one."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_service.data.part import Images, Part
from nas_service.errors import ExportError
from nas_service.export.bundle import LOGIT_TOLERANCE, Rounding, _score
from nas_service.reports import no_beat

NAMES = ("a", "b")
BLANK = [1.0, 0.0]


class _Table(nn.Module):
    """Gives an image whose pixel is k the logits in row k."""

    def __init__(self, rows: dict[int, list[float]]) -> None:
        super().__init__()
        self.rows = torch.tensor([rows.get(place, BLANK) for place in range(256)])

    def forward(self, images: Tensor) -> Tensor:
        return self.rows[(images[:, 0, 0, 0] * 255).round().to(torch.int64)]


def _compare(changed: dict[int, list[float]], count: int = 200, of_b: frozenset[int] = frozenset()) -> Rounding:
    store = np.arange(count, dtype=np.uint8).reshape(count, 1, 1, 1)
    part = Part(store, np.array([int(place in of_b) for place in range(count)]))
    shown: list[int] = []

    def seen(_: str, start: int, images: Images, logits: Tensor) -> None:
        assert (start, len(images)) == (0, len(logits))
        shown.append(len(images))

    figures, rounding = _score((_Table({}), _Table(changed)), ("test", part), NAMES, seen, no_beat)
    assert list(figures.images) == [count - len(of_b), len(of_b)]
    assert shown == [count]
    return rounding


def test_what_is_within_the_tolerance_is_not_counted() -> None:
    assert _compare({3: [1.0, LOGIT_TOLERANCE / 2]}) == Rounding(200, 0, 0)


def test_logits_and_classes_that_differ_are_counted() -> None:
    near = 0.75 * LOGIT_TOLERANCE  # another class, though every logit is within the tolerance
    changed = {3: [1.0, 2 * LOGIT_TOLERANCE], 5: [0.0, 1.0]}
    assert _compare(changed) == Rounding(200, 2, 1)
    store = np.zeros((1, 1, 1, 1), np.uint8)
    tables = _Table({0: [near, 0.0]}), _Table({0: [0.0, near]})
    part = Part(store, np.zeros(1, np.int64))
    _, rounding = _score(tables, ("test", part), NAMES, lambda *_: None, no_beat)
    assert rounding == Rounding(1, 0, 1)


@pytest.mark.parametrize(("count", "allowed"), [(200, 40), (9, 1), (4, 1), (1, 1)])
def test_one_image_in_five_may_differ_and_at_least_one(count: int, allowed: int) -> None:
    assert _compare({place: [1.0, 0.5] for place in range(allowed)}, count) == Rounding(count, allowed, 0)


@pytest.mark.parametrize(("count", "allowed"), [(200, 4), (99, 1), (49, 1), (1, 1)])
def test_one_image_in_fifty_may_get_another_class_and_at_least_one(count: int, allowed: int) -> None:
    changed = {place: [0.0, 1.0] for place in range(allowed)}
    assert _compare(changed, count, frozenset(range(allowed // 2))) == Rounding(count, allowed, allowed)


def test_a_network_that_is_right_on_fewer_images_by_one_in_a_hundred_is_refused() -> None:
    """Of 200 images: 2, while other classes may be 4; classes that were wrong and became right are set against it."""
    changed = {place: [0.0, 1.0] for place in range(7, 11)}
    assert _compare(changed, 200, frozenset({7})) == Rounding(200, 4, 4)
    words = r"right on 4 of 200 images fewer than the trained one: its logits of test image 7 are \[0.0, 1.0\] instead of"
    with pytest.raises(ExportError, match=words):
        _compare(changed)
    del changed[10]
    with pytest.raises(ExportError, match="right on 3 of 200 images fewer"):
        _compare(changed)
    del changed[9]
    assert _compare(changed) == Rounding(200, 2, 2)


@pytest.mark.parametrize(
    ("differing", "row", "counts"),
    [
        (41, [1.0, 0.5], "on 41 of 200 images by more than rounding and on 0 in the class"),
        (5, [0.0, 1.0], "on 5 of 200 images by more than rounding and on 5 in the class"),
        (41, [float("nan"), 0.0], "on 41 of 200 images by more than rounding and on 0 in the class"),
    ],
)
def test_more_are_refused_and_the_first_is_named_with_both_logits(differing: int, row: list[float], counts: str) -> None:
    with pytest.raises(ExportError, match=rf"{counts}: its logits of test image 7 are .* instead of \[1.0, 0.0\]"):
        _compare(dict.fromkeys(range(7, 7 + differing), row))
