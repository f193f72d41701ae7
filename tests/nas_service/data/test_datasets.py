"""What is special to single datasets, and what they say of bad files."""

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_service.data.dataset import DATASETS, ImageDataset
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import (
    pictures,
    png,
    write_cifar_binary,
    write_cifar_parquet,
    write_cifar_python,
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


@pytest.mark.parametrize("write", [write_cifar_python, write_cifar_parquet])
def test_the_layouts_of_cifar10_hold_the_same_images(write: object, tmp_path: Path) -> None:
    """Channels first, red before green before blue, whatever the file's own order."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    write_cifar_binary(tmp_path / "one")
    write(tmp_path / "two")  # type: ignore[operator]  # a function, parametrised
    expected, actual = _load("cifar10", tmp_path / "one"), _load("cifar10", tmp_path / "two")
    assert expected.test is not None
    assert actual.test is not None
    assert np.array_equal(expected.train.images, actual.train.images)
    assert np.array_equal(expected.test.labels, actual.test.labels)
    assert expected.class_names[3] == "cat"


def test_a_cifar10_batch_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("1 + 1",))

    write_cifar_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(InvalidFieldError, match=r"builtins\.eval has no place in a CIFAR-10 batch"):
        _load("cifar10", tmp_path)


def test_a_missing_data_set_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidFieldError, match=r"path: .*under the data root \(NAS_DATA_ROOT\) that holds one of: .*cifar-10-batches-bin"
    ):
        DATASETS.get("cifar10").from_settings({}).check(tmp_path)
    with pytest.raises(InvalidFieldError, match="exists under the data root"):
        DATASETS.get("image-folder").from_settings({"path": "nowhere"}).check(tmp_path)


def test_a_truncated_cifar10_file_is_named(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").write_bytes(b"\x00" * 3000)
    with pytest.raises(InvalidFieldError, match=r"data_batch_3\.bin.*records of 3073 bytes"):
        _load("cifar10", tmp_path)


def test_a_broken_image_in_a_folder_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "pictures" / "dog" / "3.png").write_bytes(png(pictures(1)[0])[:60])
    with pytest.raises(InvalidFieldError, match=r"^path: 'pictures/dog/3\.png' is not allowed; allowed: images that can"):
        _load("image-folder", tmp_path, path="pictures")


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "pictures" / "fox").mkdir()
    with pytest.raises(InvalidFieldError, match=r"pictures/fox.*this one is empty"):
        DATASETS.get("image-folder").from_settings({"path": "pictures"}).check(tmp_path)


def test_a_folder_with_one_class_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, classes=("cat",))
    with pytest.raises(InvalidFieldError, match="at least two class folders"):
        _load("image-folder", tmp_path, path="pictures")


def test_images_of_different_sizes_need_image_size(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "pictures" / "cat" / "odd.png").write_bytes(png(pictures(1, size=20)[0]))
    with pytest.raises(InvalidFieldError, match=r"^path: 'pictures/cat/odd\.png: 20x20 pixels'.*12x12 .*set image_size"):
        _load("image-folder", tmp_path, path="pictures")
    assert _load("image-folder", tmp_path, path="pictures", image_size=8).train.images.shape[1:] == (3, 8, 8)


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


@pytest.mark.parametrize(("labels", "row", "label"), [([0, 1, 2, 3], 3, 3), ([0, -1, 2, 1], 1, -1)])
def test_a_label_out_of_range_is_named_with_its_row(labels: list[int], row: int, label: int, tmp_path: Path) -> None:
    write_parquet(tmp_path, labels)
    with pytest.raises(InvalidFieldError, match=rf"^path: .*row {row}: label {label}' is not allowed; .* from 0 to 2"):
        _load("parquet", tmp_path, path="pictures.parquet")


def test_a_parquet_file_may_bring_its_test_images(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    write_parquet(tmp_path, [0, 1, 2, 2], "held.parquet")
    dataset = _load("parquet", tmp_path, path="pictures.parquet", test_path="held.parquet")
    assert dataset.test is not None
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == (24, 4)


@pytest.mark.parametrize("metadata", ['["cat", "dog", "eel"]', "cat,dog, eel"])
def test_class_names_come_from_the_metadata_of_a_parquet_file(metadata: str, tmp_path: Path) -> None:
    """As JSON, or with commas between them."""
    write_parquet(tmp_path)
    table = pq.read_table(tmp_path / "pictures.parquet").replace_schema_metadata({"classes": metadata})
    pq.write_table(table, tmp_path / "pictures.parquet")
    assert _load("parquet", tmp_path, path="pictures.parquet").class_names == ("cat", "dog", "eel")


@pytest.mark.parametrize("metadata", ["3", '{"cat": 0, "dog": 1}', '"cat"', "[0, 1, 2]", "null"])
def test_class_names_that_are_other_json_are_refused_and_can_be_given_instead(metadata: str, tmp_path: Path) -> None:
    write_parquet(tmp_path)
    table = pq.read_table(tmp_path / "pictures.parquet").replace_schema_metadata({"classes": metadata})
    pq.write_table(table, tmp_path / "pictures.parquet")
    with pytest.raises(InvalidFieldError, match=r"^classes: .* a JSON list of names, or names with commas"):
        _load("parquet", tmp_path, path="pictures.parquet")
    named = _load("parquet", tmp_path, path="pictures.parquet", classes=["a", "b", "c"])
    assert named.class_names == ("a", "b", "c")


def test_images_in_structs_are_read_from_their_bytes(tmp_path: Path) -> None:
    for images in ([{"bytes": png(picture), "path": None} for picture in pictures(8)], [{"path": "x.png"}] * 8):
        pq.write_table(pa.table({"image": images, "label": [0, 1] * 4}), tmp_path / f"{'bytes' in images[0]}.parquet")
    assert _load("parquet", tmp_path, path="True.parquet").train.images.shape[1:] == (3, 12, 12)
    with pytest.raises(InvalidFieldError, match=r"^image_column: 'False\.parquet row 0: struct<path.* structs with `bytes`"):
        _load("parquet", tmp_path, path="False.parquet")


def test_what_is_wrong_with_test_images_is_said_of_test_path(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    write_parquet(tmp_path, [0, 1, 9], "held.parquet")
    with pytest.raises(InvalidFieldError, match=r"^test_path: 'held\.parquet row 2: label 9'"):
        _load("parquet", tmp_path, path="pictures.parquet", test_path="held.parquet")


@pytest.mark.parametrize("field", ["test_fraction", "validation_fraction"])
def test_a_share_that_leaves_nothing_to_train_with_is_named(field: str, tmp_path: Path) -> None:
    write_folder(tmp_path)
    write_parquet(tmp_path)
    for name, settings in (("digits", {}), ("image-folder", {"path": "pictures"}), ("parquet", {"path": "pictures.parquet"})):
        with pytest.raises(InvalidFieldError, match=f"^{field}: 0.9999 is not allowed; allowed: a share that leaves at least"):
            _load(name, tmp_path, **settings, **{field: 0.9999})


def test_one_class_is_too_few(tmp_path: Path) -> None:
    write_parquet(tmp_path, [0] * 9)
    pq.write_table(pq.read_table(tmp_path / "pictures.parquet").replace_schema_metadata({}), tmp_path / "pictures.parquet")
    with pytest.raises(InvalidFieldError, match=r"^classes: .*at least two classes"):
        _load("parquet", tmp_path, path="pictures.parquet")


def test_a_class_name_that_is_no_text_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    """A folder's name may be any bytes; no card, reply or database could hold it."""
    write_folder(tmp_path, ("cat", os.fsdecode(b"d\xffg")))
    with pytest.raises(InvalidFieldError, match=r"^classes: 'd\\udcffg' is not allowed; allowed: names that are Unicode text"):
        _load("image-folder", tmp_path, path="pictures")
    with pytest.raises(InvalidFieldError, match=r"^classes: "):
        DATASETS.get("image-folder").from_settings({"path": "pictures"}).facts(tmp_path)


def test_a_file_that_is_no_parquet_and_a_missing_column_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"not parquet")
    with pytest.raises(InvalidFieldError, match=r"x\.parquet.*parquet file that can be read"):
        _load("parquet", tmp_path, path="x.parquet")
    write_parquet(tmp_path)
    with pytest.raises(InvalidFieldError, match="label_column: 'klass' is not allowed; allowed: one of: image, label"):
        _load("parquet", tmp_path, path="pictures.parquet", label_column="klass")


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    write_folder(tmp_path)
    assert _load("image-folder", tmp_path, path="pictures", channels=1).train.images.shape[1:] == (1, 12, 12)
