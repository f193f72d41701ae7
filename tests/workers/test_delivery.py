"""Few images are sent; many are mapped on the driver's node and copied to every other, see tests/e2e/test_nodes.py too."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from nas_service.checking.datasets import open_dataset
from nas_service.data.cache import ImageCache
from nas_service.data.dataset import ImageDataset
from nas_service.errors import DeliveryError
from nas_service.settings import Settings
from nas_service.specs import Component
from tests.nas_service.data.files import write_folder
from tests.samples import digits
from workers import delivery
from workers.cluster import connected
from workers.delivery import Delivery, NodeImages, deliver

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return the home of a driver that is connected to a Ray of its own."""
    made: Path = tmp_path_factory.mktemp("home")
    with connected(Settings(home=made, object_store_bytes=100_000_000)):
        yield made


@pytest.fixture(scope="module")
def dataset(home: Path) -> ImageDataset:
    """Return a dataset that is mapped from the driver's cache."""
    settings = Settings(home=home)
    write_folder(settings.data, each=40)
    return open_dataset(Component(name="image-folder", settings={"path": "pictures"}), settings)


def _many(dataset: ImageDataset) -> NodeImages:
    images = deliver(dataset, 0).images
    assert images is not None
    return images


def _is_equal(left: ImageDataset, right: ImageDataset) -> bool:
    parts = zip((left.train, left.validation), (right.train, right.validation), strict=True)
    return all(np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels) for a, b in parts)


def test_images_up_to_the_limit_cross_with_the_dataset_and_more_do_not(dataset: ImageDataset) -> None:
    few, many = deliver(dataset, dataset.nbytes), deliver(dataset, dataset.nbytes - 1)
    assert few == Delivery(dataset)
    assert len(pickle.dumps(many)) < dataset.nbytes / 4 < len(pickle.dumps(few))
    assert deliver(digits(), 0).images is None  # they lie in no file


def test_processes_of_the_drivers_node_map_its_file_and_copy_nothing(dataset: ImageDataset) -> None:
    crossed: Delivery = pickle.loads(pickle.dumps(deliver(dataset, 0)))  # noqa: S301 - our own
    received = crossed.received()
    assert isinstance(received.train.store, np.memmap)
    assert received.train.store.filename == dataset.train.store.filename  # type: ignore[attr-defined]  # both are mapped
    assert _is_equal(received, dataset)
    assert (received.image_format, received.lesson) == (dataset.image_format, dataset.lesson)


def test_pieces_come_in_order_and_are_told(dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    source, told = _many(dataset), list[tuple[int, int]]()
    monkeypatch.setattr(delivery, "PIECE_BYTES", 7 * int(np.prod(source.shape())))  # not a divisor of 120
    images = np.zeros((len(source), *source.shape()), np.uint8)
    assert source.fill(images, lambda done, total: told.append((done, total))) == source.kept.warnings
    assert np.array_equal(images, dataset.train.store)
    assert told == [(min(120, done), 120) for done in range(7, 127, 7)]


def test_what_is_copied_through_ray_is_an_entry_of_the_other_cache(dataset: ImageDataset, tmp_path: Path) -> None:
    source = _many(dataset)
    copied = ImageCache(tmp_path / "cache", 10**9).copied(source.kept, source)
    assert np.array_equal(copied, dataset.train.store)
    assert [entry.name for entry in (tmp_path / "cache" / "images").iterdir()] == [source.kept.key]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (".nas", r"NAS_HOME on a worker node is '\.nas'; allowed: an absolute path"),
        ("file", "the worker node .* cannot be written"),
    ],
)
def test_a_node_that_cannot_keep_images_says_why(
    name: str, said: str, dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("NAS_HOME", name if name == ".nas" else str(tmp_path / name))
    elsewhere = replace(_many(dataset), node="0" * 56)
    with pytest.raises(DeliveryError, match=said):
        Delivery(dataset.bare(), elsewhere).received()


class _Refused:
    """An actor whose node cannot have the images."""

    def receive(self, sent: Delivery) -> None:
        """Try."""
        os.environ["NAS_HOME"] = ".nas"
        sent.received()


def test_an_actor_tells_its_driver_in_these_words(dataset: ImageDataset) -> None:
    sent = Delivery(dataset.bare(), replace(_many(dataset), node="0" * 56))
    actor: Any = ray.remote(_Refused).remote()
    with pytest.raises(DeliveryError, match="allowed: an absolute path"):
        ray.get(actor.receive.remote(sent))
    ray.kill(actor)
