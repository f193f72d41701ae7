"""What is told of the pictures of a folder once they are read: depth, flat ones, known ones, classes without any."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_service.data.datasets.image_folder import ImageFolder, ImageFolderSettings
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import png, put, write_classes


def _deep(root: Path, peaks: list[int]) -> None:
    for number, peak in enumerate(peaks):
        content = io.BytesIO()
        Image.fromarray(np.linspace(0, peak, 144, dtype=np.uint16).reshape(12, 12)).save(content, "png")
        put(root, f"{'cat' if number % 2 else 'dog'}/{number}.png", content=content.getvalue())


@pytest.mark.parametrize("peaks", [[4095] * 8, [4000, 4095, 4095, 3000, 65_535, 4095, 4095, 65_535]])
def test_twelve_bits_stored_in_sixteen_are_refused_until_somebody_says_so(peaks: list[int], tmp_path: Path) -> None:
    _deep(tmp_path / "d", peaks)
    with pytest.raises(InvalidFieldError, match=r"bits: 'not set, and [68] of 8 pictures .* no value above 4095'"):
        ImageFolder(ImageFolderSettings(path="d")).load(tmp_path)
    loaded = ImageFolder(ImageFolderSettings(path="d", bits=16)).load(tmp_path)
    assert loaded.train.images.max() in {16, 255}


def test_pictures_that_use_half_of_their_sixteen_bits_are_told_of(tmp_path: Path) -> None:
    _deep(tmp_path / "d", [16_383] * 8)
    warnings = ImageFolder(ImageFolderSettings(path="d")).load(tmp_path).facts.warnings
    assert "no value of 8 pictures stored with 16 bits is above 16383: if that is white, set bits" in warnings
    loaded = ImageFolder(ImageFolderSettings(path="d", bits=14)).load(tmp_path)
    assert loaded.train.images.max() == 255


def test_flat_pictures_are_told(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", each=10)
    flat = png(np.full((12, 12, 3), 77, np.uint8))
    for number in range(10):
        put(tmp_path / "d", f"dog/{number}.png", content=flat)
    warnings = ImageFolder(ImageFolderSettings(path="d")).load(tmp_path).facts.warnings
    assert [text for text in warnings if "flat" in text] == [
        "7 of 13 train images are of one flat colour; nothing can be learnt from most of them",
        "1 of 3 validation images are of one flat colour",
        "2 of 4 test images are of one flat colour",
    ]


def test_images_that_are_trained_with_and_tested_on_are_told(tmp_path: Path) -> None:
    write_classes(tmp_path / "d" / "train", "cat", "dog", each=5)
    put(tmp_path / "d" / "test", "cat/new.png", *(f"dog/{number}.png" for number in range(2)))
    shutil.copy(tmp_path / "d" / "train" / "dog" / "4.png", tmp_path / "d" / "test" / "dog" / "9.png")
    dataset = ImageFolder(ImageFolderSettings(path="d")).load(tmp_path)
    trained = {image.tobytes() for image in dataset.train.images}
    assert dataset.test is not None
    known = sum(image.tobytes() in trained for image in dataset.test.images)
    assert known > 0
    assert f"{known} of 4 test images are to be trained with as well, pixel for pixel" in dataset.facts.warnings


def test_capitals_and_left_out_photos_are_warned_of(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "Cat", "cat")
    put(tmp_path / "d", "cat/1.heic", "cat/2.HEIC", content=b"x")
    assert ImageFolder(ImageFolderSettings(path="d")).source(tmp_path).warnings == (
        "2 .heic files are left out: export them in a format that is read, as PNG or JPEG",
        "classes 'Cat' and 'cat' differ in nothing but capitals",
    )


@pytest.mark.parametrize(
    ("counts", "missing"),
    [
        ({"common": 200, "rare": 1}, ("validation", "test")),
        ({"common": 200, "rare": 2}, ("test",)),
        ({"common": 200, "rare": 5}, ()),
    ],
)
def test_classes_too_small_for_a_part_are_told(counts: dict[str, int], missing: tuple[str, ...], tmp_path: Path) -> None:
    for name, count in counts.items():
        write_classes(tmp_path / "d", name, each=count)
    facts = ImageFolder(ImageFolderSettings(path="d")).facts(tmp_path)
    assert facts.untrained == ()
    assert [text for text in facts.warnings if "rare" in text] == [
        f"1 of 2 classes have no {part} image: nothing is said of them there: rare" for part in missing
    ]
