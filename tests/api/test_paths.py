"""No reply shows where this machine keeps its files."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from nas_service.settings import Settings
from tests.nas_service.data.files import (
    pictures,
    png,
    write_cifar_binary,
    write_cifar_parquet,
    write_cifar_python,
    write_folder,
    write_parquet,
)

Dataset = tuple[str, dict[str, Any]]
PATHS = [
    "", ".", "gone", "gone/below", "../outside", "/etc/passwd", "a\u0001b", "x" * 5000, "x/" * 2040, "circle", "file",
    "file/below",
    "empty", "pictures", "pictures/cat", "pictures/cat/0.png", "out", "one-class", "link-out", "pictures.parquet",
    "broken.parquet", "truncated.parquet", "text.parquet", "folder.parquet", "unreadable",
]  # fmt: skip
WRONG: list[Dataset] = [(kind, {"path": path}) for kind in ("image-folder", "parquet", "cifar10") for path in PATHS]
WRONG += [
    ("parquet", {"path": "pictures.parquet", "test_path": path}) for path in ("gone", "../x", "circle", "text.parquet", "file")
]
WRONG += [
    ("parquet", {"path": "pictures.parquet", "label_column": "klass"}),
    ("image-folder", {"path": "broken-first"}),
    ("image-folder", {"path": "broken-later"}),
    ("cifar10", {"path": "cifar-missing"}),
    ("cifar10", {"path": "cifar-short"}),
    ("cifar10", {"path": "cifar-pickle"}),
    ("cifar10", {"path": "cifar-parquet"}),
]


@pytest.fixture
def root(settings: Settings, tmp_path: Path) -> Path:
    """Return a data root with everything in it that a path can be wrong about."""
    data = settings.data
    data.mkdir()
    write_folder(data)
    write_parquet(data)
    (data / "circle").symlink_to("circle")
    (data / "file").write_bytes(b"no picture")
    (data / "empty").mkdir()
    write_folder(tmp_path / "elsewhere")
    (data / "out").symlink_to(tmp_path / "elsewhere")
    (data / "one-class" / "cat").mkdir(parents=True)
    (data / "one-class" / "cat" / "0.png").write_bytes(png(pictures(1)[0]))
    for name in ("link-out", "broken-first", "broken-later"):
        write_folder(data / name)
        (data / name / "pictures").rename(data / f"{name}-moved")
        (data / name).rmdir()
        (data / f"{name}-moved").rename(data / name)
    (data / "link-out" / "cat" / "0.png").unlink()
    (data / "link-out" / "cat" / "0.png").symlink_to(tmp_path / "elsewhere" / "pictures" / "cat" / "0.png")
    (data / "broken-first" / "cat" / "0.png").write_bytes(b"no picture")
    (data / "broken-later" / "dog" / "3.png").write_bytes(png(pictures(1)[0])[:60])
    (data / "text.parquet").write_bytes(b"not parquet")
    whole = (data / "pictures.parquet").read_bytes()
    (data / "truncated.parquet").write_bytes(whole[:200] + whole[-200:])
    (data / "folder.parquet").mkdir()
    table = pq.read_table(data / "pictures.parquet")
    pq.write_table(table.set_column(0, "image", [[b"no picture"] * len(table)]), data / "broken.parquet")
    (data / "unreadable").mkdir(mode=0o000)
    _write_cifar(data)
    return data


def _write_cifar(data: Path) -> None:
    for name, write in (
        ("cifar-missing", write_cifar_binary),
        ("cifar-short", write_cifar_binary),
        ("cifar-pickle", write_cifar_python),
        ("cifar-parquet", write_cifar_parquet),
    ):
        (data / name).mkdir()
        write(data / name)
    (data / "cifar-missing" / "cifar-10-batches-bin" / "data_batch_3.bin").unlink()
    (data / "cifar-short" / "cifar-10-batches-bin" / "data_batch_3.bin").write_bytes(b"\0" * 3000)
    (data / "cifar-pickle" / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"no pickle")
    (data / "cifar-parquet" / "cifar10-test.parquet").unlink()


def test_no_refusal_names_the_data_root(client: TestClient, root: Path, tmp_path: Path) -> None:
    """Of searches, estimates, trainings and registrations, by whatever is wrong with the files."""
    refused = set()
    for kind, settings in WRONG:
        spec = {"space": "tiny", "dataset": {"name": kind, "settings": settings}}
        registration = {"name": "mine", "kind": kind, "settings": settings}
        training = {**spec, "methods": ["bnn"], "architectures": ["a"]}
        for path, body in (
            ("/v1/searches", spec),
            ("/v1/searches/estimate", spec),
            ("/v1/trainings", training),
            ("/v1/datasets", registration),
        ):
            reply = client.post(path, json=body)
            assert reply.status_code < 500, reply.text
            if reply.status_code == 422:
                refused.add((kind, str(settings)[:60]))
                for place in (root, root.resolve(), tmp_path, Path.home()):
                    assert str(place) not in reply.text, (path, settings)
                assert "object at 0x" not in reply.text
    assert len(refused) > len(WRONG) - 8  # a few are no faults
    (root / "unreadable").chmod(0o700)
