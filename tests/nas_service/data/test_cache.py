"""The cache of decoded images: what is decoded when, and that nothing half done is ever read."""

import fcntl
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from nas_service.data.cache import ImageCache, decode_in_memory
from nas_service.data.part import Images, ImageShape, Part
from nas_service.data.source import ImageSource, Tell, tell_nobody
from nas_service.errors import NotReadyError
from search_spaces.errors import InvalidFieldError

SHAPE = (3, 4, 5)
SIZE = 60  # bytes of an image
PLENTY = 10**9


class RawFile(ImageSource):
    """Images that lie in a file as they are."""

    def __init__(self, file: Path, **reading: object) -> None:
        self.files = [file]
        self.reading = reading
        self.filled = 0

    def __len__(self) -> int:
        return self.files[0].stat().st_size // SIZE

    def shape(self) -> ImageShape:
        return SHAPE

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        self.filled += 1
        content = self.files[0].read_bytes()
        for place in range(len(images)):
            tell(place, len(images))
            images[place] = np.frombuffer(content[place * SIZE : (place + 1) * SIZE], np.uint8).reshape(SHAPE)
        return ("they are raw",)


def _written(file: Path, seed: int = 0, count: int = 7) -> Images:
    images = np.random.RandomState(seed).randint(0, 256, (count, *SHAPE)).astype(np.uint8)
    images[3] = 9
    file.write_bytes(images.tobytes())
    return images


def _left(folder: Path) -> list[str]:
    return sorted(path.suffix or "entry" for path in (folder / "images").iterdir())


def test_images_are_decoded_once_and_mapped_from_then_on(tmp_path: Path) -> None:
    images, source = _written(tmp_path / "raw"), RawFile(tmp_path / "raw")
    for found in [ImageCache(tmp_path / "cache", PLENTY).get(source) for _ in range(2)]:
        assert np.array_equal(found.pixels, images)
        assert isinstance(found.pixels, np.memmap)
        assert found.warnings == ("they are raw",)
        assert found.constant.tolist() == [False] * 3 + [True] + [False] * 3
        assert np.array_equal(found.sums, images.reshape(7, 3, -1).astype(np.int64).sum(2))
        assert np.array_equal(found.squares, (images.reshape(7, 3, -1).astype(np.int64) ** 2).sum(2))
        assert decode_in_memory(RawFile(tmp_path / "raw")).content == found.content
    assert source.filled == 1


def test_mean_and_deviation_are_those_of_the_chosen_images(tmp_path: Path) -> None:
    images = _written(tmp_path / "raw")
    means, stds = decode_in_memory(RawFile(tmp_path / "raw")).statistics(np.array([0, 2, 5]))
    chosen = images[[0, 2, 5]] / 255
    assert means == pytest.approx(chosen.mean((0, 2, 3)), rel=1e-12)
    assert stds == pytest.approx(chosen.std((0, 2, 3)), rel=1e-12)


def test_a_changed_file_is_another_entry_even_if_its_size_and_time_are_as_before(tmp_path: Path) -> None:
    file = tmp_path / "raw"
    first = _written(file)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    time.sleep(2.1)  # the state is trusted from then on
    cache = ImageCache(tmp_path / "cache", PLENTY)
    for _ in range(2):
        assert np.array_equal(cache.get(RawFile(file)).pixels, first)
    second = _written(file, seed=1)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    assert np.array_equal(cache.get(RawFile(file)).pixels, second)
    assert _left(tmp_path / "cache").count("entry") == 2


def test_another_way_of_reading_is_another_entry(tmp_path: Path) -> None:
    _written(tmp_path / "raw")
    cache = ImageCache(tmp_path / "cache", PLENTY)
    keys = {cache.get(RawFile(tmp_path / "raw", size=size)).content for size in (8, 16, 8)}
    assert len(keys) == 2


