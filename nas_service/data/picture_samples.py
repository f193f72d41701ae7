"""Decoding the samples of a picture, whatever its mode and depth, to 8 bits by their range."""

import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile, PpmImagePlugin

from nas_service.data.picture_files import Opened, UnreadableError

Samples = npt.NDArray[np.uint16]

_BYTE, _WHITE = 255, 65535  # the largest samples of one byte and of two
_MAX_SAMPLE_VALUE, _BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANES = 281, 258, 262, 284
_OTHER_BYTE = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B" if sys.byteorder == "little" else ";16L"}


@dataclass(frozen=True)
class Layers:
    """A picture in 8 bits, as it is stored: neither turned nor composited.

    Attributes:
        colour: Mode L or RGB.
        alpha: Mode L, of the same size; None if the picture is opaque.
        premultiplied: Whether `colour` has been multiplied by `alpha`.
        deep_peak: Largest sample of a picture that may use fewer bits than it is stored with; else None.
    """

    colour: Image.Image
    alpha: Image.Image | None = None
    premultiplied: bool = False
    deep_peak: int | None = None


@dataclass(frozen=True)
class _Deep:
    """Samples as they are stored, (H, W, C).

    Attributes:
        mode: Of the colours: L, RGB or CMYK; a channel more than it has is alpha.
        said: The sample that is white, if the file says so.
        key: Samples of a transparent pixel, if it says so.
        inverted: Whether 0 is white.
    """

    samples: Samples
    mode: str
    said: int | None = None
    key: int | tuple[int, ...] | None = None
    inverted: bool = False
    premultiplied: bool = False


def decode(source: Opened, bits: int | None) -> Layers:
    """Return the picture's layers; `bits` as in `PictureSettings`.

    Raises:
        UnreadableError: If a sample is above the white level, or its white level cannot be told.
        Exception: Whatever a decoder makes of broken bytes.
    """
    picture = source.picture
    if isinstance(picture.info.get("transparency"), str):  # a PNG's text under this keyword
        del picture.info["transparency"]
    if isinstance(picture, PpmImagePlugin.PpmImageFile) and picture.mode != "1":
        return _pnm(source, bits)
    if picture.mode.startswith("I;16"):
        return _layers(_deep_grey(source), bits)
    if _rawmode(picture)[-4:] in _OTHER_BYTE:
        return _layers(_deep_colours(source), bits)
    if source.format == "JPEG 2000" and _jpeg2000_precision(source) == 16:  # noqa: PLR2004 - of which Pillow gives the upper 8
        raise UnreadableError("colours of 16 bits in JPEG 2000 are not read; save it as PNG or TIFF")
    return _ordinary(source)


def _rawmode(picture: ImageFile.ImageFile) -> str:
    args: Any = picture.tile[0].args if picture.tile else None
    return str(args if isinstance(args, str) else args[0]) if args else ""


def _retile(picture: ImageFile.ImageFile, rawmode: str) -> None:
    """Have the decoder unpack pixels as `rawmode`."""
    picture.tile = [
        tile._replace(args=rawmode if isinstance(tile.args, str) else (rawmode, *(tile.args or ())[1:])) for tile in picture.tile
    ]


def _tags(picture: ImageFile.ImageFile) -> dict[int, Any]:
    return dict(getattr(picture, "tag_v2", {}))


