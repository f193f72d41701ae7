"""Splits: by seed alone, and by class."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_service.data.split import split_by_class, split_by_seed
from search_spaces.errors import InvalidFieldError


def _counts(labels: np.ndarray, rows: np.ndarray) -> list[int]:
    return [int(count) for count in np.bincount(labels[rows], minlength=int(labels.max()) + 1)]


@pytest.mark.parametrize(
    ("sizes", "share", "sure", "taken"),
    [
        ([10, 20, 30], 0.2, 3, [2, 4, 6]),
        ([200, 5], 0.2, 3, [40, 1]),
        ([200, 1], 0.2, 3, [40, 0]),  # its only image is for training
        ([200, 2], 0.2, 3, [40, 0]),  # 0.4 of an image, and fewer than are sure to give one
        ([200, 2], 0.2, 2, [40, 1]),
        ([200, 3], 0.01, 3, [2, 1]),  # sure to give one, beyond the share
        ([4, 4], 0.9, 3, [3, 3]),  # no class gives its last image
    ],
)
def test_each_class_gives_its_share(sizes: list[int], share: float, sure: int, taken: list[int]) -> None:
    labels = np.random.RandomState(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rest, part = split_by_class(labels, share, 0, "test_fraction", sure=sure)
    assert _counts(labels, part) == taken
    assert sorted([*rest, *part]) == list(range(len(labels)))


def test_remainders_are_drawn_by_lot_and_the_total_is_the_share() -> None:
    labels = np.repeat(np.arange(1000), 2)
    rest, part = split_by_class(labels, 0.2, 0, "test_fraction", sure=3)
    assert len(part) == 400
    assert set(_counts(labels, part)) == {0, 1}
    assert min(_counts(labels, rest)) == 1
    assert _counts(labels, part)[:500] != _counts(labels, part)[500:]
    assert not np.array_equal(part, split_by_class(labels, 0.2, 1, "test_fraction", sure=3)[1])


def test_classes_of_one_image_each_cannot_be_split() -> None:
    with pytest.raises(InvalidFieldError, match=r"test_fraction: 0.2 .* more than one image: the largest of 12 has 1"):
        split_by_class(np.arange(12), 0.2, 0, "test_fraction", sure=3)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.floats(0.01, 0.99), st.integers(0, 3), st.integers(2, 3))
def test_a_split_by_class_is_one_of_all_images_and_leaves_every_class(
    sizes: list[int], share: float, seed: int, sure: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    try:
        rest, part = split_by_class(labels, share, seed, "test_fraction", sure=sure)
    except InvalidFieldError:
        assert max(sizes) == 1
        return
    assert sorted([*rest, *part]) == list(range(len(labels)))
    assert min(_counts(labels, rest)) >= 1
    for size, taken in zip(sizes, _counts(labels, part), strict=True):
        assert taken <= max(1, np.ceil(size * share))
        assert taken >= min(np.floor(size * share), size - 1)
        assert taken >= 1 or size < sure


def test_the_order_of_the_labels_means_nothing_for_the_counts() -> None:
    sizes = [7, 11, 3]
    labels = np.repeat(np.arange(3), sizes)
    shuffled = np.random.RandomState(3).permutation(labels)
    for given_labels in (labels, shuffled):
        _, part = split_by_class(given_labels, 0.3, 5, "test_fraction", sure=3)
        assert len(part) == 6


def test_a_split_by_seed_is_what_it_always_was() -> None:
    """Published figures of the digits and of CIFAR-10 stand on it."""
    rest, part = split_by_seed(10, 0.3, 0, "test_fraction", least=2)
    assert part.tolist() == [2, 4, 8]
    assert rest.tolist() == [0, 1, 3, 5, 6, 7, 9]
