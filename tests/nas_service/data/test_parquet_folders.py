"""Folders of parquet files as they are published: which files are read, and as which part."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import png
from tests.nas_service.data.tables import (
    cells,
    class_label,
    contents,
    facts,
    features,
    load,
    source,
    structs,
    write,
    write_labels,
)

SAID = features(image={"_type": "Image"}, label=class_label("cat", "dog"))


def _publish(root: Path, *names: str) -> None:
    """Write tables of four rows each."""
    for name in names:
        write(root, f"d/{name}", {"image": structs(cells(4)), "label": [0, 1, 0, 1]}, SAID)


def _parts(root: Path, path: str = "d") -> dict[str, list[str]]:
    """Return the names of the files of every part, in the order in which they are read."""
    found = source(root, path)
    named = [name.rpartition(" row ")[0].removeprefix("d/") for name, _ in contents(found)]
    held = {str(part): [named[row] for row in rows] for part, rows in found.given.items()}
    rest = sorted(set(range(len(named))) - {int(row) for rows in found.given.values() for row in rows})
    files = {"train": [named[row] for row in rest], **held}
    return {part: list(dict.fromkeys(names)) for part, names in files.items()}


def test_a_published_folder_keeps_its_parts(tmp_path: Path) -> None:
    """As `datasets` uploads it, beside a card and settings of git."""
    (tmp_path / "d").mkdir()
    for junk in ("README.md", ".gitattributes", "dataset_infos.json", "_SUCCESS", ".hidden.parquet", "._train.parquet"):
        (tmp_path / "d" / junk).write_text("junk")
    (tmp_path / "d" / ".cache").mkdir()
    (tmp_path / "d" / ".cache" / "train-00000-of-00001.parquet").write_text("junk")
    files = {"train": 2, "validation": 1, "test": 1}
    _publish(tmp_path, *(f"data/{part}-{n:05}-of-{count:05}.parquet" for part, count in files.items() for n in range(count)))
    assert _parts(tmp_path) == {
        "train": ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
        "validation": ["data/validation-00000-of-00001.parquet"],
        "test": ["data/test-00000-of-00001.parquet"],
    }
    found = facts(tmp_path, "d")
    assert (found.train, found.validation, found.test) == (8, 4, 4)
    assert (found.skipped, found.warnings) == ({}, ())
    loaded = load(tmp_path, "d")
    assert loaded.test is not None
    assert loaded.test.rows is not None
    assert loaded.test.rows.tolist() == [12, 13, 14, 15]
    assert loaded.name == "d"


@pytest.mark.parametrize(
    "parts",
    [
        {"train": ["plain_text/train-00000-of-00001.parquet"], "test": ["plain_text/test-00000-of-00001.parquet"]},
        {"train": ["default/train/0000.parquet", "default/train/0001.parquet"], "test": ["default/test/0000.parquet"]},
        {"train": ["Train.parquet"], "validation": ["VAL.parquet"]},
        {"train": ["Training/a.parquet"], "validation": ["dev/a.parquet"]},
        {"train": ["train.parquet"], "test": ["testing.PARQUET"]},
        {"train": ["train_1.parquet", "train_9.parquet", "train_10.parquet"], "validation": ["valid_1.parquet"]},
        {"train": ["mine-train.parquet"], "test": ["mine-test.parquet"]},
        {"train": ["train.parquet/part-0.parquet"], "test": ["test.parquet/part-0.parquet"]},
        {"train": ["train-00000-of-00001-b42a5b5ddd9be2c5.parquet"], "test": ["test-00000-of-00001-0f7b1c2d3e4f5a6b.parquet"]},
        {"train": ["train-00001-of-00002.parquet", "train-00002-of-00002.parquet"]},
        {"train": [f"train-{number}-of-11.parquet" for number in range(11)]},
        {"train": ["data.parquet"]},
        {"train": ["0000.parquet", "0001.parquet"]},
        {"train": ["00000-of-00002.parquet", "00001-of-00002.parquet"]},
        {"train": ["data-00000-of-00002.parquet", "data-00001-of-00002.parquet"]},
        {"train": ["contest.parquet", "latest.parquet"]},
        {"train": ["part-00000-3f0e-c000.snappy.parquet"]},
        {"train": ["x/y/train.parquet"], "validation": ["x/y/validation.parquet"], "test": ["x/y/test.parquet"]},
    ],
    ids=range(18),
)
def test_the_part_is_what_name_or_folder_says(parts: dict[str, list[str]], tmp_path: Path) -> None:
    _publish(tmp_path, *(name for names in reversed(parts.values()) for name in reversed(names)))
    assert _parts(tmp_path) == parts


@pytest.mark.parametrize(
    ("names", "skipped"),
    [
        (("train-00000-of-00001", "unsupervised-00000-of-00002", "unsupervised-00001-of-00002"), {"split unsupervised": 2}),
        (("train", "test", "extra"), {"split extra": 1}),
        (
            ("x/train-00000-of-00001", "x/extra-00000-of-00001", "x/holdout-00000-of-00001"),
            {"split extra": 1, "split holdout": 1},
        ),
        (("x/train/0000", "x/extra/0000", "x/extra/0001"), {"split extra": 2}),
        (("data", "unlabeled"), {"split unlabeled": 1}),
    ],
)
def test_other_splits_are_left_out_and_told(names: tuple[str, ...], skipped: dict[str, int], tmp_path: Path) -> None:
    _publish(tmp_path, *(f"{name}.parquet" for name in names))
    found = source(tmp_path, "d")
    assert found.skipped == skipped
    assert found.warnings == tuple(f"{count} file(s) of the {split} are left out" for split, count in skipped.items())
    assert len(found.labels) == 4 * (len(names) - sum(skipped.values()))


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (
            ("train-00000-of-00003", "train-00001-of-00003"),
            r"^path: 'train-00000-of-00003.*all 3 train shards: 2 .* number 2 is missing",
        ),
        (("train-00001-of-00003", "train-00002-of-00003"), "number 0 is missing"),
        (("train-00000-of-99999999999",), "number 1 is missing"),
        (("train", "test-00001-of-00002"), "all 2 test shards: 1 are there, number 0 is missing"),
        (
            ("train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"),
            r"train shards of one numbering: those of another hold",
        ),
        (("train", "train-00000-of-00001"), "train shards of one numbering"),
        (
            ("train-00000-of-00001-aaaaaaaa", "train-00000-of-00001-bbbbbbbb"),
            "each train shard once; there are several of number 0",
        ),
        (("train", "data/train"), r"^path: 'train files in \., data' is not allowed; allowed: all train files in one folder"),
        (("train-0", "train/0"), "all train files in one folder"),
        (
            ("en/train-00000-of-00001", "de/train-00000-of-00001"),
            "a folder with one data set; this one has several: path=d/de, path=d/en",
        ),
        (("en/train/0000", "de/train/0000", "de/test/0000"), "several: path=d/de, path=d/en"),
        (("data/en/train", "data/de/train"), "several: path=d/data/de, path=d/data/en"),
        (("train", "more/train"), r"several: path=d, path=d/more"),
        (("label=cat/0", "label=dog/0"), "values in the names of folders are not read: label=cat, label=dog"),
        (("test-00000-of-00001",), "a folder with a train split; this one has test"),
        (("validation", "test"), "a folder with a train split; this one has test, validation"),
        (("unsupervised-00000-of-00001",), "a folder with a train split; this one has unsupervised"),
        (("cats-00000-of-00001", "dogs-00000-of-00001"), "a folder with a train split; this one has cats, dogs"),
        (("train", "test", "data"), r"files whose names all say their part, as test\.parquet does; not so data\.parquet"),
        (("train/test-0", "train/train-0"), "a file of one part: its folder says train, its name test"),
    ],
    ids=range(20),
)
def test_what_is_not_one_whole_data_set_is_refused(names: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    _publish(tmp_path, *(f"{name}.parquet" for name in names))
    with pytest.raises(InvalidFieldError, match=complaint):
        source(tmp_path, "d")


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "d" / "empty").mkdir(parents=True)
    (tmp_path / "d" / "train.csv").write_text("image,label")
    with pytest.raises(InvalidFieldError, match=r"no file below this one ends with \.parquet$"):
        source(tmp_path, "d")


def test_the_beginning_of_a_split_is_told(tmp_path: Path) -> None:
    """Hugging Face converts no more than some GB of other formats."""
    _publish(tmp_path, "default/partial-train/0000.parquet", "default/test/0000.parquet")
    assert source(tmp_path, "d").warnings == ("only the beginning of train is there, says the folder's name",)


def test_one_shard_of_several_may_be_asked_for_and_is_told(tmp_path: Path) -> None:
    _publish(tmp_path, "x/train-00000-of-00002.parquet")
    found = source(tmp_path, "d/x/train-00000-of-00002.parquet")
    assert found.warnings == ("d/x/train-00000-of-00002.parquet is one shard of 2; path=d/x reads all of them",)
    assert found.given == {}


def test_a_file_is_trained_with_whatever_its_name(tmp_path: Path) -> None:
    _publish(tmp_path, "test-00000-of-00001.parquet")
    found = source(tmp_path, "d/test-00000-of-00001.parquet")
    assert (len(found.labels), found.given, found.warnings) == (4, {}, ())


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (
            {"image": structs(cells(2)), "label": ["cat", "dog"]},
            r"^path: 'd/train-1\.parquet has string in column label' .* int64, as d/train-0",
        ),
        (
            {"image": cells(2), "label": [0, 1]},
            r"train-1\.parquet has binary in column image' .* struct<bytes.*, as d/train-0\.parquet",
        ),
        ({"img": structs(cells(2)), "label": [0, 1]}, r"train-1\.parquet has no column image' .* one such column each"),
        ({"image": structs(cells(2)), "fine": [0, 1]}, r"train-1\.parquet has no column label'"),
    ],
)
def test_shards_that_differ_are_refused(other: dict[str, object], complaint: str, tmp_path: Path) -> None:
    _publish(tmp_path, "train-0.parquet")
    write(tmp_path, "d/train-1.parquet", other)
    with pytest.raises(InvalidFieldError, match=complaint):
        source(tmp_path, "d")


def test_shards_may_differ_in_what_is_not_read_and_in_the_size_of_numbers(tmp_path: Path) -> None:
    write(tmp_path, "d/train-0.parquet", {"image": structs(cells(4)), "label": pa.array([0, 1, 0, 1], pa.int8())})
    write(tmp_path, "d/train-1.parquet", {"label": pa.array([1.0, 0.0]), "note": ["x", "y"], "image": structs(cells(2))})
    write(tmp_path, "d/train-2.parquet", {"image": structs([]), "label": pa.array([], pa.uint64())})
    assert source(tmp_path, "d").labels.tolist() == [0, 1, 0, 1, 1, 0]


def test_rows_stay_with_their_labels_over_shards_and_parts(tmp_path: Path) -> None:
    """Every picture is of one brightness, which its label says; all parts are read in one go."""
    for part, count in (("train", 3), ("validation", 1), ("test", 2)):
        for shard in range(count):
            labels = np.random.default_rng(shard).integers(0, 4, 40)
            grey = [png(np.full((4, 4, 3), 60 * label, np.uint8)) for label in labels]
            columns = {"image": structs(grey), "label": labels}
            write(tmp_path, f"d/{part}-{shard}-of-{count}.parquet", columns, {"classes": "a,b,c,d"}, row_group_size=7)
    loaded = load(tmp_path, "d")
    assert loaded.test is not None
    assert [len(part) for part in (loaded.train, loaded.validation, loaded.test)] == [120, 40, 80]
    for images in (loaded.train, loaded.validation, loaded.test):
        assert np.array_equal(images.images[:, 0, 0, 0], 60 * images.labels)


def test_a_folder_that_has_test_files_takes_no_others(tmp_path: Path) -> None:
    _publish(tmp_path, "train.parquet", "test.parquet")
    write_labels(tmp_path, [0, 1], name="held.parquet")
    with pytest.raises(
        InvalidFieldError, match=r"^test_path: 'held\.parquet' .* not set, since the folder `path` has test files"
    ):
        source(tmp_path, "d", test_path="held.parquet")


@pytest.mark.parametrize("held", ["d/train.parquet", "link.parquet"])
def test_images_that_are_trained_with_are_no_test_images(held: str, tmp_path: Path) -> None:
    _publish(tmp_path, "train.parquet")
    (tmp_path / "link.parquet").symlink_to("d/train.parquet")
    with pytest.raises(InvalidFieldError, match=r"^test_path: .* another file than those that are trained with"):
        source(tmp_path, "d", test_path=held)


def test_test_images_in_a_folder_are_refused(tmp_path: Path) -> None:
    _publish(tmp_path, "train.parquet")
    with pytest.raises(InvalidFieldError, match=r"^test_path: 'd' is not allowed; allowed: a file$"):
        source(tmp_path, "d", test_path="d")


def test_links_within_the_data_root_are_followed(tmp_path: Path) -> None:
    """The cache of Hugging Face keeps files under their digests, and links to them under their names."""
    _publish(tmp_path, "blobs/0f3a", "blobs/77bc")
    (tmp_path / "d" / "snapshot").mkdir()
    for name, blob in (("train-00000-of-00001.parquet", "0f3a"), ("test-00000-of-00001.parquet", "77bc")):
        (tmp_path / "d" / "snapshot" / name).symlink_to(f"../blobs/{blob}")
    assert _parts(tmp_path, "d/snapshot") == {
        "train": ["snapshot/train-00000-of-00001.parquet"],
        "test": ["snapshot/test-00000-of-00001.parquet"],
    }


@pytest.mark.parametrize("name", ["train.parquet", "train"])
def test_links_out_of_the_data_root_are_refused(name: str, tmp_path: Path) -> None:
    _publish(tmp_path, "train/0.parquet", "train.parquet")
    (tmp_path / "root" / "d").mkdir(parents=True)
    (tmp_path / "root" / "d" / name).symlink_to(tmp_path / "d" / name)
    with pytest.raises(InvalidFieldError, match=rf"^path: 'd/{name}' is not allowed; allowed: a path inside the data root"):
        source(tmp_path / "root", "d")


def test_a_link_to_nothing_is_named(tmp_path: Path) -> None:
    _publish(tmp_path, "test.parquet")
    (tmp_path / "d" / "train.parquet").symlink_to("nowhere.parquet")
    with pytest.raises(
        InvalidFieldError, match=r"^path: 'd/train\.parquet' is not allowed; allowed: a file or folder that exists"
    ):
        source(tmp_path, "d")


def test_links_in_circles_end(tmp_path: Path) -> None:
    _publish(tmp_path, "train.parquet")
    (tmp_path / "d" / "again").symlink_to(".")
    (tmp_path / "d" / "circle.parquet").symlink_to("circle.parquet")
    with pytest.raises(InvalidFieldError, match=r"a folder with one data set|a circle of links"):
        source(tmp_path, "d")


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "d" / "train.parquet")
    for path in ("d", "d/train.parquet"):
        with pytest.raises(InvalidFieldError, match=r"^path: 'd/train\.parquet' is not allowed; allowed: a file$"):
            source(tmp_path, path)


def test_names_that_would_steer_a_terminal_are_escaped(tmp_path: Path) -> None:
    _publish(tmp_path, "train-\x1b[31m-0-of-2.parquet", "extra-\x1b[31m-0-of-1.parquet")
    with pytest.raises(InvalidFieldError) as caught:
        source(tmp_path, "d")
    assert "\x1b" not in str(caught.value)
    _publish(tmp_path, "train-\x1b[31m-1-of-2.parquet")
    found = source(tmp_path, "d")
    assert not any("\x1b" in text for text in (*found.skipped, *found.warnings))
