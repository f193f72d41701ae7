"""Picture files of every kind, with the pixels that people see in them.

`READABLE` are files that are read with the settings' defaults (a white background), `REFUSED` are files that are not.
"""

import io
import struct
from typing import NamedTuple

import numpy as np
from PIL import Image

from tests.picture_files import (
    BROWN,
    COLOURS,
    GREYS,
    LARGE,
    LARGE_GREYS,
    Pixels,
    array,
    bmp_with_alpha,
    chunk,
    exif,
    jpeg2000_of_12_bits,
    over,
    packed,
    png,
    premultiplied,
    rgb,
    saved,
    stored,
    tga,
    tiff,
    with_channels,
    xmp,
)


class Readable(NamedTuple):
    """A file and what is seen in it, (H, W, 3); a lossy format may be off by `tolerance` levels."""

    content: bytes
    suffix: str
    pixels: Pixels
    tolerance: int = 0


class Refused(NamedTuple):
    """A file, and what the reason must say."""

    content: bytes
    suffix: str
    reason: str


ALPHAS = array([[0, 255, 128], [255, 64, 255]])


INDICES = array([[0, 1, 2], [3, 4, 5]])
PALETTE = COLOURS.reshape(-1, 3)
_PLTE = chunk(b"PLTE", PALETTE.tobytes())
DEEP = np.array([[0, 21845, 43690], [65535, 257, 65278]])  # GREYS * 257
DEEP_COLOURS = COLOURS.astype(np.uint16) * 257
TWELVE = np.array([[0, 1365, 2730], [4095, 16, 4079]])  # GREYS * 4095 / 255, to the nearest
TWELVE_COLOURS = np.floor(COLOURS.astype(float) * 4095 / 255 + 0.5).astype(np.uint16)
_TIFF_PALETTE = [int(value) * 257 for channel in range(3) for value in [*PALETTE[:, channel], *[0] * 250]]


