"""The contract of a dataset: uint8 images, labels, class names and a fixed split."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from search_spaces.cost import Size
from search_spaces.errors import InvalidFieldError
from search_spaces.given import GivenModel
from search_spaces.network import ImageFormat
from search_spaces.registry import Registry

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Augmentation:
    """What a batch of training images may go through without changing its classes.

    Attributes:
        crop_padding: Pixels of black border from which a window of the original size is cut at random.
        flip: Whether left and right may be swapped.
    """

    crop_padding: int = 0
    flip: bool = False


@dataclass(frozen=True)
class Part:
    """One part of a split: `images` (N, C, H, W) uint8 and `labels` (N,) int64."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True)
class ImageDataset:
    """Images in memory, split.

    Attributes:
        test: None where it must not be seen: what a search is given.
        mean: Of each channel of the training images in [0, 1].
        std: As `mean`.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation

    @property
    def image_format(self) -> ImageFormat:
        """What a network for this dataset takes and gives."""
        _, channels, height, width = self.train.images.shape
        return ImageFormat(channels, Size(height, width), len(self.class_names), self.mean, self.std)

    def without_test(self) -> "ImageDataset":
        """Return the dataset as a search may see it."""
        return ImageDataset(
            self.name, self.class_names, self.train, self.validation, None, self.mean, self.std, self.augmentation
        )


class DatasetSettings(GivenModel):
    """Settings that every dataset has; unknown ones are refused."""

    split_seed: int = Field(
        0, ge=0, le=2**32 - 1, description="Seed of the split, apart from the seed of searches and trainings."
    )
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="Share of the training images kept for validation.")


class Dataset(ABC):
    """A named source of an `ImageDataset`.

    Attributes:
        summary: One line for the catalogue.
        settings_model: Type of its settings; its JSON schema is in the catalogue.
    """

    summary: ClassVar[str]
    settings_model: ClassVar[type[DatasetSettings]]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> "Dataset":
        """Check `settings` and make the dataset, reading nothing.

        Raises:
            pydantic.ValidationError: If a setting is unknown or out of range.
        """
        return cls(cls.settings_model.model_validate(settings))

    def __init__(self, settings: DatasetSettings) -> None:
        """Keep the checked settings."""
        self.settings = settings

    @abstractmethod
    def check(self, data_root: Path) -> None:
        """Look whether the files are there, without reading the images.

        Raises:
            InvalidFieldError: Naming what is missing and where it was looked for.
        """

    @abstractmethod
    def load(self, data_root: Path) -> ImageDataset:
        """Read everything.

        Raises:
            InvalidFieldError: Naming the file or row that is wrong.
        """


def split_by_seed(
    count: int, share: float, seed: int, field: str, *, least: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Divide 0..count-1 at random into (rest, share), both in ascending order; the same on every machine.

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


def assemble(
    name: str,
    class_names: tuple[str, ...],
    train: Part,
    test: Part,
    settings: DatasetSettings,
    augmentation: Augmentation,
) -> ImageDataset:
    """Split validation images off the training images and compute mean and std of what is left.

    Raises:
        InvalidFieldError: If there are fewer than two classes, or too few training images to split.
    """
    if len(class_names) < 2:  # noqa: PLR2004 - two classes are the least to tell apart
        raise InvalidFieldError("classes", class_names, "at least two classes")
    rest, validation = split_by_seed(
        len(train), settings.validation_fraction, settings.split_seed, "validation_fraction", least=1
    )
    images = train.images[rest]
    mean, std = _statistics(images)
    return ImageDataset(
        name=name,
        class_names=class_names,
        train=Part(images, train.labels[rest]),
        validation=Part(train.images[validation], train.labels[validation]),
        test=test,
        mean=mean,
        std=std,
        augmentation=augmentation,
    )


def _statistics(images: Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of every channel in [0, 1], from counts of the 256 levels: no copy of the images."""
    levels = np.arange(256) / 255
    counts = [np.bincount(images[:, channel].ravel(), minlength=256) for channel in range(images.shape[1])]
    means = [float(count @ levels / count.sum()) for count in counts]
    variances = [float(count @ (levels - mean) ** 2 / count.sum()) for count, mean in zip(counts, means, strict=True)]
    return tuple(means), tuple(max(variance**0.5, 1 / 255) for variance in variances)  # a constant channel: no division by 0


def path_inside(data_root: Path, path: str, field: str) -> Path:
    """Return `path` under the data root, whether or not it exists.

    Raises:
        InvalidFieldError: If it leads outside the data root, or no file system can hold it.
    """
    root = data_root.resolve()
    try:
        target = (root / path).resolve()
        target.exists()
    except (ValueError, OSError, RuntimeError) as error:  # a NUL, a name that is too long, a circle of links
        reason = getattr(error, "strerror", None) or error
        raise InvalidFieldError(field, path, f"a path that a file system can hold ({reason})") from error
    if not target.is_relative_to(root):
        raise InvalidFieldError(field, path, f"a path inside the data root {root}")
    return target


def resolve_path(data_root: Path, path: str, field: str) -> Path:
    """Return `path` under the data root.

    Raises:
        InvalidFieldError: If it leads outside the data root or is not there.
    """
    target = path_inside(data_root, path, field)
    if not target.exists():
        raise InvalidFieldError(field, path, f"a file or folder that exists under the data root {data_root.resolve()}")
    return target


DATASETS: Registry[type[Dataset]] = Registry("dataset", "nas_service.data.datasets")
