"""CIFAR-10 in all layouts it is published in, and what is said of files that are not it."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from nas_service.data.cache import ImageCache
from nas_service.data.dataset import ImageDataset
from nas_service.data.datasets.cifar10 import CLASSES, Cifar10
from nas_service.data.datasets.parquet import Parquet
from nas_service.data.facts import DatasetFacts
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import (
    BATCHES,
    cifar_rows,
    pictures,
    png,
    write_cifar_binary,
    write_cifar_parquet,
    write_cifar_python,
)
from tests.nas_service.data.tables import cells, class_label, features, structs, write
from tests.picture_files import png as deep_png

SAID = features(img={"_type": "Image"}, label=class_label(*CLASSES))
DEEP = deep_png(np.full((32, 32, 3), 900, np.uint16), 2, 16)  # RGB
LABELS = [row % 10 for row in range(20)]


def _facts(root: Path, **settings: object) -> DatasetFacts:
    return Cifar10.from_settings(settings).facts(root)


def _load(root: Path, **settings: object) -> ImageDataset:
    return Cifar10.from_settings(settings).load(root)


def _published(root: Path, folder: str, train: tuple[str, ...], test: str) -> None:
    """Write the same rows as in the other layouts as Hugging Face has them."""
    for number, name in enumerate((*train, test)):
        seeds = [5] if name == test else np.array_split(range(5), len(train))[number]
        rows = [cifar_rows(20, seed) for seed in seeds]
        data = np.concatenate([entry[0] for entry in rows]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        images = structs([png(np.ascontiguousarray(picture)) for picture in data])
        write(root, f"{folder}/{name}", {"img": images, "label": [label for entry in rows for label in entry[1]]}, SAID)


def _plain_text(root: Path) -> None:
    _published(root, "plain_text", ("train-00000-of-00001.parquet",), "test-00000-of-00001.parquet")


def _data(root: Path) -> None:
    _published(
        root,
        "data",
        ("train-00000-of-00002-b42a5b5d.parquet", "train-00001-of-00002-0d1e.parquet"),
        "test-00000-of-00001.parquet",
    )


def _converted(root: Path) -> None:
    _published(root, "plain_text", ("train/0000.parquet",), "test/0000.parquet")


def _img(root: Path) -> None:
    """Rename the column, as files of Hugging Face have it."""
    write_cifar_parquet(root)
    for part in ("train", "test"):
        file = root / f"cifar10-{part}.parquet"
        pq.write_table(pq.read_table(file).rename_columns(["img", "label"]), file)


@pytest.mark.parametrize("write_layout", [write_cifar_python, write_cifar_parquet, _img, _plain_text, _data, _converted])
@pytest.mark.parametrize("below", ["", "cifar10"])
def test_the_layouts_hold_the_same_images(write_layout: Callable[[Path], None], below: str, tmp_path: Path) -> None:
    """Channels first, red before green before blue, whatever the file's own order."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two" / below).mkdir(parents=True)
    write_cifar_binary(tmp_path / "one")
    write_layout(tmp_path / "two" / below)
    expected, actual = _load(tmp_path / "one"), _load(tmp_path / "two")
    assert expected.test is not None
    assert actual.test is not None
    for one, two in ((expected.train, actual.train), (expected.validation, actual.validation), (expected.test, actual.test)):
        assert np.array_equal(one.images, two.images)
        assert np.array_equal(one.labels, two.labels)
    assert expected.class_names == actual.class_names == CLASSES
    assert (len(actual.train), len(actual.validation), len(actual.test)) == (90, 10, 20)
    raw = np.concatenate([cifar_rows(20, seed)[0] for seed in range(6)]).reshape(-1, 3, 32, 32)
    assert np.array_equal(actual.test.images, raw[100:])
    assert actual.facts == _facts(tmp_path / "two")


@pytest.mark.parametrize("path", ["plain_text", "x/plain_text", "x", "x/data"])
def test_the_folder_of_the_shards_may_be_given(path: str, tmp_path: Path) -> None:
    folder = {"x": "x/plain_text"}.get(path, path)
    _published(tmp_path, folder, ("train-00000-of-00001.parquet",), "test-00000-of-00001.parquet")
    found = _facts(tmp_path, path=path)
    assert (found.train, found.validation, found.test) == (90, 10, 20)


def test_the_split_does_not_look_at_classes(tmp_path: Path) -> None:
    """As figures of the literature want it: the same images for every order of the classes."""
    write_cifar_binary(tmp_path)
    order = np.random.RandomState(0).permutation(100)
    validation = _load(tmp_path).validation
    assert validation.rows is not None
    assert validation.rows.tolist() == sorted(order[:10])


def test_facts_decode_no_image(tmp_path: Path) -> None:
    broken = [cells(1, size=32)[0][:60]] + [b"no picture"] * 19
    for part in ("train", "test"):
        write(tmp_path, f"cifar10-{part}.parquet", {"image": broken, "label": LABELS})
    found = _facts(tmp_path)
    assert (found.channels, found.height, found.width) == (3, 32, 32)
    with pytest.raises(InvalidFieldError, match=r"^path: '40 of 40 pictures' is not allowed"):
        _load(tmp_path)


