"""Pictures in files, decoded by several threads at a time; all that cannot be read are named at once."""

import os
from abc import abstractmethod
from collections import defaultdict, deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from nas_service.data.part import Images, ImageShape
from nas_service.data.pictures import Picture, PictureSettings, UnreadableError, read_picture, read_size
from nas_service.data.source import ImageSource, Tell
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

Content = bytes | Path | UnreadableError  # where it is known before it is read

_AHEAD = 4  # pictures a thread has in work or done, before the first of them is taken
_NAMED = 20  # broken pictures in one message; all are counted
_TWELVE_BITS = 4096  # a picture of 16 bits that never gets there has less, or is very dark
_MOSTLY = 0.5  # of the pictures
_HALF = 32_768  # of 65,536
_DARK = 16  # of 255
_LARGEST = 512  # pixels: the largest image_size there is


class PictureSource(ImageSource):
    """Pictures that Pillow reads, from files of their own or from cells of a table."""

    def __init__(self, how: PictureSettings, field: str = "path") -> None:
        """Keep how they are read; `field` is the setting that led to them."""
        self.how = how
        self.field = field
        self.reading = {"pictures": how.model_dump(include={"channels", "image_size", "background", "bits"})}

    @abstractmethod
    def contents(self) -> Iterator[tuple[str, Content]]:
        """Yield every picture in order: what to call it, and its bytes or its file.

        Raises:
            InvalidFieldError: If what they lie in cannot be read to its end.
        """

    def shape(self) -> ImageShape:
        """Return the shape of the first, from its header, or what the settings make of it."""
        if self.how.image_size is not None:
            return self.how.channels, self.how.image_size, self.how.image_size
        name, content = next(self.contents())
        try:
            if isinstance(content, UnreadableError):
                raise content
            height, width = read_size(content)
        except UnreadableError as error:
            raise _unreadable(self.field, [(name, str(error))], len(self)) from error
        if max(height, width) > _LARGEST:
            given = f"not set, and {printable(name)} has {height}x{width} pixels"
            raise InvalidFieldError("image_size", given, f"a whole number from 4 to {_LARGEST}, to which pictures are reduced")
        return self.how.channels, height, width

    def fill(self, images: Images, tell: Tell) -> tuple[str, ...]:
        """Decode all pictures into the array."""
        broken: list[tuple[str, str]] = []
        several = 0
        peaks: list[int] = []  # of pictures stored with 16 bits that do not say how many count
        for place, (name, picture) in enumerate(self._decoded()):
            tell(place + 1, len(images))
            if isinstance(picture, UnreadableError):
                broken.append((name, str(picture)))
            elif picture.pixels.shape != images.shape[1:]:
                height, width = picture.pixels.shape[1:]
                broken.append(
                    (name, f"{height}x{width} pixels, not {images.shape[2]}x{images.shape[3]} as the first: set image_size")
                )
            else:
                images[place] = picture.pixels
                several += picture.frames > 1
                if picture.deep_peak is not None:
                    peaks.append(picture.deep_peak)
        if broken:
            raise _unreadable(self.field, broken, len(images))
        _check_depth(peaks)
        return tuple(_remarks(images, several, peaks))

    def _decoded(self) -> Iterator[tuple[str, Picture | UnreadableError]]:
        """Yield what became of every picture, in order, holding no more than some of them in memory."""
        threads = len(os.sched_getaffinity(0))
        with ThreadPoolExecutor(threads) as pool:
            waiting: deque[tuple[str, Future[Picture | UnreadableError]]] = deque()
            for name, content in self.contents():
                waiting.append((name, pool.submit(self._read, content)))
                if len(waiting) > _AHEAD * threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for first, future in waiting:
                yield first, future.result()

    def _read(self, content: Content) -> Picture | UnreadableError:
        if isinstance(content, UnreadableError):
            return content
        try:
            return read_picture(content, self.how)
        except UnreadableError as error:
            return error


def _check_depth(peaks: list[int]) -> None:
    """Refuse pictures stored with 16 bits most of which use no more than 12 of them."""
    few = sum(peak < _TWELVE_BITS for peak in peaks)
    if few > _MOSTLY * len(peaks):
        given = f"not set, and {few} of {len(peaks)} pictures stored with 16 bits have no value above {_TWELVE_BITS - 1}"
        raise InvalidFieldError("bits", given, "12 where white is 4095; 16 where the pictures are as dark as that")


def _unreadable(field: str, broken: list[tuple[str, str]], count: int) -> InvalidFieldError:
    """Name what is broken, by reason."""
    reasons: dict[str, list[str]] = defaultdict(list)
    for name, reason in broken[:_NAMED]:
        reasons[reason].append(printable(name))
    listed = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in reasons.items())
    more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return InvalidFieldError(field, f"{len(broken)} of {count} pictures", f"pictures that can be read, unlike {listed}{more}")


def _remarks(images: Images, several: int, peaks: list[int]) -> Iterator[str]:
    if peaks and max(peaks) < _HALF:
        yield f"no value of {len(peaks)} pictures stored with 16 bits is above {max(peaks)}: if that is white, set bits"
    if several:
        yield f"{several} pictures have several frames or pages: the first is read"
    brightest = max((int(np.max(images[start : start + 1024])) for start in range(0, len(images), 1024)), default=255)
    if 0 < brightest < _DARK:
        yield f"no pixel is brighter than {brightest} of 255: are the values stored with fewer bits than the files say?"
