"""What is special to single datasets, and what they say of bad files."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from nas_service.data.dataset import DATASETS, ImageDataset
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import (
    write_folder,
    write_parquet,
)


def _load(name: str, root: Path, **settings: object) -> ImageDataset:
    return DATASETS.get(name).from_settings(settings).load(root)


def test_digits_are_the_1797_bundled_images(tmp_path: Path) -> None:
    dataset = _load("digits", tmp_path)
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (1078, 360, 359)
    assert dataset.train.images.shape[1:] == (1, 8, 8)
    assert set(np.unique(dataset.train.images)) == {round(level * 255 / 16) for level in range(17)}


def test_digits_are_those_that_scikit_learn_loads(tmp_path: Path) -> None:
    dataset, bundled = _load("digits", tmp_path), load_digits()
    assert dataset.test is not None
    parts = (dataset.train, dataset.validation, dataset.test)
    pairs = zip(np.round(bundled.images * (255 / 16)).astype(np.uint8), bundled.target, strict=True)
    given = Counter((image.tobytes(), int(label)) for image, label in pairs)
    assert given == Counter(
        (image.tobytes(), int(label)) for part in parts for image, label in zip(part.images, part.labels, strict=True)
    )


def test_a_process_that_reads_digits_loads_neither_scikit_learn_nor_scipy() -> None:
    """A driver, and every actor and trial of its Ray, would start a second later."""
    script = "import sys; from tests.samples import digits; digits(); print(sorted({'sklearn', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_a_missing_data_set_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError, match="exists under the data root"):
        DATASETS.get("image-folder").from_settings({"path": "nowhere"}).check(tmp_path)


@pytest.mark.parametrize("path", ["../outside", "/etc", "pictures/../../x"])
def test_paths_outside_the_data_root_are_refused(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(InvalidFieldError, match="inside the data root"):
        _load("image-folder", root, path=path)


def test_a_link_out_of_the_data_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_folder(tmp_path)
    (root / "pictures").symlink_to(tmp_path / "pictures")
    with pytest.raises(InvalidFieldError, match="inside the data root"):
        _load("image-folder", root, path="pictures")


@pytest.mark.parametrize("entry", ["dog", "dog/3.png"])
def test_a_class_folder_or_image_that_is_a_link_out_of_the_data_root_is_refused(entry: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_folder(tmp_path)
    write_folder(root)
    target = root / "pictures" / entry
    target.rename(tmp_path / "away")
    target.symlink_to(tmp_path / "pictures" / entry)
    with pytest.raises(InvalidFieldError, match=rf"^path: 'pictures/{entry}' is .* a path inside the data root"):
        DATASETS.get("image-folder").from_settings({"path": "pictures"}).check(root)


def test_links_inside_the_data_root_are_followed(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "pictures" / "fox").symlink_to(tmp_path / "pictures" / "dog")
    (tmp_path / "pictures" / "cat" / "9.png").symlink_to("1.png")
    dataset = _load("image-folder", tmp_path, path="pictures")
    assert dataset.class_names == ("cat", "dog", "eel", "fox")
    assert dataset.test is not None
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 4 * 8 + 1


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "x/" * 2040, "circle"])
@pytest.mark.parametrize("name", ["image-folder", "parquet", "cifar10"])
def test_a_path_that_no_file_system_holds_is_refused(name: str, path: str, tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(InvalidFieldError, match=r"^path: .*a path that a file system can hold"):
        DATASETS.get(name).from_settings({"path": path}).check(tmp_path)


@pytest.mark.parametrize("field", ["test_fraction", "validation_fraction"])
def test_a_share_that_leaves_nothing_to_train_with_is_named(field: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidFieldError, match=f"^{field}: 0.9999 is not allowed; allowed: a share that leaves at least"):
        _load("digits", tmp_path, **{field: 0.9999})


def test_a_share_of_users_images_leaves_one_of_each_class(tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_parquet(tmp_path)
    for name, settings in (("image-folder", {"path": "pictures"}), ("parquet", {"path": "pictures.parquet"})):
        assert _load(name, tmp_path, **settings, validation_fraction=0.9999).facts.by_class["train"] == (1, 1, 1)
        with pytest.raises(InvalidFieldError, match=r"^validation_fraction: 0.2 .* the largest of 3 has 1"):
            _load(name, tmp_path, **settings, test_fraction=0.9999)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert _load("image-folder", tmp_path, path="pictures", channels=1).train.images.shape[1:] == (1, 12, 12)