@pytest.mark.parametrize(
    ("columns", "metadata", "complaint"),
    [
        ({"img": cells(20, size=32), "label": [*LABELS[1:], 10]}, None, r"row 19: label 10' .* class indices from 0 to 9$"),
        ({"img": cells(20, size=32), "label": [-1] * 20}, None, r"row 0: label -1' .* -1 says that a row has no label"),
        ({"img": cells(20, size=32), "label": [label + 1 for label in LABELS]}, None, r"labels up to 10' .* these count from 1$"),
        (
            {"img": cells(20, size=32), "label": ["cat", "fox"] * 10},
            None,
            r"row 1: label 'fox'\" .* one of the 10 classes: airplane",
        ),
        (
            {"img": cells(20, size=32), "fine_label": LABELS},
            None,
            r"no column is named as labels are.* img \(binary\), fine_label \(int64\)$",
        ),
        (
            {"img": cells(20, size=32), "image": cells(20), "label": LABELS},
            None,
            r"2 columns may be that of the images.* one of: image, img$",
        ),
        ({"img": ["a.png"] * 20, "label": LABELS}, None, r"'img: string' .* a column of image bytes"),
        (
            {"img": cells(20, size=32), "label": LABELS},
            {"classes": ",".join(sorted(CLASSES, reverse=True))},
            r"the metadata say truck, ship",
        ),
        (
            {"img": cells(20, size=32), "label": LABELS},
            {"classes": ",".join(CLASSES[:9])},
            r"the ten classes in the order airplane",
        ),
        ({"img": cells(20, size=32), "label": LABELS}, {"classes": "3"}, r"a JSON list of names, or names with commas"),
        ({"img": cells(20, size=28), "label": LABELS}, None, r"28x28 pixels: CIFAR-10 has 32x32"),
        ({"img": cells(1, size=600) * 20, "label": LABELS}, None, r"600x600 pixels: CIFAR-10 has 32x32"),
        (
            {"img": [*cells(19, size=32), *cells(1, size=33)], "label": LABELS},
            None,
            r"row 19 \(33x33 pixels: CIFAR-10 has 32x32\)",
        ),
        ({"img": [*cells(19, size=32), b""], "label": LABELS}, None, r"row 19 \(empty"),
        ({"img": [*cells(19, size=32), None], "label": LABELS}, None, r"row 19 \(no image\)$"),
        ({"img": [*cells(19, size=32), png(np.zeros((32, 32), np.uint8))], "label": LABELS}, None, r"row 19 \(grey \(mode L\)"),
        ({"img": [png(np.zeros((32, 32), np.uint16) + 9)] * 20, "label": LABELS}, None, r"\(grey \(mode I;16\)"),
        ({"img": [DEEP] * 20, "label": LABELS}, None, r"row 19 \(more than 8 bits a channel: CIFAR-10 has 8\)"),
    ],
    ids=range(18),
)
def test_tables_that_are_not_cifar_10_are_refused_without_settings_of_other_kinds(
    columns: dict[str, Any], metadata: dict[str, str] | None, complaint: str, tmp_path: Path
) -> None:
    for part in ("train", "test"):
        write(tmp_path, f"cifar10-{part}.parquet", columns, metadata)
    with pytest.raises(InvalidFieldError, match=rf"(?s)^path: .*{complaint}") as caught:
        _load(tmp_path)
    said = str(caught.value)
    assert not any(setting in said for setting in ("image_column", "label_column", "image_size", "channels", "in this setting"))


def test_what_was_decoded_for_another_dataset_is_not_taken_for_cifar_10(tmp_path: Path) -> None:
    """Parquet files of other pictures, which may have been read as such before."""
    for part in ("train", "test"):
        grey = [png(picture[:, :, 0]) for picture in pictures(20, seed=len(part), size=32)]
        write(tmp_path, f"cifar10-{part}.parquet", {"image": grey, "label": LABELS})
    cache = ImageCache(tmp_path / "cache", 10**9)
    Parquet.from_settings({"path": "cifar10-train.parquet", "test_path": "cifar10-test.parquet"}).load(tmp_path, cache)
    with pytest.raises(InvalidFieldError, match=r"grey \(mode L\): CIFAR-10 is in colour"):
        Cifar10.from_settings({}).load(tmp_path, cache)


def test_names_of_the_metadata_in_our_order_are_ours(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(
            tmp_path,
            f"cifar10-{part}.parquet",
            {"image": cells(20, size=32), "label": LABELS},
            SAID | {"classes": ",".join(CLASSES)},
        )
    assert _facts(tmp_path).class_names == CLASSES


def test_labels_may_be_the_names(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path, f"cifar10-{part}.parquet", {"image": cells(20, size=32), "label": [CLASSES[label] for label in LABELS]})
    assert Cifar10.from_settings({}).source(tmp_path).labels.tolist() == LABELS * 2


def test_a_batch_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (eval, ("1 + 1",))

    write_cifar_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({b"data": Evil(), b"labels": []}))
    with pytest.raises(InvalidFieldError, match=r"a published CIFAR-10 batch \(builtins\.eval has no place in one\)"):
        _facts(tmp_path)


