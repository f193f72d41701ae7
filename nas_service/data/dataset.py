"""The contract of a dataset: uint8 images, labels, class names and a fixed split."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from nas_service.data.cache import ImageCache, decode_in_memory
from nas_service.data.decoded import DecodedImages
from nas_service.data.facts import DatasetFacts, facts_of
from nas_service.data.part import Images, Indices, Labels, Part
from nas_service.data.source import PartName, Source, Tell, tell_nobody
from nas_service.data.split import Split, split_by_class, split_by_seed
from search_spaces.cost import Size
from search_spaces.errors import InvalidFieldError
from search_spaces.given import GivenModel
from search_spaces.network import ImageFormat
from search_spaces.registry import Registry

_MOSTLY = 0.5  # of a part's images


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
class ImageDataset:
    """Images, split.

    Attributes:
        name: What to call it.
        class_names: Of all classes; a label is an index into them.
        train: Images to train with.
        validation: Images to score with while searching and training.
        test: None where it must not be seen: what a search is given.
        mean: Of each channel of the training images in [0, 1].
        std: As `mean`.
        augmentation: What batches of training images go through.
        facts: Counts by class and part, and what people should know.
        digest: Of the images, their classes and the split.
        preparation: How a picture becomes such an image, in a sentence for whoever has other pictures; "" if nobody said.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    validation: Part
    test: Part | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: Augmentation
    facts: DatasetFacts
    digest: str
    preparation: str = ""

    @property
    def image_format(self) -> ImageFormat:
        """What a network for this dataset takes and gives."""
        channels, height, width = self.train.store.shape[1:]
        return ImageFormat(channels, Size(height, width), len(self.class_names), self.mean, self.std)

    @property
    def lesson(self) -> str:
        """Digest of all that a training is shown: the images, their classes, the split, and what batches go through."""
        return hashlib.sha256(f"{self.digest} {self.augmentation}".encode()).hexdigest()

    def without_test(self) -> "ImageDataset":
        """Return the dataset as a search may see it."""
        return replace(self, test=None)

    @property
    def nbytes(self) -> int:
        """Of the images of all parts."""
        return sum(part.nbytes for part in (self.train, self.validation, self.test) if part is not None)

    def bare(self) -> "ImageDataset":
        """Return the dataset without its images, which `on` gives it again."""
        test = None if self.test is None else self.test.bare()
        return replace(self, train=self.train.bare(), validation=self.validation.bare(), test=test)

    def on(self, store: Images) -> "ImageDataset":
        """Return the dataset with its images in a store like the one that its parts share."""
        test = None if self.test is None else self.test.on(store)
        return replace(self, train=self.train.on(store), validation=self.validation.on(store), test=test)


class DatasetSettings(GivenModel):
    """Settings that every dataset has; unknown ones are refused."""

    split_seed: int = Field(
        0, ge=0, le=2**32 - 1, description="Seed of the split, apart from the seed of searches and trainings."
    )
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="Share of the training images kept for validation.")


class SplitSettings(DatasetSettings):
    """Settings of a dataset whose owner may not keep test images apart."""

    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of the images kept for the test, if none are given for it.")


