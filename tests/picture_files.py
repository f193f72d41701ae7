"""Writing pictures of every mode and depth, by hand where Pillow cannot."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Samples = npt.NDArray[Any]


def array(values: object) -> Pixels:
    return np.array(values, dtype=np.uint8)


def rgb(grey: Pixels) -> Pixels:
    """Return grey pixels (H, W) as people see them, (H, W, 3)."""
    return np.repeat(grey[..., None], 3, axis=2)


RED, GREEN, BLUE, WHITE, BLACK, BROWN = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (200, 100, 50)
COLOURS = array([[RED, GREEN, BLUE], [WHITE, BLACK, BROWN]])
GREYS = array([[0, 85, 170], [255, 1, 254]])
LARGE = COLOURS.repeat(16, axis=0).repeat(16, axis=1)  # flat blocks, which JPEG and its kin hardly change
LARGE_GREYS = GREYS.repeat(16, axis=0).repeat(16, axis=1)


def saved(pixels: Samples, kind: str, mode: str | None = None, **options: object) -> bytes:
    """Return what Pillow writes; `mode` says what the channels are, where it is not grey, RGB or RGBA."""
    if mode is None:
        picture = Image.fromarray(pixels)
    else:
        picture = Image.frombytes(mode, pixels.shape[1::-1], np.ascontiguousarray(pixels).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def packed(samples: Samples, bits: int, order: str = ">") -> list[bytes]:
    """Return the rows of samples (H, W) or (H, W, C), with so many bits each, high bits first."""
    if bits in {8, 16}:
        return [row.astype(f"{order}u{bits // 8}").tobytes() for row in samples]
    shifts = np.arange(bits)[::-1]
    return [np.packbits((row.ravel()[:, None] >> shifts & 1).astype(np.uint8)).tobytes() for row in samples]


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: Samples, colour_type: int, bits: int = 8, before: bytes = b"", after: bytes = b"") -> bytes:
    """Return a PNG with chunks before and after its pixels."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in packed(samples, bits)))
    middle = before + chunk(b"IDAT", pixels) + after
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + middle + chunk(b"IEND", b"")


def tiff(samples: Samples, bits: int = 8, order: str = "<", pages: int = 1, *, compressed: bool = False, **tags: object) -> bytes:
    """Return a TIFF, `tags` by name as in `_TAGS`; samples (H, W) or (H, W, C)."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    rows = b"".join(packed(samples, bits, order))
    data = zlib.compress(rows) if compressed else rows
    given: dict[str, object] = {"photometric": 1 if channels < 3 else 2, "compression": 8 if compressed else 1} | tags
    given |= {"width": width, "height": height, "bits": [bits] * channels, "channels": channels, "rows": height}
    given |= {"counts": len(data), "offsets": 8}
    content = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data) + len(data) % 2) + data
    content += b"\0" * (len(data) % 2)
    for page in range(pages):
        content += _directory(given, order, len(content), last=page == pages - 1)
    return content


_TAGS = {
    "subfile": 254, "width": 256, "height": 257, "bits": 258, "compression": 259, "photometric": 262, "offsets": 273,
    "orientation": 274, "channels": 277, "rows": 278, "counts": 279, "largest": 281, "planes": 284, "colours": 320,
    "sub": 330, "extra": 338, "format": 339, "subsampling": 530, "exif": 34665, "xmp": 700, "dng": 50706,
}  # fmt: skip


def _directory(tags: dict[str, object], order: str, start: int, *, last: bool) -> bytes:
    entries, beyond = b"", b""
    place = start + 2 + 12 * len(tags) + 4
    for name in sorted(tags, key=_TAGS.__getitem__):
        value = tags[name]
        if isinstance(value, bytes):
            kind, count, content = 1, len(value), value
        else:
            values = cast("Sequence[int]", value if isinstance(value, Sequence) else [value])
            kind, count = (4, len(values)) if max(values) > 65535 or name in {"offsets", "counts", "exif"} else (3, len(values))
            content = struct.pack(f"{order}{count}{'I' if kind == 4 else 'H'}", *values)
        if len(content) > 4:
            beyond += content
            content = struct.pack(order + "I", place + len(beyond) - len(content))
        entries += struct.pack(order + "HHI", _TAGS[name], kind, count) + content.ljust(4, b"\0")
    following = 0 if last else place + len(beyond)
    return struct.pack(order + "H", len(tags)) + entries + struct.pack(order + "I", following) + beyond


def exif(orientation: int) -> bytes:
    """Return EXIF that says nothing but an orientation."""
    return b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def xmp(orientation: int) -> bytes:
    return f'<x:xmpmeta><rdf:Description tiff:Orientation="{orientation}"/></x:xmpmeta>'.encode()


def stored(upright: Pixels, orientation: int) -> Pixels:
    """Return pixels as a camera stores them that writes this orientation (EXIF 2.32, tag 274)."""
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.swapaxes(0, 1),
        6: np.rot90(upright, 1),  # turning it clockwise shows it upright
        7: upright[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }
    return np.ascontiguousarray(turns[orientation])


def tga(samples: Samples, kind: int, bits: int, alpha_bits: int = 0) -> bytes:
    """Return a TGA, first row first; samples as bytes (H, W, B)."""
    height, width = samples.shape[:2]
    return (
        struct.pack("<BBBHHBHHHHBB", 0, 0, kind, 0, 0, 0, 0, 0, width, height, bits, 32 | alpha_bits) + array(samples).tobytes()
    )


def bmp_with_alpha(colours: Pixels, alphas: Pixels) -> bytes:
    """Return a BMP whose header (version 4) has a mask for alpha."""
    height, width = alphas.shape
    data = with_channels(colours[..., ::-1], alphas)[::-1].tobytes()
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(data), 0, 0, 0, 0) + masks + b"\0" * 52
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


def jpeg2000_of_12_bits(samples: Samples) -> bytes:
    """Return a codestream of samples below 4096: written with 16 bits, but around the middle of 12, then declared to have 12."""
    written = saved((samples + 2**15 - 2**11).astype("<u2"), "jpeg2000", "I;16", no_jp2=True)
    return written[:42] + bytes([12 - 1]) + written[43:]


def with_exif(jpeg: bytes, content: bytes) -> bytes:
    """Return a JPEG with these bytes as EXIF."""
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def over(colours: Pixels, alphas: Pixels, background: Sequence[int] = WHITE) -> Pixels:
    """Return what is seen of colours (H, W, 3) with alphas (H, W), by the definition, to the nearest level."""
    share = alphas[..., None] / 255
    return np.floor(colours * share + np.array(background) * (1 - share) + 0.5).astype(np.uint8)


def premultiplied(colours: Pixels, alphas: Pixels) -> Pixels:
    return np.floor(colours * (alphas[..., None] / 255) + 0.5).astype(np.uint8)


def with_channels(colours: Samples, alphas: Samples) -> Samples:
    """Return (H, W, C + 1) of colours (H, W) or (H, W, C) and alphas (H, W)."""
    return np.concatenate([colours if colours.ndim == 3 else colours[..., None], alphas[..., None]], axis=2)