def test_a_batch_that_asks_for_more_memory_than_there_is_is_refused(tmp_path: Path) -> None:
    class Huge:
        def __reduce__(self) -> tuple[object, tuple[tuple[int]]]:
            return (np.ndarray, ((10**15,),))

    write_cifar_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps({b"data": Huge(), b"labels": []}))
    with pytest.raises(InvalidFieldError, match="a published CIFAR-10 batch"):
        _facts(tmp_path)


@pytest.mark.parametrize(
    "batch",
    [
        [1, 2],
        {},
        {b"data": np.zeros((4, 3072), np.uint8)},
        {b"data": np.zeros((4, 3072), np.uint8), b"labels": [0, 1, 2]},
        {b"data": np.zeros((4, 3071), np.uint8), b"labels": [0, 1, 2, 3]},
        {b"data": [[2**70]], b"labels": [2**70]},
        {b"data": None, b"labels": None},
    ],
    ids=range(7),
)
def test_a_pickle_that_is_no_batch_is_named(batch: object, tmp_path: Path) -> None:
    write_cifar_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps(batch))
    with pytest.raises(InvalidFieldError, match=r"^path: 'cifar-10-batches-py/data_batch_2' .* a published CIFAR-10 batch"):
        _facts(tmp_path)


def test_a_damaged_pickle_is_named_or_read(tmp_path: Path) -> None:
    """Whatever bytes are wrong: no other error escapes."""
    write_cifar_python(tmp_path)
    file = tmp_path / "cifar-10-batches-py" / "test_batch"
    file.write_bytes(pickle.dumps({b"labels": LABELS, b"data": cifar_rows(20, 0)[0], b"filenames": [b"a.png"] * 20}, protocol=2))
    whole, drawn, refused = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(200):
        damaged = bytearray(whole[:600] if drawn.random() < 0.2 else whole)
        for place in drawn.integers(0, 400, 2):
            damaged[place] = drawn.integers(0, 256)
        file.write_bytes(damaged)
        try:
            _facts(tmp_path)
        except InvalidFieldError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("layout", ["bin", "py"])
def test_a_label_of_a_batch_that_is_out_of_range_is_named(layout: str, tmp_path: Path) -> None:
    data, labels = cifar_rows(20, 0)
    labels[7] = 11
    if layout == "bin":
        write_cifar_binary(tmp_path)
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], data], axis=1).tobytes()
        (tmp_path / "cifar-10-batches-bin" / "data_batch_2.bin").write_bytes(rows)
    else:
        write_cifar_python(tmp_path)
        (tmp_path / "cifar-10-batches-py" / "data_batch_2").write_bytes(pickle.dumps({b"data": data, b"labels": labels}))
    with pytest.raises(InvalidFieldError, match=r"^path: 'cifar-10-batches-\w+/data_batch_2.* row 7: label 11' .* from 0 to 9$"):
        _facts(tmp_path)


def test_a_truncated_batch_is_named(tmp_path: Path) -> None:
    write_cifar_binary(tmp_path)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_3.bin").write_bytes(b"\x00" * 3000)
    with pytest.raises(InvalidFieldError, match=r"data_batch_3\.bin.*records of 3073 bytes"):
        _facts(tmp_path)


@pytest.mark.parametrize("batch", BATCHES[1:])
def test_a_missing_batch_is_named(batch: str, tmp_path: Path) -> None:
    write_cifar_python(tmp_path)
    (tmp_path / "cifar-10-batches-py" / batch).unlink()
    with pytest.raises(InvalidFieldError, match=rf"^path: 'cifar-10-batches-py/{batch}' .* exists under the data root"):
        Cifar10.from_settings({}).check(tmp_path)


@pytest.mark.parametrize("write_layout", [write_cifar_parquet, _plain_text])
def test_missing_test_images_are_told(write_layout: Callable[[Path], None], tmp_path: Path) -> None:
    write_layout(tmp_path)
    next(tmp_path.rglob("*test*.parquet")).unlink()
    with pytest.raises(
        InvalidFieldError, match=r"^path: 'cifar10-test\.parquet'.* that exists|^path: 'plain_text' .* with the test files"
    ):
        Cifar10.from_settings({}).check(tmp_path)


def test_a_folder_without_any_layout_is_told_where_they_were_looked_for(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidFieldError, match=r"^path: '\.' .*under the data root \(NAS_DATA_ROOT\) that holds one of: .*cifar-10-batches-bin"
    ):
        Cifar10.from_settings({}).check(tmp_path)


@pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar10-train.parquet", "plain_text"])
def test_links_out_of_the_data_root_are_refused(name: str, tmp_path: Path) -> None:
    for write_layout in (write_cifar_python, write_cifar_parquet, _plain_text):
        write_layout(tmp_path)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / name).symlink_to(tmp_path / name)
    with pytest.raises(InvalidFieldError, match="a path inside the data root"):
        Cifar10.from_settings({}).check(tmp_path / "root")
