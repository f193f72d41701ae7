"""Facts: what is known of a dataset without its images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

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
        untrained: Classes of which there is no image to train with.
    """

    class_names: tuple[str, ...]
    channels: int
    height: int
    width: int
    train: int
    validation: int
    test: int
    untrained: tuple[str, ...]

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
        return {**vars(self), "class_names": list(self.class_names), "untrained": list(self.untrained)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self | None:
        """Return what `to_dict` wrote, among other things; None if an earlier version wrote less."""
        if not stored.keys() >= cls.__dataclass_fields__.keys():
            return None
        fields = {name: stored[name] for name in cls.__dataclass_fields__}
        return cls(**fields | {name: tuple(fields[name]) for name in ("class_names", "untrained")})


def untrained_classes(class_names: tuple[str, ...], labels: np.ndarray[Any, np.dtype[np.int64]]) -> tuple[str, ...]:
    """Return the classes that none of the training labels (N,) names."""
    counts = np.bincount(labels, minlength=len(class_names))
    return tuple(name for name, count in zip(class_names, counts, strict=True) if count == 0)
