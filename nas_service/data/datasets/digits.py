"""The bundled default: 1,797 real handwritten digits that ship inside scikit-learn."""

import threading
from functools import cache
from pathlib import Path

import numpy as np
from pydantic import Field
from sklearn.datasets import load_digits

from nas_service.data.dataset import (
    DATASETS,
    Augmentation,
    Dataset,
    DatasetSettings,
    ImageDataset,
    Labels,
    Part,
    assemble,
    count_facts,
)
from nas_service.data.facts import DatasetFacts
from nas_service.data.split import Indices, split_by_seed

_CLASSES = tuple(str(digit) for digit in range(10))
_SHAPE = (1, 8, 8)


class DigitsSettings(DatasetSettings):
    """Settings of the digits."""

    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of all images kept for the test.")
    validation_fraction: float = Field(0.25, gt=0, lt=1, description="Share of the other images kept for validation.")


_reading = threading.Lock()


def _labels() -> Labels:
    """Read the bundled file once, however many requests ask at the same time."""
    with _reading:
        return _read_labels()


@cache
def _read_labels() -> Labels:
    """Read the bundled file: it is a table in text, which takes long; the labels are 14 kB."""
    labels: Labels = load_digits().target.astype(np.int64)
    labels.setflags(write=False)
    return labels


@DATASETS.register("digits")
class Digits(Dataset):
    """8x8 grey images of ten digits; 1,078 train, 360 validation, 359 test with the default split.

    The pixels are counts from 0 to 16 (how many of 4x4 black dots were set); they are stored as round(255 / 16 * count).

    References:
        Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998 (its test
        part); `sklearn.datasets.load_digits`.
    """

    summary = "1,797 real 8x8 grey digits, 10 classes, bundled with scikit-learn"
    settings_model = DigitsSettings
    settings: DigitsSettings

    def check(self, data_root: Path) -> None:
        """Nothing to look for: the images come with scikit-learn."""

    def facts(self, data_root: Path) -> DatasetFacts:
        """Count the labels of the split."""
        del data_root
        labels = _labels()
        rest, test = self._split(len(labels))
        return count_facts(_CLASSES, labels[rest], len(test), self.settings, _SHAPE)

    def load(self, data_root: Path) -> ImageDataset:
        """Read the bundled file and split it."""
        del data_root
        bunch = load_digits()
        images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
        labels = bunch.target.astype(np.int64)
        rest, test = self._split(len(labels))
        return assemble(
            "digits",
            _CLASSES,
            Part(images[rest], labels[rest]),
            Part(images[test], labels[test]),
            self.settings,
            Augmentation(crop_padding=1),
        )

    def _split(self, count: int) -> tuple[Indices, Indices]:
        return split_by_seed(count, self.settings.test_fraction, self.settings.split_seed, "test_fraction", least=2)
