"""Writing small parquet files as people and programs write them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nas_service.data.dataset import ImageDataset
from nas_service.data.datasets.parquet import Parquet
from nas_service.data.facts import DatasetFacts
from nas_service.data.picture_source import Content
from nas_service.data.source import Source
from nas_service.data.tables.images import TablePictures
from tests.nas_service.data.files import pictures, png

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # how Hugging Face stores images


def cells(count: int, seed: int = 0, size: int = 12) -> list[bytes]:
    """Return random pictures as PNG bytes."""
    return [png(picture) for picture in pictures(count, seed, size)]


def structs(content: Sequence[bytes | None], path: str | None = None) -> Any:  # noqa: ANN401 - pyarrow has no types
    """Return cells as Hugging Face stores them."""
    return pa.array([{"bytes": cell, "path": path} for cell in content], STRUCT)


def features(**said: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata in which Hugging Face keeps what is said of columns."""
    return {"huggingface": json.dumps({"info": {"features": said}})}


def class_label(*names: str) -> dict[str, Any]:
    """Return what Hugging Face says of a column of classes."""
    return {"names": list(names), "_type": "ClassLabel"}


def write(
    root: Path, name: str, columns: Mapping[str, Any], metadata: Mapping[str, str] | None = None, **options: object
) -> Path:
    """Write a table below the root, making its folders."""
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    pq.write_table(table.replace_schema_metadata(metadata) if metadata else table, file, **options)
    return file


def write_labels(root: Path, labels: Any, metadata: Mapping[str, str] | None = None, name: str = "t.parquet") -> None:  # noqa: ANN401
    """Write a table of pictures with these labels: a list, or an Arrow array."""
    write(root, name, {"image": cells(1) * len(labels), "label": labels}, metadata)


def contents(found: Source) -> list[tuple[str, Content]]:
    """Return what to call every picture of a data set, and its bytes."""
    assert isinstance(found.images, TablePictures)
    return list(found.images.contents())


def source(root: Path, path: str = "t.parquet", **settings: object) -> Source:
    """List a data set."""
    return Parquet.from_settings({"path": path, **settings}).source(root)


def facts(root: Path, path: str = "t.parquet", **settings: object) -> DatasetFacts:
    """Count a data set."""
    return Parquet.from_settings({"path": path, **settings}).facts(root)


def load(root: Path, path: str = "t.parquet", **settings: object) -> ImageDataset:
    """Read a data set."""
    return Parquet.from_settings({"path": path, **settings}).load(root)