def _pngs() -> dict[str, Readable]:
    bits, twos, fours = array([[0, 1, 0], [1, 1, 0]]), array([[0, 1, 2], [3, 1, 2]]), array([[0, 5, 10], [15, 1, 14]])
    deep_alpha = ALPHAS.astype(np.uint16) * 257
    hidden = (GREYS != 85) * np.uint8(255)
    seen = {
        "1": (png(bits, 0, 1), rgb(bits * 255)),
        "1-key": (png(bits, 0, 1, chunk(b"tRNS", b"\0\0")), rgb(array([[255] * 3] * 2))),
        "L-2-bits": (png(twos, 0, 2), rgb(twos * 85)),
        "L-2-bits-key": (png(twos, 0, 2, chunk(b"tRNS", b"\0\1")), over(rgb(twos * 85), (twos != 1) * np.uint8(255))),
        "L-4-bits": (png(fours, 0, 4), rgb(fours * 17)),
        "L-4-bits-key": (png(fours, 0, 4, chunk(b"tRNS", b"\0\5")), over(rgb(fours * 17), (fours != 5) * np.uint8(255))),
        "L": (png(GREYS, 0), rgb(GREYS)),
        "L-key": (png(GREYS, 0, 8, chunk(b"tRNS", b"\0\x55")), over(rgb(GREYS), hidden)),
        "LA": (png(with_channels(GREYS, ALPHAS), 4), over(rgb(GREYS), ALPHAS)),
        "RGB": (png(COLOURS, 2), COLOURS),
        "RGB-key": (
            png(COLOURS, 2, 8, chunk(b"tRNS", b"\0\0\0\xff\0\0")),
            over(COLOURS, array([[255, 0, 255], [255, 255, 255]])),
        ),
        "RGBA": (png(with_channels(COLOURS, ALPHAS), 6), over(COLOURS, ALPHAS)),
        "P": (png(INDICES, 3, 8, _PLTE), COLOURS),
        "P-4-bits": (png(INDICES, 3, 4, _PLTE), COLOURS),
        "P-one-transparent": (
            png(INDICES, 3, 8, _PLTE + chunk(b"tRNS", b"\xff\0\xff")),
            over(COLOURS, array([[255, 0, 255], [255, 255, 255]])),
        ),
        "P-transparency": (png(INDICES, 3, 8, _PLTE + chunk(b"tRNS", ALPHAS.tobytes())), over(COLOURS, ALPHAS)),
        "16-bits": (png(DEEP, 0, 16), rgb(GREYS)),
        "16-bits-rounded": (png(np.array([[65280, 128, 129]]), 0, 16), rgb(array([[254, 0, 1]]))),
        "16-bits-key": (png(DEEP, 0, 16, chunk(b"tRNS", struct.pack(">H", 21845))), over(rgb(GREYS), hidden)),
        "16-bits-other-key": (png(DEEP, 0, 16, chunk(b"tRNS", struct.pack(">H", 21846))), rgb(GREYS)),
        "12-in-16": (png(TWELVE, 0, 16, chunk(b"sBIT", b"\x0c")), rgb(GREYS)),
        "12-in-16-by-the-standard": (png(TWELVE << 4 | TWELVE >> 8, 0, 16, chunk(b"sBIT", b"\x0c")), rgb(GREYS)),
        "16-bits-LA": (png(with_channels(DEEP, deep_alpha), 4, 16), over(rgb(GREYS), ALPHAS)),
        "16-bits-RGB": (png(DEEP_COLOURS, 2, 16), COLOURS),
        "16-bits-RGB-rounded": (png(np.array([[[65280, 128, 129]]]), 2, 16), array([[[254, 0, 1]]])),
        "16-bits-RGB-key": (
            png(DEEP_COLOURS, 2, 16, chunk(b"tRNS", struct.pack(">3H", 0, 65535, 0))),
            over(COLOURS, array([[255, 0, 255], [255, 255, 255]])),
        ),
        "16-bits-RGB-other-key": (png(DEEP_COLOURS, 2, 16, chunk(b"tRNS", struct.pack(">3H", 0, 65534, 0))), COLOURS),
        "12-in-16-RGB": (png(TWELVE_COLOURS, 2, 16, chunk(b"sBIT", b"\x0c\x0c\x0c")), COLOURS),
        "16-bits-RGBA": (png(with_channels(DEEP_COLOURS, deep_alpha), 6, 16), over(COLOURS, ALPHAS)),
        "text-named-transparency": (png(GREYS, 0, 8, chunk(b"tEXt", b"transparency\0none")), rgb(GREYS)),
    }
    return {f"png-{name}": Readable(content, ".png", pixels) for name, (content, pixels) in seen.items()}


