"""The images of a report: CIFAR-10 where its folder is given, else made-up ones of its size."""

from pathlib import Path

import numpy as np

from benchmarks.gpu_report.parts import Order
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import Augmentation, Dataset, DatasetSettings, ImageDataset
from nas_service.data.part import Images, ImageShape
from nas_service.data.source import ImageSource, PartName, Source, Tell
from nas_service.settings import Settings
from nas_service.specs import Component

_SHAPE = (3, 32, 32)
_CLASSES = tuple(f"class {number}" for number in range(10))
_TEST_SHARE = 6  # one image of so many, as CIFAR-10 has it
CIFAR_IMAGES, SMOKE_IMAGES = 60_000, 240


class _Noise(ImageSource):
    """Pixels drawn at random, the same every time."""

    def __init__(self, count: int) -> None:
        """Draw nothing yet."""
        self._count = count

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    def shape(self) -> ImageShape:
        """Return the shape of every image."""
        return _SHAPE

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Draw them."""
        images[:] = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
        tell(len(images), len(images))
        return ()


class Synthetic(Dataset):
    """Noise with labels that say nothing of it: good for times, not for accuracies."""

    summary = "made-up images of the size of CIFAR-10's"
    settings_model = DatasetSettings
    split_by_class = False

    def __init__(self, count: int) -> None:
        """Make so many images, a tenth of those that are not for the test for validation, as CIFAR-10 here."""
        super().__init__(DatasetSettings(validation_fraction=0.1))
        self._count = count

    def check(self, data_root: Path) -> None:
        """Nothing to look for."""

    def source(self, data_root: Path) -> Source:
        """Draw the labels."""
        del data_root
        labels = np.arange(self._count) % len(_CLASSES)
        test = np.arange(self._count - self._count // _TEST_SHARE, self._count)
        return Source("synthetic", _CLASSES, labels, _Noise(self._count), {PartName.TEST: test})

    @property
    def augmentation(self) -> Augmentation:
        """As CIFAR-10: it costs time."""
        return Augmentation(crop_padding=4, flip=True)


def synthetic(count: int) -> ImageDataset:
    """Return so many made-up images."""
    return Synthetic(count).load(Path())


def open_images(order: Order) -> ImageDataset:
    """Return CIFAR-10 from the order's folder, decoded once for all parts, or as many made-up images.

    Raises:
        InvalidInputError: If there is no CIFAR-10 in the folder.
    """
    if order.cifar is None:
        return synthetic(SMOKE_IMAGES if order.smoke else CIFAR_IMAGES)
    return open_dataset(Component(name="cifar10"), Settings(data_root=Path(order.cifar), home=Path(order.home)))


def images_said(order: Order) -> str:
    """Return which images they are, for people."""
    return "synthetic" if order.cifar is None else "CIFAR-10"
