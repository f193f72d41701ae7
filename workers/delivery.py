"""Delivery: how the images that a driver read reach the processes that train, on whatever node of the cluster they are.

Few images are sent. Many stay in the cache of the driver's node: its own processes map them there, and every other node copies
them into its own cache, once for all its processes and for later jobs, a piece at a time through Ray. Only the driver's node
needs the data root.
"""

import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas_service.checking.datasets import image_cache
from nas_service.data.dataset import ImageDataset
from nas_service.data.kept import KeptImages
from nas_service.data.part import Images, ImageShape, map_images
from nas_service.data.source import ImageSource, Tell, tell_nobody
from nas_service.errors import DeliveryError, NotReadyError
from nas_service.settings import Settings

PIECE_BYTES = 2**24
AHEAD = 3  # pieces on their way at a time


def read_piece(file: str, start: int, stop: int) -> Images:
    """Return some of the images of a file; runs on the node where that is."""
    return np.array(map_images(Path(file))[start:stop])


@dataclass(frozen=True)
class NodeImages(ImageSource):
    """Images in the cache of a node, for the others.

    Attributes:
        kept: What they are.
        file: Where they are on that node; no other looks there.
        node: Its id.
    """

    kept: KeptImages
    file: str
    node: str

    def __len__(self) -> int:
        """Return the number of images."""
        return self.kept.shape[0]

    def shape(self) -> ImageShape:
        """Return the shape of every image."""
        _, channels, height, width = self.kept.shape
        return channels, height, width

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Copy all images from their node."""
        for start, piece in self._pieces():
            images[start : start + len(piece)] = piece
            tell(start + len(piece), len(images))
        return self.kept.warnings

    def _pieces(self) -> Iterator[tuple[int, Images]]:
        """Yield places and images in their order, some pieces being asked for ahead."""
        there = NodeAffinitySchedulingStrategy(self.node, soft=False)
        task: Any = ray.remote(read_piece).options(num_cpus=0, scheduling_strategy=there)
        length = max(1, PIECE_BYTES // int(np.prod(self.shape())))
        asked: deque[tuple[int, Any]] = deque()
        for start in range(0, len(self), length):
            asked.append((start, task.remote(self.file, start, min(len(self), start + length))))
            if len(asked) > AHEAD:
                yield self._next(asked)
        while asked:
            yield self._next(asked)

    @staticmethod
    def _next(asked: "deque[tuple[int, Any]]") -> tuple[int, Images]:
        start, reference = asked.popleft()
        return start, ray.get(reference)

    def mapped(self, tell: Tell) -> Images:
        """Return them mapped: from where they are on their own node, from this node's cache on any other.

        Raises:
            DeliveryError: If this node cannot have them.
        """
        if ray.get_runtime_context().get_node_id() == self.node:
            return map_images(Path(self.file))
        settings = Settings()
        if not settings.home.is_absolute():
            raise DeliveryError(f"NAS_HOME on a worker node is {str(settings.home)!r}; allowed: an absolute path")
        try:
            return image_cache(settings).copied(self.kept, self, tell)
        except NotReadyError as error:
            raise DeliveryError(f"on the worker node {socket.gethostname()}: {error}") from error


@dataclass(frozen=True)
class Delivery:
    """A dataset on its way.

    Attributes:
        dataset: With its images, or without.
        images: Those that it is without.
    """

    dataset: ImageDataset
    images: NodeImages | None = None

    def received(self, tell: Tell = tell_nobody) -> ImageDataset:
        """Return the dataset with its images.

        Args:
            tell: Called as images arrive.

        Raises:
            DeliveryError: If this node cannot have them.
        """
        return self.dataset if self.images is None else self.dataset.on(self.images.mapped(tell))


def deliver(dataset: ImageDataset, by_value_bytes: int) -> Delivery:
    """Send off a dataset from the driver, which is connected to Ray: with its images if they have no more bytes than that."""
    store = dataset.train.store
    kept = KeptImages.behind(store) if dataset.nbytes > by_value_bytes else None
    if kept is None or not isinstance(store, np.memmap):
        return Delivery(dataset)
    return Delivery(dataset.bare(), NodeImages(kept, str(store.filename), ray.get_runtime_context().get_node_id()))