def _tiffs() -> dict[str, Readable]:
    bits = array([[0, 1, 0], [1, 1, 0]])
    cmyk = with_channels(255 - COLOURS, array([[0] * 3] * 2))
    lab = array([[[0, 0, 0], [255, 0, 0]]])  # L* of 0 and 100, a* = b* = 0
    faint = with_channels(premultiplied(COLOURS, ALPHAS), ALPHAS)
    bogus = faint.copy()
    bogus[0, 0, :3] = BROWN  # under alpha 0
    deep_faint = faint.astype(np.uint16) * 257
    seen: dict[str, tuple[bytes, Pixels]] = {}
    for order, word in (("<", "little"), (">", "big")):
        for how in (False, True):
            name = f"{word}-{'compressed' if how else 'raw'}"
            seen |= {
                f"1-{name}": (tiff(bits, 1, order, compressed=how), rgb(bits * 255)),
                f"1-white-is-zero-{name}": (tiff(1 - bits, 1, order, compressed=how, photometric=0), rgb(bits * 255)),
                f"L-{name}": (tiff(GREYS, 8, order, compressed=how), rgb(GREYS)),
                f"L-white-is-zero-{name}": (tiff(255 - GREYS, 8, order, compressed=how, photometric=0), rgb(GREYS)),
                f"LA-{name}": (tiff(with_channels(GREYS, ALPHAS), 8, order, compressed=how, extra=2), over(rgb(GREYS), ALPHAS)),
                f"RGB-{name}": (tiff(COLOURS, 8, order, compressed=how), COLOURS),
                f"RGBA-{name}": (tiff(with_channels(COLOURS, ALPHAS), 8, order, compressed=how, extra=2), over(COLOURS, ALPHAS)),
                f"RGBX-{name}": (tiff(with_channels(COLOURS, ALPHAS), 8, order, compressed=how, extra=0), COLOURS),
                f"RGBa-{name}": (tiff(faint, 8, order, compressed=how, extra=1), over(COLOURS, ALPHAS)),
                f"CMYK-{name}": (tiff(cmyk, 8, order, compressed=how, photometric=5), COLOURS),
                f"P-{name}": (tiff(INDICES, 8, order, compressed=how, photometric=3, colours=_TIFF_PALETTE), COLOURS),
                f"PA-{name}": (
                    tiff(with_channels(INDICES, ALPHAS), 8, order, compressed=how, photometric=3, colours=_TIFF_PALETTE, extra=2),
                    over(COLOURS, ALPHAS),
                ),
                f"16-bits-{name}": (tiff(DEEP, 16, order, compressed=how), rgb(GREYS)),
                f"16-bits-RGB-{name}": (tiff(DEEP_COLOURS, 16, order, compressed=how), COLOURS),
                f"16-bits-CMYK-{name}": (tiff(cmyk * np.uint16(257), 16, order, compressed=how, photometric=5), COLOURS),
                f"16-bits-RGBa-{name}": (tiff(deep_faint, 16, order, compressed=how, extra=1), over(COLOURS, ALPHAS)),
                f"16-bits-RGBA-{name}": (
                    tiff(with_channels(DEEP_COLOURS, ALPHAS.astype(np.uint16) * 257), 16, order, compressed=how, extra=2),
                    over(COLOURS, ALPHAS),
                ),
                f"12-in-16-{name}": (tiff(TWELVE, 16, order, compressed=how, largest=4095), rgb(GREYS)),
                f"12-in-16-RGB-{name}": (tiff(TWELVE_COLOURS, 16, order, compressed=how, largest=[4095] * 3), COLOURS),
            }
    seen |= {
        "16-bits-white-is-zero": (tiff(65535 - DEEP, 16, photometric=0), rgb(GREYS)),
        "12-in-16-white-is-zero": (tiff(4095 - TWELVE, 16, photometric=0, largest=4095), rgb(GREYS)),
        "statistic": (tiff(DEEP[:1], 16, largest=43690), rgb(GREYS[:1])),
        "12-bits": (tiff(np.array([[0, 1365], [2730, 4095]]), 12), rgb(array([[0, 85], [170, 255]]))),
        "LAB": (tiff(lab, photometric=8), rgb(array([[0, 255]]))),
        "YCbCr": (tiff(array([[[255, 128, 128], [0, 128, 128]]]), photometric=6, subsampling=[1, 1]), rgb(array([[255, 0]]))),
        "hidden-colours": (tiff(bogus, extra=1), over(COLOURS, ALPHAS)),
        "pages": (tiff(COLOURS, pages=3), COLOURS),
        "broken-exif": (tiff(COLOURS, exif=2**32 - 1), COLOURS),
    }
    return {f"tiff-{name}": Readable(content, ".tif", pixels, name == "LAB") for name, (content, pixels) in seen.items()}