def _ordinary(source: Opened) -> Layers:
    """Decode a picture with up to 8 bits a channel."""
    picture, rawmode = source.picture, _rawmode(source.picture)
    premultiplied = rawmode.startswith("RGBa") and _tags(picture).get(_PLANES, 1) == 1
    if premultiplied:  # Pillow would divide by alpha what is to be multiplied by it again
        _retile(picture, rawmode.replace("RGBa", "RGBA"))
    picture.load()
    if picture.mode in {"1", "L", "RGB"}:
        key = picture.info.get("transparency")
        if rawmode in {"L;2", "L;4"} and key is not None:  # the samples have been scaled to 8 bits, the key has not
            key = key * _BYTE // (2 ** int(rawmode[-1]) - 1)
        colour = picture if picture.mode == "RGB" else picture.convert("L")
        return Layers(colour, None if key is None else _opaque(np.atleast_3d(np.asarray(colour)), np.asarray(key) & _BYTE))
    if picture.mode in {"LA", "La"}:
        grey, alpha = picture.split()
        return Layers(grey, alpha, picture.mode == "La")
    if not picture.has_transparency_data or (source.format == "TGA" and not _tga_has_alpha(source)):
        return Layers(picture.convert("RGB"))
    whole = picture.convert("RGBA")
    return Layers(whole.convert("RGB"), whole.getchannel("A"), premultiplied)


def _opaque(samples: npt.NDArray[Any], key: npt.ArrayLike) -> Image.Image:
    """Return as mode L which pixels of (H, W, C) differ from the transparent one."""
    return Image.fromarray(np.where((samples != key).any(axis=2), _BYTE, 0).astype(np.uint8))


def _tga_has_alpha(source: Opened) -> bool:
    """Whether the header counts alpha bits: there are files with 32 bits a pixel of which 8 are nothing."""
    source.file.seek(17)
    return bool(source.file.read(1)[0] & 15)


def _pnm(source: Opened, bits: int | None) -> Layers:
    """Decode PGM and PPM by the maximum in their header: Pillow does so in a loop, and to 8 bits where there are colours."""
    file, (width, height), mode = source.file, source.size, "RGB" if source.picture.mode == "RGB" else "L"
    tile = source.picture.tile[0]
    args: Any = tile.args
    white = int(args[1]) if isinstance(args, tuple) else _WHITE if args == "I;16B" else _BYTE
    count = width * height * Image.getmodebands(mode)
    file.seek(0)
    plain = file.read(2) in {b"P2", b"P3"}
    file.seek(tile.offset)
    if plain:
        words = re.sub(rb"#[^\r\n]*", b" ", file.read()).split(maxsplit=count)[:count]
        flat = np.array([int(word) for word in words], dtype=np.int64)
    else:
        flat = np.frombuffer(file.read(count * (1 + (white > _BYTE))), dtype=">u2" if white > _BYTE else np.uint8)
    if len(flat) < count:
        raise EOFError(f"{len(flat)} of {count} samples")
    if not 0 <= flat.min() <= flat.max() <= white:
        raise UnreadableError(f"values from {flat.min()} to {flat.max()}, but the file says at most {white}")
    samples = flat.astype(np.uint16).reshape(height, width, -1)
    if white <= _BYTE:
        return Layers(_image(_scaled(samples, white), mode))
    return _layers(_Deep(samples, mode, white if white < _WHITE else None), bits)


def _deep_grey(source: Opened) -> _Deep:
    picture, tags = source.picture, _tags(source.picture)
    picture.load()
    samples = np.atleast_3d(np.asarray(picture).astype(np.uint16))
    if source.format == "JPEG 2000":  # which Pillow has scaled to 16 bits
        precision = _jpeg2000_precision(source)
        return _Deep(samples >> np.uint16(16 - precision), "L", _white_of(precision))
    inverted = source.format == "TIFF" and tags.get(_PHOTOMETRIC, 0) == 0
    return _Deep(samples, "L", _said(source, samples), picture.info.get("transparency"), inverted)


