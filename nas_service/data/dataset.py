"""The contract of a dataset: uint8 images, labels, class names and a fixed split."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from nas_service.data.facts import DatasetFacts, untrained_classes
from nas_service.data.split import split_validation
from search_spaces.cost import Size
from search_spaces.given import GivenModel
from search_spaces.network import ImageFormat
from search_spaces.registry import Registry

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]
ImageShape = tuple[int, int, int]  # channels, height, width


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

    @property
    def facts(self) -> DatasetFacts:
        """What `Dataset.facts` tells of it."""
        image, tests = self.image_format, 0 if self.test is None else len(self.test)
        untrained = untrained_classes(self.class_names, self.train.labels)
        counts = (len(self.train), len(self.validation), tests)
        return DatasetFacts(self.class_names, image.channels, *image.size, *counts, untrained)

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
    def facts(self, data_root: Path) -> DatasetFacts:
        """Count what `load` would give from labels, names, metadata and the header of one image: requests wait for it.

        Raises:
            InvalidFieldError: As `check`, and if labels or class names are not as they should be.
        """

    @abstractmethod
    def load(self, data_root: Path) -> ImageDataset:
        """Read everything.

        Raises:
            InvalidFieldError: Naming the file or row that is wrong.
        """


def count_facts(
    class_names: tuple[str, ...], labels: Labels, test: int, settings: DatasetSettings, image: ImageShape
) -> DatasetFacts:
    """Return the facts of what `assemble` makes of training images with these labels (N,) and so many test images.

    Raises:
        InvalidFieldError: As `assemble`.
    """
    rest, validation = split_validation(class_names, len(labels), settings.validation_fraction, settings.split_seed)
    counts = (len(rest), len(validation), test)
    return DatasetFacts(class_names, *image, *counts, untrained_classes(class_names, labels[rest]))


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
    rest, validation = split_validation(class_names, len(train), settings.validation_fraction, settings.split_seed)
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


DATASETS: Registry[type[Dataset]] = Registry("dataset", "nas_service.data.datasets")