def test_those_who_want_the_same_images_wait_for_the_one_that_decodes(tmp_path: Path) -> None:
    images = _written(tmp_path / "raw")
    source, begun, waited = RawFile(tmp_path / "raw"), threading.Event(), threading.Event()

    def slowly(done: int, total: int) -> None:
        if source.filled:  # not while its file is looked at
            begun.set()
            assert waited.wait(30)

    first = threading.Thread(target=ImageCache(tmp_path / "cache", PLENTY).get, args=(source, slowly))
    first.start()
    assert begun.wait(30)
    other = RawFile(tmp_path / "raw")
    found = ImageCache(tmp_path / "cache", PLENTY).get(other, lambda *_: waited.set())
    first.join()
    assert (source.filled, other.filled) == (1, 0)
    assert np.array_equal(found.pixels, images)


def test_decoding_that_fails_leaves_nothing(tmp_path: Path) -> None:
    _written(tmp_path / "raw")

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    cache = ImageCache(tmp_path / "cache", PLENTY)
    with pytest.raises(KeyboardInterrupt):
        cache.get(RawFile(tmp_path / "raw"), stop)
    assert set(_left(tmp_path / "cache")) <= {".lock"}
    assert len(cache.get(RawFile(tmp_path / "raw")).pixels) == 7


KILLED = """
import os, sys
from pathlib import Path
from nas_service.data.cache import ImageCache
from tests.nas_service.data.test_cache import RawFile
def die(done, total):
    if done == 3: os.kill(os.getpid(), 9)
ImageCache(Path(sys.argv[1]) / "cache", 10**9).get(RawFile(Path(sys.argv[1]) / "raw"), die)
"""


def test_a_process_that_is_killed_holds_up_nobody_and_what_it_left_is_removed(tmp_path: Path) -> None:
    images = _written(tmp_path / "raw")
    assert subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False).returncode == -9
    assert ".part" in _left(tmp_path / "cache")
    found = ImageCache(tmp_path / "cache", PLENTY).get(RawFile(tmp_path / "raw"))
    assert np.array_equal(found.pixels, images)
    assert _left(tmp_path / "cache") == ["entry"]