def _orientations() -> dict[str, Readable]:
    seen: dict[str, Readable] = {}
    for turn in range(1, 9):
        large, small = stored(LARGE, turn), stored(COLOURS, turn)
        text = b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turn)
        seen |= {
            f"jpeg-{turn}": Readable(saved(large, "jpeg", quality=95, subsampling=0, exif=exif(turn)), ".jpg", LARGE, 4),
            f"jpeg-xmp-{turn}": Readable(saved(large, "jpeg", quality=95, subsampling=0, xmp=xmp(turn)), ".jpg", LARGE, 4),
            f"webp-{turn}": Readable(saved(small, "webp", lossless=True, exif=exif(turn)), ".webp", COLOURS),
            f"avif-{turn}": Readable(saved(large, "avif", quality=100, subsampling="4:4:4", exif=exif(turn)), ".avif", LARGE, 4),
            f"png-{turn}": Readable(png(small, 2, 8, chunk(b"eXIf", exif(turn)[6:])), ".png", COLOURS),
            f"png-late-{turn}": Readable(png(small, 2, 8, b"", chunk(b"eXIf", exif(turn)[6:])), ".png", COLOURS),
            f"png-late-xmp-{turn}": Readable(png(small, 2, 8, b"", chunk(b"iTXt", text)), ".png", COLOURS),
            f"png-16-bits-{turn}": Readable(
                png(stored(COLOURS, turn) * np.uint16(257), 2, 16, chunk(b"eXIf", exif(turn)[6:])), ".png", COLOURS
            ),
            f"tiff-{turn}": Readable(tiff(small, orientation=turn), ".tif", COLOURS),
            f"tiff-compressed-{turn}": Readable(tiff(small, compressed=True, orientation=turn), ".tiff", COLOURS),
            f"tiff-16-bits-{turn}": Readable(tiff(small * np.uint16(257), 16, ">", orientation=turn), ".tif", COLOURS),
            f"tiff-xmp-{turn}": Readable(tiff(small, xmp=xmp(turn)), ".tif", COLOURS),
            f"tiff-both-{turn}": Readable(tiff(small, orientation=turn, xmp=xmp(9 - turn)), ".tif", COLOURS),
        }
    return {f"orientation-{name}": readable for name, readable in seen.items()}


def _others() -> dict[str, Readable]:
    colours = b"255 0 0 0 255 0 0 0 255\n255 255 255 0 0 0 200 100 50\n"
    bits, bgr = array([[0, 1, 0], [1, 1, 0]]), COLOURS[..., ::-1]
    cmyk = with_channels(255 - LARGE, LARGE[..., 0] * 0)
    frames = [Image.fromarray(COLOURS[..., ::-1].copy())]
    p = Image.fromarray(INDICES)
    p.putpalette(PALETTE.tobytes())
    gif, transparent = io.BytesIO(), io.BytesIO()
    p.save(gif, "gif")
    p.save(transparent, "gif", transparency=1)
    clear, faint, fours = over(COLOURS, ALPHAS), with_channels(LARGE, LARGE_GREYS), array([[0, 5, 10], [15, 1, 14]])
    seen = {
        "jpeg-L": (saved(LARGE_GREYS, "jpeg", quality=95), ".jpg", rgb(LARGE_GREYS), 3),
        "jpeg-CMYK": (saved(cmyk, "jpeg", "CMYK", quality=95), ".jpeg", LARGE, 4),
        "jpeg-named-png": (saved(LARGE, "jpeg", quality=95, subsampling=0), ".png", LARGE, 4),
        "webp-RGBA": (saved(with_channels(COLOURS, ALPHAS), "webp", lossless=True, exact=True), ".webp", clear, 0),
        "webp": (saved(rgb(LARGE_GREYS), "webp", quality=100), ".webp", rgb(LARGE_GREYS), 4),
        "webp-animated": (saved(COLOURS, "webp", lossless=True, save_all=True, append_images=frames), ".webp", COLOURS, 0),
        "png-animated": (saved(COLOURS, "png", save_all=True, append_images=frames), ".png", COLOURS, 0),
        "gif": (gif.getvalue(), ".gif", COLOURS, 0),
        "gif-transparency": (transparent.getvalue(), ".gif", over(COLOURS, array([[255, 0, 255], [255, 255, 255]])), 0),
        "gif-grey": (saved(GREYS, "gif"), ".gif", rgb(GREYS), 0),
        "avif-RGBA": (saved(faint, "avif", quality=100, subsampling="4:4:4"), ".avif", over(LARGE, LARGE_GREYS), 4),
        "jpeg2000": (saved(COLOURS, "jpeg2000"), ".jp2", COLOURS, 0),
        "jpeg2000-RGBA": (saved(with_channels(COLOURS, ALPHAS), "jpeg2000"), ".jp2", clear, 0),
        "jpeg2000-12-bits": (jpeg2000_of_12_bits(TWELVE), ".j2k", rgb(GREYS), 0),
        "jpeg2000-16-bits": (saved(DEEP.astype("<u2"), "jpeg2000", "I;16"), ".jp2", rgb(GREYS), 0),
        "bmp": (saved(COLOURS, "bmp"), ".bmp", COLOURS, 0),
        "bmp-L": (saved(GREYS, "bmp"), ".bmp", rgb(GREYS), 0),
        "bmp-32-bits": (saved(with_channels(COLOURS, ALPHAS), "bmp"), ".dib", COLOURS, 0),  # of which 8 are nothing
        "bmp-RGBA": (bmp_with_alpha(COLOURS, ALPHAS), ".bmp", clear, 0),
        "pbm": (b"P1\n# a comment\n3 2\n1 0 1\n0 0 1\n", ".pbm", rgb(bits * 255), 0),
        "pbm-raw": (b"P4 3 2\n" + b"".join(packed(1 - bits, 1)), ".pbm", rgb(bits * 255), 0),
        "pgm-plain": (b"P2 3 2 255 # a comment\n0 85 170 # another\n255 1 254", ".pgm", rgb(GREYS), 0),
        "pgm": (b"P5 3 2 255\n" + GREYS.tobytes(), ".pgm", rgb(GREYS), 0),
        "pgm-15": (b"P5 3 2 15\n" + fours.tobytes(), ".pgm", rgb(fours * 17), 0),
        "pgm-12-bits": (b"P5 3 2 4095\n" + TWELVE.astype(">u2").tobytes(), ".pgm", rgb(GREYS), 0),
        "pgm-12-bits-plain": (b"P2 3 2 4095\n0 1365 2730 4095 16 4079", ".pgm", rgb(GREYS), 0),
        "pgm-16-bits": (b"P5 3 2 65535\n" + DEEP.astype(">u2").tobytes(), ".pgm", rgb(GREYS), 0),
        "ppm-plain": (b"P3 3 2 255\n" + colours, ".ppm", COLOURS, 0),
        "ppm": (b"P6 3 2 255\n" + COLOURS.tobytes(), ".ppm", COLOURS, 0),
        "ppm-12-bits": (b"P6 3 2 4095\n" + TWELVE_COLOURS.astype(">u2").tobytes(), ".ppm", COLOURS, 0),
        "ppm-16-bits": (b"P6 3 2 65535\n" + DEEP_COLOURS.astype(">u2").tobytes(), ".ppm", COLOURS, 0),
        "tga": (tga(bgr, 2, 24), ".tga", COLOURS, 0),
        "tga-L": (tga(GREYS[..., None], 3, 8), ".tga", rgb(GREYS), 0),
        "tga-RGBA": (tga(with_channels(bgr, ALPHAS), 2, 32, 8), ".tga", clear, 0),
        "tga-without-alpha": (tga(with_channels(bgr, ALPHAS * 0), 2, 32, 0), ".tga", COLOURS, 0),
        "tga-LA": (tga(with_channels(GREYS, ALPHAS), 3, 16, 8), ".tga", over(rgb(GREYS), ALPHAS), 0),
    }  # fmt: skip
    return {name: Readable(*entry) for name, entry in seen.items()}


