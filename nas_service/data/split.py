"""Splits by seed: which images are kept for validation or test, the same on every machine."""

import numpy as np
import numpy.typing as npt

from search_spaces.errors import InvalidFieldError

Indices = npt.NDArray[np.int64]


def split_by_seed(count: int, share: float, seed: int, field: str, *, least: int) -> tuple[Indices, Indices]:
    """Divide 0..count-1 at random into (rest, share), both in ascending order.

    `numpy.random.RandomState` is used since its stream is frozen for good, which `Generator`'s is not.

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


def split_validation(class_names: tuple[str, ...], count: int, fraction: float, seed: int) -> tuple[Indices, Indices]:
    """Divide the training images of a dataset into (training, validation): for those who load them and those who count them.

    Raises:
        InvalidFieldError: If a class name is no text, there are fewer than two classes, or too few training images to split.
    """
    for name in class_names:
        try:
            name.encode()
        except UnicodeEncodeError as error:  # Python keeps the bytes of a file name that is no UTF-8 as lone surrogates
            raise InvalidFieldError("classes", name, "names that are Unicode text: rename the folder or the class") from error
    if len(class_names) < 2:  # noqa: PLR2004 - two classes are the least to tell apart
        raise InvalidFieldError("classes", class_names, "at least two classes")
    return split_by_seed(count, fraction, seed, "validation_fraction", least=1)
