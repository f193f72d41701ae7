"""Splits by seed: which images are kept for validation or test, the same on every machine.

`numpy.random.RandomState` is used since its stream is frozen for good, which `Generator`'s is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nas_service.data.part import Indices, Labels
from nas_service.data.source import PartName
from search_spaces.errors import InvalidFieldError


@dataclass(frozen=True)
class Split:
    """Places of the images of each part, ascending."""

    train: Indices
    validation: Indices
    test: Indices

    def parts(self) -> Mapping[PartName, Indices]:
        """Return the places by part."""
        return {PartName.TRAIN: self.train, PartName.VALIDATION: self.validation, PartName.TEST: self.test}


def split_by_seed(count: int, share: float, seed: int, field: str, *, least: int) -> tuple[Indices, Indices]:
    """Divide 0..count-1 at random into (rest, share), both in ascending order.

    Args:
        count: Number of images.
        share: Of the images, for validation or test.
        seed: Of the split.
        field: The setting that says the share.
        least: How many images the rest must keep.

    Raises:
        InvalidFieldError: If the share leaves fewer.
    """
    order = np.random.RandomState(seed).permutation(count)
    taken = max(1, round(count * share))
    if count - taken < least:
        raise InvalidFieldError(field, share, f"a share that leaves at least {least} of the {count} images to train with")
    return np.sort(order[taken:]), np.sort(order[:taken])


def split_by_class(labels: Labels, share: float, seed: int, field: str, *, sure: int) -> tuple[Indices, Indices]:
    """Divide 0..N-1 at random into (rest, share), both ascending, so that each class gives its share.

    As many images are taken in all as `split_by_seed` takes: every class gives the whole part of its share, and what is still
    missing comes from the classes with the largest remainders, drawn by lot among equals. No class gives its last image. A
    class of at least `sure` images gives one in any case, so that something can be said of it.

    Args:
        labels: Of the images (N,).
        share: Of the images, for validation or test.
        seed: Of the split.
        field: The setting that says the share.
        sure: As above, 2 or more.

    Raises:
        InvalidFieldError: If no class can give an image.
    """
    drawn = np.random.RandomState(seed)
    order = drawn.permutation(len(labels))
    _, classes, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    taken = _quotas(sizes, share, drawn.permutation(len(sizes)))
    taken[(taken == 0) & (sizes >= sure)] = 1
    if not taken.any():
        allowed = f"a share of classes with more than one image: the largest of {len(sizes)} has {sizes.max(initial=0)}"
        raise InvalidFieldError(field, share, allowed)
    # The place of each image among those of its class, in the order drawn: the first ones are taken.
    by_class = np.argsort(classes, kind="stable")
    places = np.empty(len(labels), np.int64)
    places[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = places < taken[classes]
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _quotas(sizes: Indices, share: float, lot: Indices) -> Indices:
    """Return how many images each class gives, by the largest remainders; `lot` decides among equal ones."""
    wanted = sizes * share
    quotas: Indices = np.minimum(np.floor(wanted).astype(np.int64), sizes - 1)
    missing = max(1, round(int(sizes.sum()) * share)) - int(quotas.sum())
    remainders = np.where(quotas < sizes - 1, wanted - quotas, -1.0)
    largest = np.lexsort((lot, -np.round(remainders, 9)))
    quotas[[place for place in largest[: max(0, missing)] if remainders[place] > 0]] += 1
    return quotas
