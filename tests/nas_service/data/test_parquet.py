"""Parquet files: their columns, their images, and what is said of bad ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_service.data.datasets.parquet import Parquet
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import pictures, png, write_parquet
from tests.nas_service.data.tables import (
    STRUCT,
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

LABELS = [0, 1] * 4
IMAGE = {"_type": "Image"}
HEADER_BYTES = 60  # of a PNG: its size is told, its pixels are cut off


@pytest.mark.parametrize(
    "images",
    [
        pa.array(cells(8), pa.binary()),
        pa.array(cells(8), pa.large_binary()),
        pa.array(cells(8), pa.binary_view()),
        structs(cells(8)),
        structs(cells(8), path="a.png"),
        pa.array([{"path": "a.png", "bytes": cell, "width": 12} for cell in cells(8)]),
        pa.array([{"bytes": cell} for cell in cells(8)], pa.struct([("bytes", pa.large_binary())])),
    ],
    ids=lambda images: str(images.type),
)
def test_images_are_read_from_bytes_and_structs(images: Any, tmp_path: Path) -> None:  # noqa: ANN401
    write(tmp_path, "t.parquet", {"image": images, "label": LABELS})
    dataset = load(tmp_path)
    assert dataset.test is not None
    parts = (dataset.train, dataset.validation, dataset.test)
    expected = pictures(8).transpose(0, 3, 1, 2)
    for part in parts:
        assert part.rows is not None
        assert np.array_equal(part.images, expected[part.rows])
    assert sum(map(len, parts)) == 8


def test_no_image_is_decoded_for_facts(tmp_path: Path) -> None:
    broken = [png(pictures(1)[0])[:HEADER_BYTES]] + [b"no picture"] * 29
    write(tmp_path, "t.parquet", {"image": broken, "label": [row % 3 for row in range(30)]})
    found = facts(tmp_path)
    assert (found.channels, found.height, found.width) == (3, 12, 12)
    assert found.train + found.validation + found.test == 30
    with pytest.raises(
        InvalidFieldError, match=r"^path: '30 of 30 pictures' is not allowed; allowed: .* unlike t\.parquet row 0"
    ):
        load(tmp_path)


@pytest.mark.parametrize(
    ("columns", "metadata", "image", "label"),
    [
        (("image", "label"), None, "image", "label"),
        (("img", "target"), None, "img", "target"),
        (("picture", "class"), None, "picture", "class"),
        (("image.png", "labels"), None, "image.png", "labels"),
        (("x", "y"), features(x=IMAGE, y=class_label("cat", "dog")), "x", "y"),
        (("x", "image", "label", "y"), features(x=IMAGE, y=class_label("cat", "dog")), "x", "y"),
    ],
)
def test_columns_are_found(
    columns: tuple[str, ...], metadata: dict[str, str] | None, image: str, label: str, tmp_path: Path
) -> None:
    """What their owner says of them goes before what they are called."""
    table = {name: LABELS if name in ("label", "labels", "target", "class", "y") else cells(8) for name in columns}
    write(tmp_path, "t.parquet", {"note": ["a note"] * 8, **table}, metadata)
    found = source(tmp_path)
    assert found.images.reading["column"] == image
    assert found.class_names == (("cat", "dog") if label == "y" else ("0", "1"))
    assert len(contents(found)) == 8


def test_a_column_that_can_hold_no_images_is_none_of_those_that_may(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", {"image": ["a.png"] * 8, "img": cells(8), "label": [[0]] * 8, "target": LABELS})
    assert source(tmp_path).images.reading["column"] == "img"
    assert source(tmp_path).labels.tolist() == LABELS


def test_cifar_100_asks_which_labels_are_meant(tmp_path: Path) -> None:
    """As Hugging Face has it."""
    said = features(img=IMAGE, fine_label=class_label("apple", "boy"), coarse_label=class_label("fruit", "people"))
    write(tmp_path, "t.parquet", {"img": structs(cells(8)), "fine_label": LABELS, "coarse_label": LABELS}, said)
    with pytest.raises(InvalidFieldError, match=r"^label_column: .*2 columns .* allowed: one of: fine_label, coarse_label$"):
        source(tmp_path)
    assert source(tmp_path, label_column="coarse_label").class_names == ("fruit", "people")


@pytest.mark.parametrize(
    ("columns", "settings", "complaint"),
    [
        ({"image": cells(8), "img": cells(8), "label": LABELS}, {}, r"^image_column: .*2 columns .* one of: image, img$"),
        ({"a": cells(8), "b": cells(8), "label": LABELS}, {}, r"^image_column: .* one of: a, b$"),
        ({"image": cells(8), "label": LABELS, "class": LABELS}, {}, r"^label_column: .* one of: label, class$"),
        (
            {"image": cells(8), "y": LABELS},
            {},
            r"^label_column: .*no column is named as labels are.* image \(binary\), y \(int64\)$",
        ),
        (
            {"pixels": [[0, 1]] * 8, "label": LABELS},
            {},
            r"^image_column: .*no column is named .* pixels \(list<element: int64>\)",
        ),
        ({"image": ["a.png"] * 8, "label": LABELS}, {}, r"^image_column: 'image: string' .* a column of image bytes"),
        ({"image": [[0, 1]] * 8, "label": LABELS}, {}, r"^image_column: 'image: list<"),
        (
            {"image": [{"path": "x.png"}] * 8, "label": LABELS},
            {},
            r"^image_column: 'image: struct<path: string>' .* structs with `bytes`",
        ),
        (
            {"image": cells(8), "label": LABELS},
            {"label_column": "klass"},
            r"^label_column: 'klass' .* allowed: one of: image, label$",
        ),
        ({"image": cells(8), "label": LABELS}, {"label_column": "image"}, r"^label_column: 'image: binary'"),
        ({"image": cells(8), "label": LABELS}, {"image_column": "label"}, r"^image_column: 'label: int64'"),
        ({"image": cells(8), "label": LABELS}, {"image_column": ""}, r"^image_column: '' .* one of: image, label$"),
        ({"image": [], "label": pa.array([], pa.int64())}, {"image_column": "image"}, r"^image_column: 'image: null'"),
        ({"image": pa.array([], pa.binary()), "label": pa.array([], pa.int64())}, {}, r"^path: 't\.parquet has no row' "),
    ],
    ids=range(14),
)
def test_columns_that_do_not_fit_are_named(
    columns: dict[str, Any], settings: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    write(tmp_path, "t.parquet", columns)
    with pytest.raises(InvalidFieldError, match=complaint):
        source(tmp_path, **settings)


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(cells(8)), pa.array(LABELS), pa.array(LABELS)], names=["image", "label", "label"])
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InvalidFieldError, match=r"^path: 't\.parquet has more than one column label'"):
        source(tmp_path)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (
            structs([*cells(3), None, *cells(4)], path="cat/3.png"),
            r"row 3 \(no bytes, only the path 'cat/3\.png': embed",
        ),
        (structs([*cells(3), None, *cells(4)]), r"row 3 \(no image\)$"),
        (
            pa.array([*({"bytes": cell, "path": ""} for cell in cells(7)), None], STRUCT),
            r"row 7 \(no image\)$",
        ),
        (pa.array([None, *cells(7)]), r"row 0 \(no image\)$"),
    ],
    ids=["a path", "no path", "no struct", "no bytes"],
)
def test_a_row_without_an_image_is_named(images: Any, complaint: str, tmp_path: Path) -> None:  # noqa: ANN401
    write(tmp_path, "t.parquet", {"image": images, "label": LABELS})
    with pytest.raises(InvalidFieldError, match=rf"^path: '1 of 8 pictures' .*unlike t\.parquet {complaint}"):
        load(tmp_path)


def test_images_of_different_sizes_need_image_size(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", {"image": [*cells(7), *cells(1, size=20)], "label": LABELS})
    with pytest.raises(
        InvalidFieldError, match=r"^path: '1 of 8 pictures' .* t\.parquet row 7 \(20x20 pixels, .* set image_size"
    ):
        load(tmp_path)
    assert load(tmp_path, image_size=8).train.images.shape[1:] == (3, 8, 8)


def test_grey_images_have_one_channel(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    assert load(tmp_path, "pictures.parquet", channels=1).train.images.shape[1:] == (1, 12, 12)


def test_a_parquet_file_may_bring_its_test_images(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    write_parquet(tmp_path, [0, 1, 2, 2], "held.parquet")
    dataset = load(tmp_path, "pictures.parquet", test_path="held.parquet")
    assert dataset.test is not None
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == (24, 4)
    assert dataset.test.labels.tolist() == [0, 1, 2, 2]


def test_what_is_wrong_with_test_images_is_said_of_test_path(tmp_path: Path) -> None:
    write_parquet(tmp_path)
    write_parquet(tmp_path, [0, 1, 9], "held.parquet")
    with pytest.raises(InvalidFieldError, match=r"^test_path: 'held\.parquet row 2: label 9'"):
        source(tmp_path, "pictures.parquet", test_path="held.parquet")
    (tmp_path / "held.parquet").write_text("no table")
    with pytest.raises(InvalidFieldError, match=r"^test_path: 'held\.parquet' .* parquet files that can be read"):
        source(tmp_path, "pictures.parquet", test_path="held.parquet")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "parquet files that can be read to their end"),
        (b"not parquet", "parquet files that can be read to their end"),
        (b"PAR1" + b"\x00" * 40, "parquet files that can be read to their end"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a Git LFS pointer .* run git lfs pull"),
    ],
    ids=["empty", "text", "cut", "pointer"],
)
def test_a_file_that_is_no_parquet_is_named(content: bytes, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(InvalidFieldError, match=rf"^path: 't\.parquet' .*{complaint}") as caught:
        source(tmp_path)
    assert str(tmp_path) not in str(caught.value)


def _is_refused(root: Path, content: bytes) -> bool:
    """Read a table of eight rows to its end, if it can be."""
    (root / "t.parquet").write_bytes(content)
    try:
        found = source(root)
        assert len(contents(found)) == len(found.labels)
    except InvalidFieldError:
        return True
    return False


def test_a_damaged_footer_is_refused_or_read(tmp_path: Path) -> None:
    """One bit of every byte: nothing else escapes, nor ends the process."""
    whole = write(tmp_path, "t.parquet", {"image": cells(8), "label": LABELS}).read_bytes()
    footer = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little")
    refused = [
        _is_refused(tmp_path, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        for place in range(footer, len(whole))
    ]
    assert sum(refused) > 100


def test_damaged_pages_and_files_that_were_cut_are_refused_or_read(tmp_path: Path) -> None:
    whole = write(tmp_path, "t.parquet", {"image": structs(cells(8)), "label": ["cat", "dog"] * 4}).read_bytes()
    drawn = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in drawn.integers(4, len(whole), 3):
            damaged[place] = drawn.integers(0, 256)
        refused += _is_refused(tmp_path, bytes(damaged))
    assert refused > 30
    assert all(_is_refused(tmp_path, whole[:end]) for end in range(0, len(whole), 97))


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path, LABELS)
    found = source(tmp_path)
    write_labels(tmp_path, LABELS * 2)
    with pytest.raises(InvalidFieldError, match=r"^path: 't\.parquet changed while it was read'"):
        found.images.shape()


def test_more_shards_than_a_process_may_have_open_are_read(tmp_path: Path) -> None:
    for shard in range(40):
        write_labels(tmp_path, [0, 1], name=f"d/train-{shard}-of-40.parquet")
    program = (
        "import resource, sys; from pathlib import Path; from tests.nas_service.data.tables import load\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); assert len(load(Path(sys.argv[1]), 'd').train) > 40"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)


def test_images_are_read_in_bounded_memory(tmp_path: Path) -> None:
    """One row group of 192 MB is read in less than a third of that; a page of 1,024 rows has 12 MB."""
    noise = np.random.default_rng(0)
    schema = pa.schema([("image", STRUCT), ("label", pa.int64())])
    with pq.ParquetWriter(tmp_path / "t.parquet", schema, compression="none") as writer:
        rows = [{"bytes": noise.bytes(12_000), "path": None} for _ in range(1_000)]
        table = pa.table({"image": pa.array(rows, STRUCT), "label": [0, 1] * 500}, schema=schema)
        writer.write_table(pa.concat_tables([table] * 16).combine_chunks(), row_group_size=16_000)
    assert pq.ParquetFile(tmp_path / "t.parquet").num_row_groups == 1
    program = (
        "import sys, pyarrow; from pathlib import Path; from tests.nas_service.data.tables import source\n"
        "images = source(Path(sys.argv[1])).images; assert sum(len(content) for _, content in images.contents()) == 192_000_000\n"
        "print(pyarrow.default_memory_pool().max_memory())"
    )
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120, capture_output=True)
    assert int(told.stdout) < 64_000_000


def test_a_cached_picture_of_another_column_is_another_picture(tmp_path: Path) -> None:
    write(tmp_path, "t.parquet", {"a": cells(8), "b": cells(8, seed=1), "label": LABELS})
    one, other = load(tmp_path, image_column="a"), load(tmp_path, image_column="b")
    assert one.digest != other.digest


def test_path_must_not_be_empty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="path"):
        Parquet.from_settings({"path": ""})
