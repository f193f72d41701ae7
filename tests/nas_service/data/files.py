"""Writing small files of every format that datasets read."""

import io
import json
import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

Pixels = npt.NDArray[np.uint8]


def pictures(count: int, seed: int = 0, size: int = 12) -> Pixels:
    """Return random RGB pictures (N, H, W, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def png(picture: Pixels | npt.NDArray[np.uint16]) -> bytes:
    """Return a picture as PNG bytes."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "png")
    return buffer.getvalue()


def write_folder(root: Path, classes: tuple[str, ...] = ("cat", "dog", "eel"), each: int = 8) -> None:
    """Write `pictures/<class>/<n>.png`."""
    for index, name in enumerate(classes):
        folder = root / "pictures" / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, picture in enumerate(pictures(each, seed=index)):
            (folder / f"{number}.png").write_bytes(png(picture))


def write_parquet(root: Path, labels: list[int] | None = None, name: str = "pictures.parquet") -> None:
    """Write rows of PNG bytes and labels, with class names in the schema's metadata."""
    given = [row % 3 for row in range(24)] if labels is None else labels
    table = pa.table({"image": [png(picture) for picture in pictures(len(given))], "label": pa.array(given, pa.int8())})
    pq.write_table(table.replace_schema_metadata({"classes": json.dumps(["cat", "dog", "eel"])}), root / name)


def cifar_rows(count: int, seed: int) -> tuple[Pixels, list[int]]:
    """Return flat pictures (N, 3072) and labels."""
    drawn = np.random.default_rng(seed)
    return drawn.integers(0, 256, (count, 3072), dtype=np.uint8), [row % 10 for row in range(count)]


BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def write_cifar_binary(root: Path) -> None:
    """Write the published binary layout with 20 rows a batch."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(exist_ok=True)
    for seed, batch in enumerate(BATCHES):
        data, labels = cifar_rows(20, seed)
        rows = np.concatenate([np.array(labels, dtype=np.uint8)[:, None], data], axis=1)
        (folder / f"{batch}.bin").write_bytes(rows.tobytes())


def write_cifar_python(root: Path) -> None:
    """Write the published Python layout: pickled dictionaries with byte keys, as Python 2 wrote them."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(exist_ok=True)
    for seed, batch in enumerate(BATCHES):
        data, labels = cifar_rows(20, seed)
        content = {b"data": data, b"labels": labels, b"batch_label": b"a batch", b"filenames": []}
        (folder / batch).write_bytes(pickle.dumps(content, protocol=2))


def write_cifar_parquet(root: Path) -> None:
    """Write the parquet layout with the same rows as the other two."""
    for part, seeds in (("train", range(5)), ("test", range(5, 6))):
        rows = [cifar_rows(20, seed) for seed in seeds]
        data = np.concatenate([entry[0] for entry in rows]).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        labels = [label for entry in rows for label in entry[1]]
        table = pa.table({"image": [png(np.ascontiguousarray(picture)) for picture in data], "label": labels})
        names = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"  # as files in the wild have them
        pq.write_table(table.replace_schema_metadata({"classes": names}), root / f"cifar10-{part}.parquet")


def put(root: Path, *names: str, content: bytes | None = None) -> None:
    """Write files, by default each another picture."""
    for seed, name in enumerate(names):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(pictures(1, seed)[0]) if content is None else content)


def write_classes(root: Path, *classes: str, each: int = 2) -> None:
    """Write folders of pictures."""
    for name in classes:
        put(root, *(f"{name}/{number}.png" for number in range(each)))
