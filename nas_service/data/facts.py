"""Facts: what is known of a dataset without its images."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nas_service.data.part import ImageShape, Indices, Labels
from nas_service.data.source import PartName, Source
from nas_service.data.split import Split
from nas_service.wording import named
from search_spaces.cost import Size
from search_spaces.network import ImageFormat


@dataclass(frozen=True)
class DatasetFacts:
    """How many images there are, and of what kind; of the split that the dataset's settings ask for.

    Attributes:
        class_names: Of all classes.
        channels: 1 (grey) or 3 (RGB).
        height: Of an image, in pixels.
        width: As `height`.
        train: Images to train with.
        validation: Images to score with while searching and training.
        test: Images of the test part.
        by_class: How many images each class has, in the order of `class_names`, by part.
        skipped: How many files were left out, by reason.
        warnings: What people should know before they train.
    """

    class_names: tuple[str, ...]
    channels: int
    height: int
    width: int
    train: int
    validation: int
    test: int
    by_class: Mapping[str, tuple[int, ...]]
    skipped: Mapping[str, int]
    warnings: tuple[str, ...]

    @property
    def untrained(self) -> tuple[str, ...]:
        """Classes of which there is no image to train with."""
        return without(self.class_names, self.by_class[PartName.TRAIN])

    @property
    def image_format(self) -> ImageFormat:
        """What a network for the dataset takes and gives, for counting costs: mean and std, which cost nothing, are left out."""
        return ImageFormat(self.channels, self.size, len(self.class_names), (0.0,) * self.channels, (1.0,) * self.channels)

    @property
    def size(self) -> Size:
        """Height and width of an image."""
        return Size(self.height, self.width)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for JSON."""
        counts = {part: list(found) for part, found in self.by_class.items()}
        listed = {name: list(getattr(self, name)) for name in ("class_names", "warnings")}
        return {**vars(self), **listed, "by_class": counts, "skipped": dict(self.skipped)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self | None:
        """Return what `to_dict` wrote, among other things; None if an earlier version wrote less."""
        if not stored.keys() >= cls.__dataclass_fields__.keys():
            return None
        fields = {name: stored[name] for name in cls.__dataclass_fields__}
        fields |= {name: tuple(fields[name]) for name in ("class_names", "warnings")}
        fields["by_class"] = {part: tuple(counts) for part, counts in fields["by_class"].items()}
        return cls(**fields)


def without(class_names: tuple[str, ...], counts: tuple[int, ...]) -> tuple[str, ...]:
    """Return the classes of which there is no image, by their counts."""
    return tuple(name for name, count in zip(class_names, counts, strict=True) if count == 0)


def facts_of(source: Source, split: Split, shape: ImageShape, warnings: tuple[str, ...] = ()) -> DatasetFacts:
    """Count what a split makes of a source whose images have this shape; `warnings` are those of the images themselves."""
    names, (channels, height, width) = source.class_names, shape
    counts = {str(part): _counted(source.labels, rows, len(names)) for part, rows in split.parts().items()}
    return DatasetFacts(
        class_names=names,
        channels=channels,
        height=height,
        width=width,
        train=len(split.train),
        validation=len(split.validation),
        test=len(split.test),
        by_class=counts,
        skipped=dict(source.skipped),
        warnings=(*source.warnings, *_gaps(names, counts), *warnings),
    )


def _counted(labels: Labels, rows: Indices, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(labels[rows], minlength=classes).tolist())


def _gaps(names: tuple[str, ...], counts: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    """Say which classes nothing will be known of."""
    for part in PartName:
        missing = without(names, counts[part])
        if missing:
            few = named(missing)
            yield f"{len(missing)} of {len(names)} classes have no {part} image: nothing is said of them there: {few}"