def test_the_least_recently_used_go_first_and_never_the_one_in_use(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", 2 * (7 * SIZE + 128) + 100)
    sources = [RawFile(tmp_path / f"raw{number}") for number in range(3)]
    for number, source in enumerate(sources):
        _written(source.files[0], seed=number)
    cache.get(sources[0])
    cache.get(sources[1])
    time.sleep(0.02)
    cache.get(sources[0])
    cache.get(sources[2])
    for source in sources[:2]:
        cache.get(source)
    assert [source.filled for source in sources] == [1, 2, 1]
    assert len(ImageCache(tmp_path / "small", 1).get(sources[0]).pixels) == 7


def test_what_somebody_has_mapped_stays_whoever_wants_room(tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "cache", 1)
    sources = [RawFile(tmp_path / f"raw{number}") for number in range(3)]
    for number, source in enumerate(sources):
        _written(source.files[0], seed=number)
    kept = cache.get(sources[0])
    crossed = pickle.dumps(Part(kept.pixels, np.arange(7)))
    cache.get(sources[1])
    cache.get(sources[2])
    assert _left(tmp_path / "cache").count("entry") == 2
    assert len(pickle.loads(crossed).images) == 7  # noqa: S301 - our own
    del kept
    cache.get(sources[1])
    assert _left(tmp_path / "cache").count("entry") == 1


@pytest.mark.parametrize("name", ["images.npy", "counts.npz", "notes.json"])
@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04"])
def test_an_entry_that_is_not_whole_is_decoded_anew(name: str, content: bytes | None, tmp_path: Path) -> None:
    images, source = _written(tmp_path / "raw"), RawFile(tmp_path / "raw")
    cache = ImageCache(tmp_path / "cache", PLENTY)
    cache.get(source)
    (file,) = (tmp_path / "cache" / "images").glob(f"*/{name}")
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert np.array_equal(cache.get(source).pixels, images)
    assert source.filled == 2
    other = RawFile(tmp_path / "other")
    _written(other.files[0], seed=5)
    cache.get(other)
    assert _left(tmp_path / "cache") == ["entry", "entry"]


def test_files_that_change_while_they_are_read_leave_no_entry(tmp_path: Path) -> None:
    _written(tmp_path / "raw")
    source = RawFile(tmp_path / "raw")

    def change(done: int, total: int) -> None:
        if source.filled and done == 3:
            _written(tmp_path / "raw", seed=9)

    cache = ImageCache(tmp_path / "cache", PLENTY)
    with pytest.raises(InvalidFieldError, match="files that changed while they were read"):
        cache.get(source, change)
    assert _left(tmp_path / "cache") == []
    first = _written(tmp_path / "raw")
    assert np.array_equal(cache.get(source).pixels, first)


def test_who_waits_for_files_to_be_looked_at_can_stop(tmp_path: Path) -> None:
    class Many(RawFile):
        def __init__(self, file: Path) -> None:
            super().__init__(file)
            self.files = [file] * 500

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    _written(tmp_path / "raw")
    with pytest.raises(KeyboardInterrupt):
        ImageCache(tmp_path / "cache", PLENTY).get(Many(tmp_path / "raw"), stop)
    assert _left(tmp_path / "cache") == []


CROWD = """
import sys
from pathlib import Path
import numpy as np
from nas_service.data.cache import ImageCache
from tests.nas_service.data.test_cache import RawFile
root = Path(sys.argv[1])
cache = ImageCache(root / "cache", 1000)
for turn in range(60):
    number = (turn * int(sys.argv[2])) % 4
    found = cache.get(RawFile(root / f"raw{number}"))
    assert found.pixels.tobytes() == (root / f"raw{number}").read_bytes(), number
"""


def test_many_processes_and_little_room_never_give_wrong_images(tmp_path: Path) -> None:
    for number in range(4):
        _written(tmp_path / f"raw{number}", seed=number)
    crowd = [subprocess.Popen([sys.executable, "-c", CROWD, str(tmp_path), str(step)]) for step in (1, 3)]
    assert [process.wait(timeout=240) for process in crowd] == [0, 0]
    assert set(_left(tmp_path / "cache")) == {"entry"}


def test_what_another_process_is_about_to_keep_is_not_removed_for_room(tmp_path: Path) -> None:
    """It has all its files by then, and only its lock says that it is nobody's leftover."""
    _written(tmp_path / "raw")
    cache = ImageCache(tmp_path / "cache", 1)
    cache.get(RawFile(tmp_path / "raw"))
    (entry,) = [path for path in (tmp_path / "cache" / "images").iterdir() if path.is_dir()]
    part = entry.rename(entry.with_suffix(".part"))
    _written(tmp_path / "other", seed=5)
    with entry.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.get(RawFile(tmp_path / "other"))
        assert {path.name for path in part.iterdir()} == {"images.npy", "counts.npz", "notes.json"}
    _written(tmp_path / "third", seed=6)
    cache.get(RawFile(tmp_path / "third"))
    assert not part.exists()


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    _written(tmp_path / "raw")
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(NotReadyError, match=r"cache of decoded images under NAS_HOME cannot be written \(Not a directory\)"):
        ImageCache(tmp_path / "cache", PLENTY).get(RawFile(tmp_path / "raw"), tell_nobody)


def test_a_full_disk_is_said_before_it_is_full(tmp_path: Path) -> None:
    class Huge(RawFile):
        def shape(self) -> ImageShape:
            return (3, 2**20, 2**20)

    _written(tmp_path / "raw")
    with pytest.raises(
        NotReadyError, match=r"take 23089\.7 GB under NAS_HOME, where .* GB are free; choose a smaller image_size"
    ):
        ImageCache(tmp_path / "cache", PLENTY).get(Huge(tmp_path / "raw"))
