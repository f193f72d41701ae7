"""Images that another machine's cache keeps: copied whole, once, and only if they are what was decoded there."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas_service.data.cache import ImageCache
from nas_service.data.kept import KeptImages
from nas_service.data.part import Images, ImageShape
from nas_service.data.source import ImageSource, Tell
from nas_service.errors import NotReadyError
from tests.nas_service.data.test_cache import PLENTY, SIZE, RawFile, _left, _written


class There(ImageSource):
    """Images in the memory of another machine."""

    def __init__(self, images: Images, warnings: tuple[str, ...] = ()) -> None:
        self.images, self.warnings = images, warnings
        self.filled = 0

    def __len__(self) -> int:
        return len(self.images)

    def shape(self) -> ImageShape:
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        self.filled += 1
        for place in range(len(images)):
            images[place] = self.images[place]
            tell(place + 1, len(images))
        return self.warnings


def _kept(folder: Path, seed: int = 0) -> tuple[Images, KeptImages]:
    """Decode images into a cache; return them, and what is said of them to other machines."""
    _written(folder / "raw", seed=seed)
    pixels = ImageCache(folder / "driver", PLENTY).get(RawFile(folder / "raw")).pixels
    kept = KeptImages.behind(pixels)
    assert kept is not None
    return pixels, kept


def test_what_is_copied_is_an_entry_like_the_one_that_was_decoded(tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    there, cache = There(pixels, kept.warnings), ImageCache(tmp_path / "worker", PLENTY)
    for _ in range(2):
        copied = cache.copied(kept, there)
        assert isinstance(copied, np.memmap)
        assert np.array_equal(copied, pixels)
        assert KeptImages.behind(copied) == kept
    assert there.filled == 1
    again = RawFile(tmp_path / "raw")
    assert cache.get(again).warnings == ("they are raw",)  # a driver on that machine decodes nothing
    assert again.filled == 0


def test_a_machine_that_shares_the_cache_copies_nothing(tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    there = There(pixels)
    assert np.array_equal(ImageCache(tmp_path / "driver", PLENTY).copied(kept, there), pixels)
    assert there.filled == 0


def test_images_in_memory_are_nobodys_entry() -> None:
    assert KeptImages.behind(np.zeros((2, 1, 4, 4), np.uint8)) is None


@pytest.mark.parametrize("place", [0, 100, 7 * SIZE - 1])
def test_one_pixel_that_is_not_what_was_decoded_is_refused_and_nothing_stays(place: int, tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    damaged = np.array(pixels)
    damaged.reshape(-1)[place] ^= 1
    cache = ImageCache(tmp_path / "worker", PLENTY)
    said = f"not those that were decoded: remove cache/images/{kept.key} under NAS_HOME on the driver's machine"
    with pytest.raises(NotReadyError, match=said):
        cache.copied(kept, There(damaged))
    assert _left(tmp_path / "worker") == []
    assert np.array_equal(cache.copied(kept, There(pixels)), pixels)


def test_an_entry_that_was_made_of_the_same_files_in_another_way_is_not_taken_for_it(tmp_path: Path) -> None:
    """Machines whose libraries decode a JPEG in two ways."""
    pixels, kept = _kept(tmp_path)
    cache, other = ImageCache(tmp_path / "worker", PLENTY), replace(kept, pixels="0" * 64)
    cache.copied(kept, There(pixels))
    with pytest.raises(NotReadyError, match=f"cache/images/{kept.key} under NAS_HOME is not what the driver's machine decoded"):
        cache.copied(other, There(pixels))


def test_images_in_another_order_are_refused(tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    with pytest.raises(NotReadyError, match="not those that were decoded"):
        ImageCache(tmp_path / "worker", PLENTY).copied(kept, There(np.array(pixels[::-1])))


def test_processes_of_one_machine_copy_once(tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    there, begun, waited = There(pixels), threading.Event(), threading.Event()

    def slowly(done: int, total: int) -> None:
        begun.set()
        assert waited.wait(30)

    first = threading.Thread(target=ImageCache(tmp_path / "worker", PLENTY).copied, args=(kept, there, slowly))
    first.start()
    assert begun.wait(30)
    other = There(pixels)
    found = ImageCache(tmp_path / "worker", PLENTY).copied(kept, other, lambda *_: waited.set())
    first.join()
    assert (there.filled, other.filled) == (1, 0)
    assert np.array_equal(found, pixels)


KILLED = """
import os, sys
from pathlib import Path
import numpy as np
from nas_service.data.cache import ImageCache
from nas_service.data.kept import KeptImages
from tests.nas_service.data.test_kept import There, _kept
def die(done, total):
    if done == 3: os.kill(os.getpid(), 9)
pixels, kept = _kept(Path(sys.argv[1]))
ImageCache(Path(sys.argv[1]) / "worker", 10**9).copied(kept, There(pixels), die)
"""


def test_a_copy_that_is_cut_off_by_a_kill_is_no_entry_and_goes_with_the_next(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == -9
    assert _left(tmp_path / "worker") == [".lock", ".part"]
    pixels, kept = _kept(tmp_path)
    assert np.array_equal(ImageCache(tmp_path / "worker", PLENTY).copied(kept, There(pixels)), pixels)
    assert _left(tmp_path / "worker") == ["entry"]


def test_the_limit_of_the_cache_holds_for_copies(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "worker", 7 * SIZE + 200)
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        pixels, kept = _kept(folder, seed)
        assert np.array_equal(cache.copied(kept, There(pixels)), pixels)
        assert _left(tmp_path / "worker") == ["entry"]


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    pixels, kept = _kept(tmp_path)
    (tmp_path / "worker").touch()
    with pytest.raises(NotReadyError, match="the cache of decoded images under NAS_HOME cannot be written"):
        ImageCache(tmp_path / "worker", PLENTY).copied(kept, There(pixels))