class Dataset(ABC):
    """A named source of an `ImageDataset`.

    Attributes:
        summary: One line for the catalogue.
        settings_model: Type of its settings; its JSON schema is in the catalogue.
        split_by_class: Whether each class gives its share; without, as published figures want it for two datasets, images
            are drawn from all of them.
    """

    summary: ClassVar[str]
    settings_model: ClassVar[type[DatasetSettings]]
    split_by_class: ClassVar[bool] = True

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
    def source(self, data_root: Path) -> Source:
        """List images, labels and classes, decoding no image: requests wait for it.

        Raises:
            InvalidFieldError: As `check`, and if labels or class names are not as they should be.
        """

    @property
    def augmentation(self) -> Augmentation:
        """What batches of training images go through."""
        return Augmentation()

    @property
    def preparation(self) -> str:
        """How a picture becomes an image of this dataset: a clause, for the cards of networks."""
        return ""

    def facts(self, data_root: Path) -> DatasetFacts:
        """Count what `load` would give, from the listing and the header of one image.

        Raises:
            InvalidFieldError: As `source`, and if it cannot be split.
        """
        source = self.source(data_root)
        return facts_of(source, self.split(source), source.images.shape())

    def load(self, data_root: Path, cache: ImageCache | None = None, tell: Tell = tell_nobody) -> ImageDataset:
        """Read everything, or map what was read before.

        Args:
            data_root: That the settings' paths are under.
            cache: Of decoded images; None: they are decoded into memory.
            tell: Called as images are decoded.

        Raises:
            InvalidFieldError: As `facts`, or naming all files and rows that are wrong.
            NotReadyError: If the cache cannot be written.
        """
        source = self.source(data_root)
        split = self.split(source)
        decoded = decode_in_memory(source.images, tell) if cache is None else cache.get(source.images, tell)
        return replace(assemble(source, split, decoded, self.augmentation), preparation=self.preparation)

    def split(self, source: Source) -> Split:
        """Divide the images: what their owner keeps apart stays apart, the rest is drawn by `split_seed`, class by class.

        Raises:
            InvalidFieldError: If there are fewer than two classes, or too few images.
        """
        if len(source.class_names) < 2:  # noqa: PLR2004 - two classes are the least to tell apart
            raise InvalidFieldError("classes", source.class_names, "at least two classes")
        held = np.zeros(len(source.labels), np.bool_)
        for rows in source.given.values():
            held[rows] = True
        left, test = self._part(source, np.flatnonzero(~held), PartName.TEST)
        train, validation = self._part(source, left, PartName.VALIDATION)
        return Split(train, validation, test)

    def _part(self, source: Source, left: Indices, part: PartName) -> tuple[Indices, Indices]:
        """Return (rest, part): the images given for a part, or its share of those that are left."""
        if part in source.given:
            if len(source.given[part]) == 0:
                raise InvalidFieldError("path", f"no {part} image", "images in a part, since it is given; or leave it out")
            return left, source.given[part]
        rest, taken = self._take(source.labels[left], part)
        return left[rest], left[taken]

    def _take(self, labels: Labels, part: PartName) -> tuple[Indices, Indices]:
        """Divide images with these labels (N,) into (rest, part)."""
        field = f"{part}_fraction"
        share, seed = getattr(self.settings, field), self.settings.split_seed
        kept = 2 if part is PartName.TEST else 1  # images that are left, so that there is one to train with
        if not self.split_by_class:
            return split_by_seed(len(labels), share, seed, field, least=kept)
        return split_by_class(labels, share, seed, field, sure=kept + 1)


def assemble(source: Source, split: Split, decoded: DecodedImages, augmentation: Augmentation) -> ImageDataset:
    """Put the parts of a split together, with mean and std of the training images."""
    mean, std = decoded.statistics(split.train)
    train, validation, test = (Part(decoded.pixels, source.labels[rows], rows) for rows in split.parts().values())
    warnings = (*decoded.warnings, *_flat(split, decoded), *_known(split, decoded))
    channels, height, width = decoded.pixels.shape[1:]
    return ImageDataset(
        name=source.name,
        class_names=source.class_names,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
        augmentation=augmentation,
        facts=facts_of(source, split, (channels, height, width), warnings),
        digest=_digest(source, split, decoded),
    )


def _flat(split: Split, decoded: DecodedImages) -> Iterator[str]:
    """Say which parts have images of one flat colour."""
    for part, rows in split.parts().items():
        flat = int(decoded.constant[rows].sum())
        if flat:
            mostly = "; nothing can be learnt from most of them" if flat > _MOSTLY * len(rows) else ""
            yield f"{flat} of {len(rows)} {part} images are of one flat colour{mostly}"


def _known(split: Split, decoded: DecodedImages) -> Iterator[str]:
    """Say which parts hold images that are trained with as well: scores on them say little of images that are new."""
    trained = decoded.digests[split.train]
    for part, rows in split.parts().items():
        known = int(np.isin(decoded.digests[rows], trained).sum())
        if known and part is not PartName.TRAIN:
            yield f"{known} of {len(rows)} {part} images are to be trained with as well, pixel for pixel"


def _digest(source: Source, split: Split, decoded: DecodedImages) -> str:
    """Return the digest of images, classes and split."""
    digest = hashlib.sha256(json.dumps([decoded.content, source.class_names]).encode())
    for numbers in (source.labels, *split.parts().values()):
        digest.update(np.ascontiguousarray(numbers, np.int64).tobytes())
        digest.update(b"|")
    return digest.hexdigest()


DATASETS: Registry[type[Dataset]] = Registry("dataset", "nas_service.data.datasets")
