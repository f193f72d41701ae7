"""The table of modes and formats, read or refused end to end through a folder and through a table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nas_service.data.dataset import DATASETS, ImageDataset
from nas_service.data.pictures import SUFFIXES
from search_spaces.errors import InvalidFieldError
from tests.pictures import READABLE, REFUSED

COPIES = 4  # of a class, so that every part has one


def _folder(root: Path, content: bytes, suffix: str) -> ImageDataset:
    for label in ("left", "right"):
        (root / "d" / label).mkdir(parents=True)
        for number in range(COPIES):
            (root / "d" / label / f"{number}{suffix}").write_bytes(content)
    return DATASETS.get("image-folder").from_settings({"path": "d"}).load(root)


def _parquet(root: Path, content: bytes, suffix: str) -> ImageDataset:
    cells = [{"bytes": content, "path": f"{number}{suffix}"} for number in range(2 * COPIES)]
    pq.write_table(pa.table({"image": cells, "label": [number % 2 for number in range(2 * COPIES)]}), root / "d.parquet")
    return DATASETS.get("parquet").from_settings({"path": "d.parquet"}).load(root)


BOTH = pytest.mark.parametrize("load", [_folder, _parquet])


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("name", READABLE)
def test_a_picture_is_read_as_people_see_it(name: str, load: object, tmp_path: Path) -> None:
    entry = READABLE[name]
    dataset = load(tmp_path, entry.content, entry.suffix)  # type: ignore[operator]  # a function, parametrised
    for part in (dataset.train, dataset.validation, dataset.test):
        for image in part.images:
            assert np.abs(image.transpose(1, 2, 0).astype(int) - entry.pixels).max() <= entry.tolerance


@pytest.mark.diagonal
@BOTH
@pytest.mark.parametrize("name", REFUSED)
def test_a_picture_without_a_known_meaning_is_refused_by_name(name: str, load: object, tmp_path: Path) -> None:
    entry = REFUSED[name]
    with pytest.raises(InvalidFieldError) as caught:
        load(tmp_path, entry.content, entry.suffix)  # type: ignore[operator]  # as above
    left_out = load is _folder and entry.suffix not in SUFFIXES
    assert (f"no picture that is read: {entry.suffix}" if left_out else entry.reason) in str(caught.value)
