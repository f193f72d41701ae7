"""Decoding image files into uint8 arrays, or reading no more than their headers."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nas_service.data.dataset import Images, ImageShape
from nas_service.data.paths import reason_of
from search_spaces.errors import InvalidFieldError

MODES = {1: "L", 3: "RGB"}
_UNREADABLE = (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@contextmanager
def _opened(source: bytes | Path, where: str, field: str) -> Iterator[Image.Image]:
    """Give the picture inside the block; whatever is wrong with it is said of `where`."""
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            yield picture
    except UnidentifiedImageError as error:  # its message has the whole path, or an address
        raise InvalidFieldError(field, where, "images in a format that Pillow knows") from error
    except _UNREADABLE as error:
        reason = reason_of(error, *([source] if isinstance(source, Path) else []))
        raise InvalidFieldError(field, where, f"images that can be read to their end ({reason})") from error


def decode(source: bytes | Path, where: str, channels: int, size: int | None, field: str = "path") -> Images:
    """Return one picture as (C, H, W) uint8.

    Args:
        source: The file, or its bytes.
        where: What to call it in a message.
        channels: 1 for grey, 3 for RGB; other pictures are converted.
        size: Height and width to resize to (bilinear); None keeps the picture's own.
        field: The setting that led to it.

    Raises:
        InvalidFieldError: If it is not a picture that Pillow can read to its end.
    """
    with _opened(source, where, field) as picture:
        converted = picture.convert(MODES[channels])
        if size is not None and converted.size != (size, size):
            converted = converted.resize((size, size), Image.Resampling.BILINEAR)
        pixels = np.asarray(converted, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))  # noqa: PLR2004 - grey has no channel axis


def read_shape(source: bytes | Path, where: str, channels: int, size: int | None, field: str = "path") -> ImageShape:
    """Return the shape that `decode` would give, from the file's header alone; arguments and errors as of `decode`."""
    with _opened(source, where, field) as picture:
        width, height = picture.size
    return (channels, height, width) if size is None else (channels, size, size)


def stack(pictures: list[Images], names: list[str], field: str = "path") -> Images:
    """Return (N, C, H, W); `field` is the setting that led to the pictures.

    Raises:
        InvalidFieldError: If two pictures differ in size.
    """
    for picture, name in zip(pictures, names, strict=True):
        if picture.shape != pictures[0].shape:
            height, width = picture.shape[1:]
            first = f"{pictures[0].shape[1]}x{pictures[0].shape[2]} pixels, as {names[0]}"
            raise InvalidFieldError(field, f"{name}: {height}x{width} pixels", f"images of {first}; or set image_size")
    return np.stack(pictures)
