"""Sources: what there is to read, and how it falls into classes and parts, before an image is decoded."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from nas_service.data.part import Images, ImageShape, Indices, Labels

Tell = Callable[[int, int], None]  # how many images are read, of how many


def tell_nobody(done: int, total: int) -> None:
    """Go on in silence."""


class PartName(StrEnum):
    """The three parts of a split."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


PART_NAMES = {
    "train": PartName.TRAIN,
    "training": PartName.TRAIN,
    "validation": PartName.VALIDATION,
    "valid": PartName.VALIDATION,
    "val": PartName.VALIDATION,
    "dev": PartName.VALIDATION,
    "test": PartName.TEST,
    "testing": PartName.TEST,
}  # as people call them, in lower case


class ImageSource(ABC):
    """Images as they lie on the disk, or in memory, in a fixed order.

    Attributes:
        files: That their pixels come from; empty: from this version of the service, which has them in memory soon.
        reading: What else decides their pixels, for JSON.
    """

    files: Sequence[Path] = ()
    reading: Mapping[str, Any] = {}

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of images."""

    @abstractmethod
    def shape(self) -> ImageShape:
        """Return the shape of every image, from the header of the first.

        Raises:
            InvalidFieldError: If that is no image.
        """

    @abstractmethod
    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Read all images into an array (N, C, H, W), and return what people should know of them.

        Raises:
            InvalidFieldError: Naming every image that cannot be read, or is of another shape.
        """


@dataclass(frozen=True)
class Source:
    """Labelled images that were listed, not read.

    Attributes:
        name: What to call them.
        class_names: Of all classes; a label is an index into them.
        labels: Of all images (N,).
        images: The images, in the order of the labels.
        given: Places (N,) of the validation and test images that their owner keeps apart; all others may be trained with.
        skipped: How many files were left out, by reason.
        warnings: What people should know of what was found.
    """

    name: str
    class_names: tuple[str, ...]
    labels: Labels
    images: ImageSource
    given: Mapping[PartName, Indices] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
