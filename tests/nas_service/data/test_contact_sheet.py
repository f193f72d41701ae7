"""Contact sheets: the decoded pixels of some training images, a row a class."""

import io

import numpy as np
import pytest
from PIL import Image

from nas_service.data.contact_sheet import _LABEL, IMAGES, contact_sheet, spread, tile_size
from nas_service.data.dataset import Augmentation, ImageDataset, assemble
from nas_service.data.decoded import DecodedImages
from nas_service.data.part import Images
from nas_service.data.source import ImageSource, Source, Tell
from nas_service.data.split import Split


class _Made(ImageSource):
    def __init__(self, images: Images) -> None:
        self.made = images

    def __len__(self) -> int:
        return len(self.made)

    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.made.shape[1:]
        return channels, height, width

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        images[:] = self.made
        tell(len(images), len(images))
        return ()


def _dataset(images: Images, labels: list[int], names: tuple[str, ...]) -> ImageDataset:
    """Return a dataset whose last two images are kept apart."""
    rows = np.arange(len(images))
    source = Source("made", names, np.array(labels), _Made(images))
    return assemble(source, Split(rows[:-2], rows[-2:-1], rows[-1:]), DecodedImages.counted(images, "", ()), Augmentation())


def _flat(levels: list[int], channels: int = 1, size: int = 8) -> Images:
    """Return images of one level each (N, C, size, size)."""
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), channels, size, size)).copy()


def _opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.mode) == ("PNG", "RGB")
    return picture


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((8, 8), (96, 96)),
        ((28, 28), (84, 84)),
        ((32, 32), (96, 96)),
        ((64, 64), (64, 64)),
        ((512, 256), (96, 48)),
        ((4, 512), (1, 96)),
    ],
)
def test_small_images_are_enlarged_by_whole_numbers_and_large_ones_reduced(size: tuple[int, int], shown: tuple[int, int]) -> None:
    assert tile_size(*size) == shown


def test_of_many_classes_some_are_shown_from_the_first_to_the_last() -> None:
    assert spread(3, 20).tolist() == [0, 1, 2]
    chosen = spread(1000, 20).tolist()
    assert (len(chosen), chosen[0], chosen[-1]) == (20, 0, 999)
    assert max(np.diff(chosen)) - min(np.diff(chosen)) <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_is_one_of_a_training_image_of_its_class(channels: int) -> None:
    """Levels of class 0 are even and of class 1 odd; those that are kept apart are 200 and 201."""
    levels = [*range(40, 80), 200, 201]
    dataset = _dataset(_flat(levels, channels), [level % 2 for level in levels], ("even", "odd"))
    content = contact_sheet(dataset, "made")
    assert contact_sheet(dataset, "made") == content
    tiles = np.asarray(_opened(content))[:, _LABEL:]
    found = set(np.unique(tiles[36:])) - {255}
    rows = [{int(level) for level in np.unique(tiles[36 + top : 36 + top + 90]) if level != 255} for top in (0, 100)]
    assert [len(row) for row in rows] == [IMAGES, IMAGES]
    assert all(level % 2 == label for label, row in enumerate(rows) for level in row)
    assert found <= set(levels[:-2])


def test_pixels_are_those_that_were_decoded() -> None:
    images = np.random.RandomState(0).randint(0, 256, (6, 3, 32, 32)).astype(np.uint8)
    dataset = _dataset(images, [0, 1, 0, 1, 0, 1], ("a", "b"))
    sheet = np.asarray(_opened(contact_sheet(dataset, "made")))
    first = sheet[36 : 36 + 96 : 3, _LABEL : _LABEL + 96 : 3].transpose(2, 0, 1)
    assert (first == images[0]).all()


def test_names_in_any_script_classes_without_images_and_thousands_of_classes_are_drawn() -> None:
    names = ("caf\u00e9", "\u732b", "x" * 200, *(f"class {number}" for number in range(3000)))
    dataset = _dataset(_flat([10, 20, 30, 40, 50]), [0, 1, 2, 2, 2], names)
    picture = _opened(contact_sheet(dataset, "made"))
    assert picture.height < 20 * 110 + 40


def test_a_sheet_of_photographs_is_small() -> None:
    images = np.random.RandomState(0).randint(0, 256, (40, 3, 224, 224)).astype(np.uint8)
    dataset = _dataset(images, [row % 2 for row in range(40)], ("a", "b"))
    assert len(contact_sheet(dataset, "made")) < 1_000_000  # noise, which no PNG makes smaller
