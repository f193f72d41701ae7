"""The bundled default: 1,797 real handwritten digits that ship inside scikit-learn."""

import threading
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from nas_service.data.dataset import DATASETS, Augmentation, Dataset, SplitSettings
from nas_service.data.part import Images, ImageShape, Labels
from nas_service.data.source import ImageSource, Source, Tell

_CLASSES = tuple(str(digit) for digit in range(10))
_SHAPE = (1, 8, 8)
_FILE = "sklearn/datasets/data/digits.csv.gz"


class DigitsSettings(SplitSettings):
    """Settings of the digits."""

    validation_fraction: float = Field(0.25, gt=0, lt=1, description="Share of the other images kept for validation.")


def _rows() -> NDArray[np.uint8]:
    """Read the bundled file, (1797, 65): 64 counts and the label. To import scikit-learn for it takes every process a second."""
    return np.loadtxt(str(distribution("scikit-learn").locate_file(_FILE)), delimiter=",", dtype=np.uint8)


_reading = threading.Lock()


def _labels() -> Labels:
    """Read the bundled file once, however many requests ask at the same time."""
    with _reading:
        return _read_labels()


@cache
def _read_labels() -> Labels:
    """Read the bundled file: it is a table in text, which takes long; the labels are 14 kB."""
    labels: Labels = _rows()[:, 64].astype(np.int64)
    labels.setflags(write=False)
    return labels


class _BundledDigits(ImageSource):
    """The images of the bundled file, as counts from 0 to 16."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(_labels())

    def shape(self) -> ImageShape:
        """Return the shape of every image."""
        return _SHAPE

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Read the bundled file."""
        images[:, 0] = np.round(_rows()[:, :64].reshape(-1, 8, 8) * (255 / 16))
        tell(len(images), len(images))
        return ()


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
    split_by_class = False
    settings: DigitsSettings

    def check(self, data_root: Path) -> None:
        """Nothing to look for: the images come with scikit-learn."""

    def source(self, data_root: Path) -> Source:
        """Read the labels."""
        del data_root
        return Source("digits", _CLASSES, _labels(), _BundledDigits())

    @property
    def preparation(self) -> str:
        """What a scan of one's own has to look like."""
        return (
            "white ink (up to 255) on a black ground (0), the digit upright and filling the image; a pixel is 255 / 16 times the "
            "number of inked dots of 4x4, rounded. A photograph of dark ink on paper has to be inverted"
        )

    @property
    def augmentation(self) -> Augmentation:
        """Digits are moved by a pixel, never mirrored."""
        return Augmentation(crop_padding=1)
