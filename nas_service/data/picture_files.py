"""Opening picture files: which kinds are read, what a header says, and why a file is no picture."""

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TgaImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from nas_service.data.paths import reason_of

# What Pillow warns of is odd metadata, which is not used here, and size, which is checked here.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # or Python would print what Pillow logs where nobody asked for logs

MAX_PIXELS = 2**27
SUFFIXES = frozenset(
    {".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".dib"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".avif", ".jp2", ".j2k", ".jpx"}
)

_PREFIX_BYTES = 4096  # enough for an HTML page or a drawing to say what it is
_FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer, not the picture: run git lfs pull"),
    (b"%PDF", "PDF documents are not read; export their pictures as PNG"),
    (b"%!PS", "format EPS is not read; export it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "format EPS is not read; export it as PNG"),
    (b"\xff\x0a", "JPEG XL pictures are not read; export them as PNG or JPEG"),
    (b"\0\0\0\x0cJXL ", "JPEG XL pictures are not read; export them as PNG or JPEG"),
    (b"8BPS", "Photoshop documents are not read; export them as PNG"),
    (b"\0\0\1\0", "format ICO is not read; export it as PNG"),
    (b"II*\0\x10\0\0\0CR", "raw files of cameras are not read; export them as JPEG, PNG or TIFF"),
    (b"\x93NUMPY", "a NumPy array, not a picture; save it as PNG"),
    (b"PK\x03\x04", "a ZIP archive, not a picture"),
    (b"\x1f\x8b", "a gzip archive, not a picture"),
)
_FOREIGN_CONTENT = (
    (rb"\A.{128}DICM", "DICOM pictures are not read; export them as PNG or TIFF"),
    (rb"<svg", "SVG drawings are not read; export them as PNG"),
    (rb"<html|<!doctype html", "an HTML page (a saved error message?), not a picture"),
    (rb"\A[\t\r\n\f -~\x80-\xff]+\Z", "text, not a picture"),
)
_EIGHT_BITS = 8
_TURNING = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # what Pillow finds an orientation in
_DNG_VERSION, _NEW_SUBFILE_TYPE, _SUB_IFDS = 50706, 254, 330
_SAMPLE_FORMATS = {2: "signed integer", 3: "float", 5: "complex integer", 6: "complex float"}


class UnreadableError(Exception):
    """A file is no picture, or none that can be read as people see it; the message is the reason, without a path."""


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """JPEG, of which pictures appended to it (MPO: previews, gain maps, other views) are no part."""

    def _read_dpi_from_exif(self) -> None:
        """Leave EXIF alone while opening: whatever is wrong with it (a resolution without a number), the pixels may be fine."""


class _Tiff(TiffImagePlugin.TiffImageFile):
    """TIFF as it is stored: turning it is left to `Opened.orientation`, as for every other format."""

    def _open(self) -> None:
        try:
            super()._open()
        except (SyntaxError, KeyError) as error:
            tags = self.tag_v2
            bits, photometric, compression = tags.get(258, (1,)), tags.get(262, 0), tags.get(259, 1)
            if compression not in TiffImagePlugin.COMPRESSION_INFO:
                raise UnreadableError(f"compression {compression} of TIFF is not read; save it uncompressed") from error
            kind = f"{' + '.join(map(str, bits))} bits a pixel, photometric {photometric}, sample format {tags.get(339, (1,))}"
            raise UnreadableError(f"TIFF pixels of this kind are not read ({kind}); save it with 8 or 16 bits") from error

    def load_end(self) -> None:
        """Do not turn the pixels, nor read EXIF."""
        self._size = self.im.size


class _Avif(AvifImagePlugin.AvifImageFile):
    def _open(self) -> None:
        try:
            super()._open()
        except Exception:  # noqa: BLE001 - broken EXIF raises anything; without it the file is as good as any
            assert self.fp is not None  # noqa: S101 - for the type checker
            self.fp.seek(0)
            self.fp = io.BytesIO(re.sub(rb"(infe.{8})Exif", rb"\1none", self.fp.read(), flags=re.DOTALL))
            super()._open()


_CLASSES: dict[str, type[ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": _Jpeg,
    "GIF": GifImagePlugin.GifImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "TIFF": _Tiff,
    "BMP": BmpImagePlugin.BmpImageFile,
    "PNM": PpmImagePlugin.PpmImageFile,
    "AVIF": _Avif,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "TGA": TgaImagePlugin.TgaImageFile,
}
_SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"GIF8[79]a", "GIF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"II[*+]\0|MM\0[*+]", "TIFF"),
    (rb"BM", "BMP"),
    (rb"P[1-6f][\s#]", "PNM"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
)


@dataclass(frozen=True)
class Opened:
    """A picture whose header was read and found to be one that is read.

    Attributes:
        format: Its name, for messages.
        picture: Pillow's, not loaded yet.
        file: Where its bytes are.
        orientation: As EXIF counts them, 1 to 8: how the stored pixels are to be turned.
        size: Width and height as stored, in pixels.
        significant_bits: What a PNG's sBIT chunk says, if anything.
    """

    format: str
    picture: ImageFile.ImageFile
    file: BinaryIO
    orientation: int
    size: tuple[int, int]
    significant_bits: int | None

    @property
    def frames(self) -> int:
        """How many pictures it holds; 2 where there are more than one, but they cannot be counted to the end."""
        try:
            if not isinstance(self.picture, GifImagePlugin.GifImageFile | _Tiff):  # the header says it
                return int(getattr(self.picture, "n_frames", 1))
            self.file.seek(0)
            return type(self.picture)(self.file).n_frames  # another: counting moves it from picture to picture
        except Exception:  # noqa: BLE001 - what is wrong with the others does not matter to the first
            return 2


@contextmanager
def opened(source: bytes | Path) -> Iterator[Opened]:
    """Give the picture inside the block; whatever fails in the block, too, is said to be the picture's fault.

    Raises:
        UnreadableError: If it is none that is read, saying why.
    """
    name = "picture"
    try:
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            prefix = file.read(_PREFIX_BYTES)
            name = _format_of(prefix)
            yield _opened(name, file)
    except UnreadableError:
        raise
    except MemoryError as error:
        raise UnreadableError("not enough memory to decode it") from error
    except Image.DecompressionBombError as error:
        raise UnreadableError(f"too many pixels; allowed: {MAX_PIXELS}") from error
    except Exception as error:  # decoders raise whatever broken bytes lead to
        raise UnreadableError(_reason(name, error, source)) from error


def _reason(name: str, error: Exception, source: bytes | Path) -> str:
    text = reason_of(error, *([source] if isinstance(source, Path) else []))
    if isinstance(error, OSError) and error.strerror:
        return text
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return f"truncated {name} file ({text or type(error).__name__})"
    return f"{name} file that cannot be decoded ({text or type(error).__name__})"


def _opened(name: str, file: BinaryIO) -> Opened:
    file.seek(0)
    try:
        picture = _CLASSES[name](file)
    except SyntaxError as error:
        if name == "TGA":  # it has no signature, so this was a guess
            raise UnreadableError(_foreign(file)) from error
        raise
    significant = _complete_png(picture, file) if isinstance(picture, PngImagePlugin.PngImageFile) else None
    size = picture.size
    if isinstance(picture, _Tiff):
        size = picture.tag_v2[256], picture.tag_v2[257]
        _check_tiff(picture)
    if size[0] * size[1] > MAX_PIXELS:
        raise UnreadableError(f"{size[0]}x{size[1]} pixels; allowed: {MAX_PIXELS} in all")
    _check_mode(picture)
    return Opened(name, picture, file, _orientation(picture), size, significant)


def _format_of(prefix: bytes) -> str:
    """Return the name of the format by its first bytes, whatever its suffix says.

    Raises:
        UnreadableError: If it is known to be something else.
    """
    if not prefix:
        raise UnreadableError("empty")
    for start, reason in _FOREIGN:
        if prefix.startswith(start):
            raise UnreadableError(reason)
    for pattern, name in _SIGNATURES:
        if re.match(pattern, prefix, re.DOTALL):
            return name
    if prefix[4:8] == b"ftyp":
        return _container_of(prefix)
    for pattern, reason in _FOREIGN_CONTENT:
        if re.search(pattern, prefix, re.DOTALL | re.IGNORECASE):
            raise UnreadableError(reason)
    return "TGA"  # which has no signature


def _container_of(prefix: bytes) -> str:
    length = max(16, int.from_bytes(prefix[:4]))
    brands = {prefix[at : at + 4] for at in (8, *range(16, min(length, len(prefix)), 4))}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        raise UnreadableError("HEIC pictures are not read; export them as JPEG")
    raise UnreadableError("a video, not a picture")


def _foreign(file: BinaryIO) -> str:
    """Say what a file is that has none of our formats, if Pillow has a word for its first bytes; nothing of it is decoded."""
    file.seek(0)
    prefix = file.read(16)
    Image.init()
    for name in Image.ID:
        accept = Image.OPEN[name][1]
        try:
            if accept is not None and accept(prefix):
                return f"format {name} is not read; save it as PNG or JPEG"
        except Exception:  # noqa: BLE001, S112 - fewer bytes than it looks at
            continue
    return "not a picture in a format that is read"


def _complete_png(picture: PngImagePlugin.PngImageFile, file: BinaryIO) -> int | None:
    """Read the chunks of a PNG without its pixels: EXIF may stand behind them, and Pillow leaves out sBIT, which is returned."""
    place, significant = file.tell(), None
    file.seek(8)
    try:
        stream = PngImagePlugin.PngStream(file)
        while True:
            kind, position, length = stream.read()
            if kind == b"IEND":
                break
            if kind == b"sBIT":
                significant = max(file.read(length)[:3])
            elif kind in {b"eXIf", b"iTXt", b"zTXt", b"tEXt"} and position > place:
                stream.call(kind, position, length)
            file.seek(position + length + 4)
        picture.info.update({key: value for key, value in stream.im_info.items() if key in _TURNING and key not in picture.info})
    except Exception:  # noqa: BLE001, S110 - what is behind the pixels may be missing; the pixels themselves tell whether they are
        pass
    file.seek(place)
    return significant


def _orientation(picture: ImageFile.ImageFile) -> int:
    """Return how the stored pixels are to be turned; 1, not at all, where EXIF and XMP do not say or are broken."""
    try:
        found = Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)
        return int(found) if found in range(1, 9) else 1
    except Exception:  # noqa: BLE001 - broken EXIF raises anything, and no pixel of the picture depends on it
        return 1


def _check_mode(picture: ImageFile.ImageFile) -> None:
    if picture.mode == "F":
        raise UnreadableError("32-bit float pixels (mode F) have no white level; save it with 8 or 16 bits")
    if picture.mode == "I" and not isinstance(picture, PpmImagePlugin.PpmImageFile):
        raise UnreadableError("32-bit or signed 16-bit pixels (mode I) have no white level; save it with 8 or 16 bits")
    if picture.mode in {"P", "PA"} and picture.palette is None:
        raise UnreadableError("a picture of palette indices without its palette")
    if not picture.tile and not isinstance(picture, WebPImagePlugin.WebPImageFile):  # which fills it while loading
        raise UnreadableError("a header without pixels, or with pixels of a kind that is not read")


def _check_tiff(picture: _Tiff) -> None:
    """Refuse what Pillow opens, but reads as something else than it is."""
    tags = picture.tag_v2
    if _DNG_VERSION in tags or (tags.get(_NEW_SUBFILE_TYPE) == 1 and _SUB_IFDS in tags):
        raise UnreadableError("raw files of cameras are not read; export them as JPEG, PNG or TIFF")
    sample_format = _SAMPLE_FORMATS.get(max(tags.get(339, (1,))))
    if sample_format is not None and picture.mode not in {"F", "I"}:
        raise UnreadableError(f"TIFF pixels of sample format {sample_format} are not read; save it with unsigned integers")
    plain = max(tags.get(258, (1,))) == _EIGHT_BITS and tags.get(262, 0) != 0
    if tags.get(284, 1) != 1 and not plain:
        raise UnreadableError("TIFF with a plane for each channel is read with 8 bits only; save it with interleaved channels")
    if picture.mode == "YCbCr" and tags.get(530, (2, 2)) != (1, 1):
        raise UnreadableError("uncompressed TIFF with subsampled colours (YCbCr) is not read; save it as RGB")
