"""Messy folders, as people have them: what each must give."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_service.data.cache import ImageCache
from nas_service.data.datasets.image_folder import ImageFolder, ImageFolderSettings
from nas_service.data.source import PartName, Source
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import pictures, png, put, write_classes

LEFT = "left by systems and tools"


def _source(root: Path, **settings: object) -> Source:
    return ImageFolder(ImageFolderSettings.model_validate({"path": "d", **settings})).source(root)


def _counted(source: Source) -> dict[str, int]:
    return dict(zip(source.class_names, np.bincount(source.labels, minlength=len(source.class_names)).tolist(), strict=True))


def _junk(*names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        write_classes(root, "cat", "dog")
        put(root, *names, content=b"\0\5\x16\7")

    return write


def _parts(*parts: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for part in parts:
            write_classes(root / part, "cat", "dog")

    return write


def _also(first: Callable[[Path], None], *names: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        first(root)
        put(root, *names)

    return write


def _also_folder(first: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        first(root)
        (root / name).mkdir()

    return write


def _nothing(root: Path) -> None:
    write_classes(root, "cat", "dog")


TWO = {"cat": 2, "dog": 2}
READ: dict[str, tuple[Callable[[Path], None], dict[str, Any], dict[str, int], dict[str, int]]] = {
    # what is written, settings, images by class, files left out
    "plain": (_nothing, {}, TWO, {}),
    "a notebook's checkpoints": (_also(_nothing, ".ipynb_checkpoints/0-checkpoint.png"), {}, TWO, {LEFT: 1}),
    "a notebook's checkpoints in a class": (_also(_nothing, "cat/.ipynb_checkpoints/0.png"), {}, TWO, {LEFT: 1}),
    "a zip from a Mac": (_junk("__MACOSX/cat/._0.png"), {}, TWO, {LEFT: 1}),
    "AppleDouble files": (_junk("cat/._0.png", "._cat"), {}, TWO, {LEFT: 2}),
    "a Synology disk": (_junk("@eaDir/cat@SynoEAStream", "cat/@eaDir/0.png/SYNOPHOTO_THUMB_M.jpg"), {}, TWO, {LEFT: 2}),
    "a QNAP disk": (_junk("cat/@__thumb/s1000.jpg"), {}, TWO, {LEFT: 1}),
    "a repository": (_junk(".git/HEAD", ".gitattributes"), {}, TWO, {LEFT: 2}),
    "a Windows disk": (
        _junk("$RECYCLE.BIN/x.png", "System Volume Information/x", "cat/Thumbs.db", "desktop.ini"),
        {},
        TWO,
        {LEFT: 4},
    ),
    "a trash of Linux": (_junk(".Trash-1000/files/0.png", "lost+found/0.png", "cat/0.png~"), {}, TWO, {LEFT: 3}),
    "lists beside the pictures": (
        _junk("labels.csv", "cat/notes.txt", "cat/README"),
        {},
        TWO,
        {"no picture that is read: .csv": 1, "no picture that is read: .txt": 1, "no picture that is read: no suffix": 1},
    ),
    "pictures beside the classes": (_also(_nothing, "cover.png"), {}, TWO, {"pictures beside the folders of the classes": 1}),
    "other suffixes": (
        _also(_nothing, "cat/a.jfif", "cat/b.JPEG", "cat/c.jpe", "dog/d.TIF", "dog/e.avif"),
        {},
        {"cat": 5, "dog": 4},
        {},
    ),
    "phone photos": (_also(_nothing, "cat/IMG_1.HEIC"), {}, TWO, {"no picture that is read: .heic": 1}),
    "names with all sorts of letters": (
        lambda root: write_classes(root, "a|b", "c d", "ümläut", "犬", "<b>", "-1", "👩‍🔬"),
        {},
        {"-1": 2, "<b>": 2, "a|b": 2, "c d": 2, "ümläut": 2, "犬": 2, "👩‍🔬": 2},
        {},
    ),
    "pictures deeper, as one class": (
        _also(_nothing, "cat/2024/x.png", "cat/2025/may/y.png"),
        {"nested": "first"},
        {"cat": 4, "dog": 2},
        {},
    ),
    "pictures deeper, as classes": (
        lambda root: write_classes(root, "pets/cat", "pets/dog", "wild/cat"),
        {"nested": "full"},
        {"pets/cat": 2, "pets/dog": 2, "wild/cat": 2},
        {},
    ),
    "one folder around them, as classes": (
        lambda root: write_classes(root, "pets/cat", "pets/dog"),
        {"nested": "full"},
        {"pets/cat": 2, "pets/dog": 2},
        {},
    ),
    "a class that is called train": (
        lambda root: write_classes(root, "bus", "train", "car"),
        {},
        {"bus": 2, "car": 2, "train": 2},
        {},
    ),
    "classes that are called train and test": (
        lambda root: write_classes(root, "train", "test"),
        {},
        {"test": 2, "train": 2},
        {},
    ),
    "parts taken for classes": (_parts("train", "test"), {"layout": "classes", "nested": "first"}, {"test": 4, "train": 4}, {}),
    "empty folders of tools": (
        _also_folder(_nothing, ".ipynb_checkpoints"),
        {},
        TWO,
        {LEFT: 1},
    ),
}


@pytest.mark.parametrize("name", READ)
def test_messy_folders_are_read_as_their_owners_mean_them(name: str, tmp_path: Path) -> None:
    write, settings, counts, skipped = READ[name]
    write(tmp_path / "d")
    source = _source(tmp_path, **settings)
    assert _counted(source) == counts
    assert dict(source.skipped) == skipped
    assert source.given == {}


GIVEN: dict[str, tuple[tuple[str, ...], dict[PartName, int]]] = {
    "train and test": (("train", "test"), {PartName.TEST: 4}),
    "capitals": (("Train", "Test", "Valid"), {PartName.VALIDATION: 4, PartName.TEST: 4}),
    "train and val": (("train", "val"), {PartName.VALIDATION: 4}),
    "all three": (("training", "validation", "testing"), {PartName.VALIDATION: 4, PartName.TEST: 4}),
}


@pytest.mark.parametrize("name", GIVEN)
def test_given_parts_are_used_for_nothing_else(name: str, tmp_path: Path) -> None:
    parts, given = GIVEN[name]
    _parts(*parts)(tmp_path / "d")
    dataset = ImageFolder(ImageFolderSettings(path="d", crop_padding=0))
    source = dataset.source(tmp_path)
    assert {part: len(rows) for part, rows in source.given.items()} == given
    names = [name for name, _ in source.images.contents()]  # type: ignore[attr-defined]
    for part, rows in dataset.split(source).parts().items():
        folders = {names[row].split("/")[1].lower()[:3] for row in rows}
        assert folders == ({part[:3]} if part in given or part is PartName.TRAIN else {"tra"})


REFUSED: dict[str, tuple[Callable[[Path], None], dict[str, Any], str]] = {
    "empty classes, all named": (
        _also(_also_folder(_nothing, "eel"), "fox/a.txt"),
        {},
        r"path: 'd/eel, d/fox' .* at least one picture .*; left out: 1 no picture that is read: \.txt",
    ),
    "no classes": (lambda root: put(root, "1.png", "2.png"), {}, r"the 2 pictures that lie in it have no class"),
    "one class": (lambda root: write_classes(root, "cat"), {}, r"path: 'd' .* at least two folders of classes$"),
    "one folder around the classes": (lambda root: write_classes(root, "d/cat", "d/dog"), {}, r"is path=d/d meant\?"),
    "pictures deeper": (
        lambda root: write_classes(root, "cat", "dog/small", "dog/big"),
        {},
        r"nested: 'not set, .* lie in d/dog/big' .* nested=first \(all .* are one class, dog\), or nested=full .* as dog/big",
    ),
    "parts and something else": (
        _also(_parts("train", "test"), "extra/cat/0.png"),
        {},
        r"layout: 'auto, and beside train there is extra' .* left out",
    ),
    "parts and pictures in one of them": (
        _also(_parts("train", "test"), "test/0.png"),
        {},
        r"path: 'pictures without classes in d/test, the test part' .* path=d/train reads the images that have classes",
    ),
    "two folders for a part": (
        _parts("train", "val", "valid"),
        {},
        r"path: 'val and valid' .* one folder for the validation part",
    ),
    "parts without one to train with": (_parts("val", "test"), {"layout": "parts"}, r"layout: .* a folder `train`"),
    "a class in the test part alone": (
        _also(_parts("train", "test"), "test/eel/0.png"),
        {},
        r"path: 'test images of eel' .* classes that have training images",
    ),
    "a name with a line break": (
        lambda root: write_classes(root, "cat", "c\nd"),
        {},
        r"class c\\\\nd' .* without control characters",
    ),
    "a name that steers a terminal": (lambda root: write_classes(root, "cat", "\x1b[31mred"), {}, r"class \\\\x1b\[31mred"),
    "a name that is written backwards": (lambda root: write_classes(root, "cat", "a\u202eb"), {}, r"class a\\\\u202eb"),
    "names that look alike": (
        lambda root: write_classes(root, "caf\u00e9", "cafe\u0301"),
        {},
        r"two classes \\?'café.* look different: 'cafe\\u0301' and 'caf\\xe9' do not",
    ),
    "a name with a space behind it": (lambda root: write_classes(root, "cat", "cat "), {}, r"two classes 'cat'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_told_is_refused_with_what_helps(name: str, tmp_path: Path) -> None:
    write, settings, said = REFUSED[name]
    write(tmp_path / "d")
    with pytest.raises(InvalidFieldError, match=said) as caught:
        _source(tmp_path, **settings)
    assert str(tmp_path) not in str(caught.value)
    str(caught.value).encode()


def test_a_name_that_is_no_text_is_refused_and_shown_escaped(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", os.fsdecode(b"caf\xe9"))
    with pytest.raises(InvalidFieldError, match=r"class caf\\\\xe9' .* text in UTF-8") as caught:
        _source(tmp_path)
    str(caught.value).encode()


def test_pictures_whose_names_are_no_text_are_read(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog")
    put(tmp_path / "d", os.fsdecode(b"cat/caf\xe9.png"))
    source = _source(tmp_path)
    assert _counted(source) == {"cat": 3, "dog": 2}
    loaded = ImageFolder(ImageFolderSettings(path="d", validation_fraction=0.4)).load(tmp_path)
    assert loaded.facts.class_names == ("cat", "dog")


def test_all_broken_pictures_are_named_at_once_by_reason(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog", each=4)
    put(tmp_path / "d", "cat/9.png", os.fsdecode(b"dog/\xff.png"), content=b"")
    put(tmp_path / "d", "cat/8.png", content=b"<html>not found</html>")
    (tmp_path / "d" / "dog" / "7.png").write_bytes(png(pictures(1)[0])[:-30])
    (tmp_path / "d" / "dog" / "6.png").symlink_to(tmp_path / "d" / "gone.png")
    with pytest.raises(InvalidFieldError) as caught:
        ImageFolder(ImageFolderSettings(path="d")).load(tmp_path, ImageCache(tmp_path / "cache", 10**9))
    said = str(caught.value)
    assert said.startswith("path: '5 of 13 pictures' is not allowed; allowed: pictures that can be read, unlike")
    for name in ("d/cat/9.png", "d/dog/\\xff.png", "d/cat/8.png", "d/dog/7.png", "d/dog/6.png"):
        assert name in said
    assert str(tmp_path) not in said


def test_many_broken_pictures_are_counted(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog")
    put(tmp_path / "d", *(f"cat/x{number}.png" for number in range(30)), content=b"")
    with pytest.raises(InvalidFieldError, match=r"30 of 34 pictures.*; and 10 more$"):
        ImageFolder(ImageFolderSettings(path="d", image_size=8)).load(tmp_path)


def test_pictures_of_other_sizes_are_named_with_what_helps(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog")
    (tmp_path / "d" / "dog" / "9.png").write_bytes(png(pictures(1, size=9)[0]))
    with pytest.raises(
        InvalidFieldError, match=r"1 of 5 pictures.*d/dog/9.png \(9x9 pixels, not 12x12 as the first: set image_size\)"
    ):
        ImageFolder(ImageFolderSettings(path="d")).load(tmp_path)
    assert ImageFolder(ImageFolderSettings(path="d", image_size=10)).load(tmp_path).facts.height == 10


def test_large_pictures_want_a_size(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog")
    (tmp_path / "d" / "cat" / "0.png").write_bytes(png(pictures(1, size=600)[0]))
    with pytest.raises(InvalidFieldError, match=r"image_size: 'not set, and d/cat/0.png has 600x600 pixels' .* from 4 to 512"):
        ImageFolder(ImageFolderSettings(path="d")).facts(tmp_path)


def test_a_pipe_and_a_circle_of_links_hang_nobody(tmp_path: Path) -> None:
    write_classes(tmp_path / "d", "cat", "dog")
    os.mkfifo(tmp_path / "d" / "cat" / "pipe.png")
    (tmp_path / "d" / "cat" / "link.png").symlink_to("pipe.png")
    assert dict(_source(tmp_path).skipped) == {"no regular file": 2}
    (tmp_path / "d" / "cat" / "again").symlink_to(tmp_path / "d" / "cat", target_is_directory=True)
    with pytest.raises(InvalidFieldError, match="circle of links"):
        _source(tmp_path, nested="first")


def test_links_out_of_the_data_root_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_classes(root / "d", "cat", "dog")
    put(tmp_path, "secret.png")
    (root / "d" / "cat" / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(InvalidFieldError, match="inside the data root"):
        _source(root)


def test_a_part_that_is_given_without_images_is_refused_or_not_there(tmp_path: Path) -> None:
    _parts("train", "test")(tmp_path / "d")
    (tmp_path / "d" / "val").mkdir()
    assert set(_source(tmp_path).given) == {PartName.TEST}
    assert set(_source(tmp_path, layout="parts").given) == {PartName.TEST}
    put(tmp_path / "d" / "val", "notes.txt", content=b"x")
    assert set(_source(tmp_path).given) == {PartName.TEST}
    dataset, source = ImageFolder(ImageFolderSettings(path="d")), _source(tmp_path)
    with pytest.raises(InvalidFieldError, match=r"path: 'no validation image' .* since it is given"):
        dataset.split(replace(source, given={**source.given, PartName.VALIDATION: np.array([], np.int64)}))


def test_composed_and_decomposed_names_of_parts_are_one_class(tmp_path: Path) -> None:
    write_classes(tmp_path / "d" / "train", "caf\u00e9", "dog")
    write_classes(tmp_path / "d" / "test", "cafe\u0301", "dog")
    assert _source(tmp_path).class_names == ("caf\u00e9", "dog")