def _deep_colours(source: Opened) -> _Deep:
    """Decode colours with 16 bits a channel, of which Pillow gives the upper byte, then as if the lower one were the upper."""
    picture, rawmode = source.picture, _rawmode(source.picture)
    if rawmode == "LA;16B":  # four bytes a pixel, as RGBA
        _retile(picture, "RGBA")
        picture.load()
        pair = np.asarray(picture, np.uint16)
        samples = pair[..., 0::2] << np.uint16(8) | pair[..., 1::2]
        return _Deep(samples, "L", _said(source, samples[..., :1]))
    straight = rawmode.replace("RGBa", "RGBA")
    _retile(picture, straight)
    picture.load()
    source.file.seek(0)
    lower = type(picture)(source.file)
    _retile(lower, straight[:-4] + _OTHER_BYTE[straight[-4:]])
    samples = np.asarray(picture, np.uint16) << np.uint16(8) | np.asarray(lower, np.uint16)
    mode = "CMYK" if picture.mode == "CMYK" else "RGB"
    said = _said(source, samples[..., : len(mode)])
    return _Deep(samples, mode, said, picture.info.get("transparency"), premultiplied=rawmode != straight)


def _layers(deep: _Deep, bits: int | None) -> Layers:
    """Scale 16 bits to 8: white is what `bits` says, else the file, else 65535."""
    count = Image.getmodebands(deep.mode)
    colours, alphas = deep.samples[..., :count], deep.samples[..., count:]
    white = _WHITE if bits is None else 2**bits - 1
    source = f"bits={bits} allows"
    if bits is None and deep.said is not None:
        white, source = deep.said, "the file says at most"
    peak = int(colours.max())
    if peak > white:
        raise UnreadableError(f"value {peak}, but {source} {white}")
    colour = _image(_scaled(white - colours if deep.inverted else colours, white), deep.mode)
    alpha = None if deep.key is None else _opaque(deep.samples, deep.key)
    if alphas.size:
        opaque = white if alphas.max() <= white else _WHITE  # some write colours with fewer bits, but alpha with all of them
        alpha = _image(_scaled(alphas, opaque), "L")
    deep_peak = peak if bits is None and deep.said is None else None
    return Layers(colour.convert("RGB") if deep.mode == "CMYK" else colour, alpha, deep.premultiplied, deep_peak)


def _scaled(samples: Samples, white: int) -> npt.NDArray[np.uint8]:
    """Return samples of 0 to `white` as the nearest of 0 to 255."""
    table = (np.arange(white + 1) * 2 * _BYTE + white) // (2 * white)
    return table.astype(np.uint8)[samples]


def _image(samples: npt.NDArray[np.uint8], mode: str) -> Image.Image:
    return Image.merge(mode, [Image.fromarray(np.ascontiguousarray(samples[..., band])) for band in range(samples.shape[2])])


def _white_of(bits: int) -> int | None:
    """Return the white level of samples of so many bits; None where they fill the 16 bits, so may as well have fewer."""
    return 2**bits - 1 if bits < 16 else None  # noqa: PLR2004 - bits a channel is stored with


def _said(source: Opened, samples: Samples) -> int | None:
    """Return what the file says is white, if it says so. A TIFF's MaxSampleValue may be a statistic: only 2^n - 1 is a range."""
    if source.format == "TIFF":
        tags = _tags(source.picture)
        said = tags.get(_MAX_SAMPLE_VALUE, (0,))
        largest = max(said) if isinstance(said, tuple) else said
        by_bits = _white_of(max(tags.get(_BITS_PER_SAMPLE, (16,))))
        return by_bits or next((2**bits - 1 for bits in range(9, 16) if largest == 2**bits - 1), None)
    bits = source.significant_bits
    if bits is None or not 8 < bits < 16 or samples.max() >= 2**bits:  # noqa: PLR2004 - depths between a byte and two
        return None
    # By the standard significant bits are the upper ones, so that 65535 is white: the others are 0, or repeat them.
    upper = samples >> (16 - bits) << (16 - bits)
    by_the_standard = np.array_equal(samples, upper) or np.array_equal(samples, upper | upper >> bits)
    return None if by_the_standard else 2**bits - 1


def _jpeg2000_precision(source: Opened) -> int:
    """Return how many bits a channel has, from the codestream's SIZ marker."""
    source.file.seek(0)
    content = source.file.read()
    return min((content[content.index(b"\xff\x4f\xff\x51") + 42] & 127) + 1, 16)