READABLE: dict[str, Readable] = _pngs() | _tiffs() | _orientations() | _others()


# Files that are not


def _refused() -> dict[str, Refused]:
    jpeg, whole = saved(LARGE, "jpeg"), png(LARGE, 2)
    floats = np.array([[0, 1], [2, 3]])
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    brands = b"heic\0\0\0\0mif1heic"
    seen = {
        "empty": (b"", ".png", "empty"),
        "text": (b"name,label\na.png,1\n", ".png", "text"),
        "html": (b"<!DOCTYPE html><html><body>404</body></html>", ".jpg", "HTML"),
        "svg": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', ".png", "SVG"),
        "pdf": (b"%PDF-1.7\n", ".png", "PDF"),
        "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", ".png", "EPS"),
        "eps-from-dos": (b"\xc5\xd0\xd3\xc6" + b"\0" * 28, ".tif", "EPS"),
        "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ".png", "git lfs pull"),
        "heic": (struct.pack(">I", 28) + b"ftyp" + brands + b"\0" * 64, ".jpg", "HEIC"),
        "heif-collection": (struct.pack(">I", 24) + b"ftypmif1\0\0\0\0mif1miaf" + b"\0" * 64, ".heif", "HEIC"),
        "video": (struct.pack(">I", 20) + b"ftypisom\0\0\2\0mp42" + b"\0" * 64, ".jpg", "video"),
        "jpeg-xl": (b"\xff\x0a" + b"\0" * 64, ".jpg", "JPEG XL"),
        "photoshop": (b"8BPS\0\1" + b"\0" * 64, ".tif", "Photoshop"),
        "dicom": (b"\0" * 128 + b"DICM" + b"\0" * 64, ".png", "DICOM"),
        "numpy": (b"\x93NUMPY\1\0", ".png", "NumPy"),
        "zip": (b"PK\3\4" + b"\0" * 64, ".png", "ZIP"),
        "ico": (saved(with_channels(LARGE, LARGE_GREYS), "ico"), ".png", "format ICO is not read"),
        "sgi": (saved(COLOURS, "sgi"), ".png", "format SGI is not read"),
        "pcx": (saved(COLOURS, "pcx"), ".png", "format PCX is not read"),
        "dds": (saved(COLOURS, "dds"), ".png", "format DDS is not read"),
        "noise": (noise.tobytes(), ".png", "not a picture"),
        "png-truncated": (png(noise, 2)[:3000], ".png", "truncated PNG"),
        "png-header": (whole[:20], ".png", "PNG"),
        "jpeg-truncated": (saved(noise, "jpeg")[:900], ".jpg", "truncated JPEG"),
        "gif-truncated": (saved(noise[..., 0], "gif")[:900], ".gif", "truncated GIF"),
        "bmp-truncated": (saved(noise, "bmp")[:900], ".bmp", "truncated BMP"),
        "ppm-truncated": (b"P6 3 2 255\n" + COLOURS.tobytes()[:-1], ".ppm", "truncated PNM"),
        "webp-truncated": (saved(noise, "webp", lossless=True)[:900], ".webp", "WebP"),
        "avif-truncated": (saved(noise, "avif")[:900], ".avif", "AVIF"),
        "tiff-truncated": (tiff(noise, compressed=True)[:900], ".tif", "TIFF"),
        "jpeg-12-bits": (jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"), ".jpg", "12-bit"),
        "png-without-palette": (png(INDICES, 3), ".png", "palette"),
        "png-too-large": (whole[:8] + chunk(b"IHDR", header) + whole[33:], ".png", "30000x30000"),
        "pgm-beyond": (b"P5 2 1 100\n\x64\x65", ".pgm", "101"),
        "tiff-float": (tiff(floats, 32, format=3), ".tif", "mode F"),
        "pfm": (b"Pf 1 1 -1.0\n\0\0\0\0", ".ppm", "mode F"),
        "tiff-32-bits": (tiff(floats, 32), ".tif", "mode I"),
        "tiff-signed-16-bits": (tiff(floats, 16, format=2), ".tif", "mode I"),
        "tiff-signed-8-bits": (tiff(floats, format=2), ".tif", "signed integer"),
        "tiff-10-bits": (tiff(floats, 10), ".tif", "10 bits"),
        "tiff-16-bits-LA": (tiff(with_channels(GREYS, ALPHAS), 16, extra=2), ".tif", "16 + 16 bits"),
        "tiff-planes": (tiff(DEEP, 16, planes=2), ".tif", "plane for each channel"),
        "tiff-compression": (tiff(GREYS, compression=34712), ".tif", "compression 34712"),
        "tiff-beyond": (tiff(TWELVE * 2, 16, compressed=True, largest=4095), ".tif", "8190"),
        "tiff-subsampled": (tiff(COLOURS, photometric=6), ".tif", "subsampled"),
        "dng": (tiff(GREYS, dng=[1, 4, 0, 0]), ".tif", "raw"),
        "nef": (tiff(GREYS, subfile=1, sub=8), ".tif", "raw"),
        "jpeg2000-16-bits-RGB": (_jpeg2000_of_16_bits(), ".jp2", "16 bits in JPEG 2000"),
    }  # fmt: skip
    return {name: Refused(*entry) for name, entry in seen.items()}


def _jpeg2000_of_16_bits() -> bytes:
    written = saved(COLOURS, "jpeg2000", no_jp2=True)
    return written[:42] + bytes([15, 1, 1] * 3) + written[51:]


REFUSED: dict[str, Refused] = _refused()
