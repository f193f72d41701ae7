"""Pictures of every kind: read as people see them, or refused by name."""

import io
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from nas_service.checking.problems import field_errors
from nas_service.data.pictures import (
    SUFFIXES,
    Picture,
    PictureSettings,
    UnreadableError,
    read_picture,
    read_size,
)
from tests.picture_files import (
    COLOURS,
    GREYS,
    LARGE,
    WHITE,
    Pixels,
    array,
    chunk,
    exif,
    over,
    png,
    rgb,
    saved,
    tiff,
    with_channels,
    with_exif,
)
from tests.pictures import ALPHAS, DEEP_COLOURS, READABLE, REFUSED, TWELVE, TWELVE_COLOURS

DEFAULTS = PictureSettings()
GREY = PictureSettings(channels=1)
DARK = (10, 200, 30)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pytest undoes what the module says of them


def seen(picture: Picture) -> Pixels:
    """Return pixels as (H, W, C)."""
    return picture.pixels.transpose(1, 2, 0)


def off(given: Pixels, wanted: Pixels) -> int:
    """Return the largest difference of two pictures of one size."""
    assert given.shape == wanted.shape
    return int(np.abs(given.astype(int) - wanted).max())


def luma(colours: Pixels) -> Pixels:
    """Return what is grey about colours: ITU-R 601."""
    return np.round(colours @ [0.299, 0.587, 0.114]).astype(np.uint8)


@pytest.mark.parametrize("name", READABLE)
def test_a_picture_is_read_as_people_see_it_from_bytes_and_from_a_file(name: str, tmp_path: Path) -> None:
    content, suffix, pixels, tolerance = READABLE[name]
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    for source in (content, file):
        read = read_picture(source, DEFAULTS)
        assert read.pixels.dtype == np.uint8
        assert read.pixels.flags.c_contiguous
        assert off(seen(read), pixels) <= tolerance
        assert read_size(source) == pixels.shape[:2]
    assert suffix in SUFFIXES or suffix == ".jpe"


@pytest.mark.parametrize("name", READABLE)
def test_a_picture_in_grey_is_the_luma_of_its_colours(name: str) -> None:
    content, _, pixels, tolerance = READABLE[name]
    grey = seen(read_picture(content, GREY))[..., 0]
    assert off(grey, luma(pixels)) <= tolerance + 1  # alpha is applied before or after


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name_and_without_its_path(name: str, tmp_path: Path) -> None:
    content, suffix, reason = REFUSED[name]
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    for source in (content, file):
        with pytest.raises(UnreadableError) as refusal:
            read_picture(source, DEFAULTS)
        assert reason in str(refusal.value)
        assert str(tmp_path) not in str(refusal.value)
        assert " at 0x" not in str(refusal.value)


def test_a_file_that_cannot_be_opened_is_refused_by_the_systems_reason(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone.png", "No such file"), (tmp_path, "Is a directory")):
        for read in (read_size, lambda source: read_picture(source, DEFAULTS)):
            with pytest.raises(UnreadableError, match=reason) as refusal:
                read(path)
            assert str(tmp_path) not in str(refusal.value)


def test_a_size_needs_no_more_than_the_header() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for content in (png(noise, 2), saved(noise, "jpeg", quality=95), saved(noise, "bmp"), saved(noise, "gif")):
        assert read_size(content[:2000]) == (40, 60)
        with pytest.raises(UnreadableError):
            read_picture(content[:2000], DEFAULTS)


# Transparency


def _see_through() -> dict[str, tuple[bytes, Pixels, Pixels]]:
    """Return files with their colours and alphas."""
    deep = ALPHAS.astype(np.uint16) * 257
    key = array([[255, 0, 255], [255, 255, 255]])
    return {
        "LA": (png(with_channels(GREYS, ALPHAS), 4), rgb(GREYS), ALPHAS),
        "RGBA": (png(with_channels(COLOURS, ALPHAS), 6), COLOURS, ALPHAS),
        "RGBA-16-bits": (png(with_channels(DEEP_COLOURS, deep), 6, 16), COLOURS, ALPHAS),
        "RGB-key": (png(COLOURS, 2, 8, chunk(b"tRNS", b"\0\0\0\xff\0\0")), COLOURS, key),
        "TIFF": (tiff(with_channels(COLOURS, ALPHAS), extra=2), COLOURS, ALPHAS),
        "WebP": (saved(with_channels(COLOURS, ALPHAS), "webp", lossless=True, exact=True), COLOURS, ALPHAS),
    }


@pytest.mark.parametrize("name", _see_through())
def test_transparent_pixels_stand_on_the_background(name: str) -> None:
    content, colours, alphas = _see_through()[name]
    how = PictureSettings(background="#0aC81e")
    assert off(seen(read_picture(content, how)), over(colours, alphas, DARK)) == 0
    grey = seen(read_picture(content, PictureSettings(background="#0aC81e", channels=1)))[..., 0]
    assert off(grey, luma(over(colours, alphas, DARK))) <= 1


def test_compositing_rounds_to_the_nearest_for_every_alpha_and_colour() -> None:
    colours, alphas = (array(grid) for grid in np.meshgrid(range(256), range(256)))
    given = png(with_channels(rgb(colours), alphas), 6)
    for background in (WHITE, DARK):
        how = PictureSettings(background="#{:02x}{:02x}{:02x}".format(*background))
        assert off(seen(read_picture(given, how)), over(rgb(colours), alphas, background)) == 0


def test_hidden_colours_do_not_bleed_when_a_picture_is_resized() -> None:
    half = array([[255, 0, 255, 0] * 4] * 16)
    red_under_nothing = with_channels(array([[(0, 0, 0), (255, 0, 0)] * 8] * 16), half)
    pixels = seen(read_picture(png(red_under_nothing, 6), PictureSettings(image_size=4)))
    assert (pixels == pixels[..., :1]).all()


# Depth


@pytest.mark.parametrize(
    ("content", "pixels"),
    [
        (png(TWELVE, 0, 16), rgb(GREYS)),
        (png(TWELVE_COLOURS, 2, 16), COLOURS),
        (png(with_channels(TWELVE_COLOURS, np.full((2, 3), 4095)), 6, 16), COLOURS),
        (png(with_channels(TWELVE_COLOURS, np.full((2, 3), 65535)), 6, 16), COLOURS),
        (png(with_channels(TWELVE, np.full((2, 3), 65535)), 4, 16), rgb(GREYS)),
        (tiff(TWELVE, 16), rgb(GREYS)),
        (tiff(TWELVE, 16, ">", compressed=True), rgb(GREYS)),
        (tiff(TWELVE_COLOURS, 16, compressed=True), COLOURS),
        (b"P5 3 2 65535\n" + TWELVE.astype(">u2").tobytes(), rgb(GREYS)),
        (b"P6 3 2 65535\n" + TWELVE_COLOURS.astype(">u2").tobytes(), COLOURS),
    ],
)
def test_twelve_bits_in_sixteen_are_told_by_the_peak_and_scaled_by_the_setting(content: bytes, pixels: Pixels) -> None:
    assert read_picture(content, DEFAULTS).deep_peak == 4095
    read = read_picture(content, PictureSettings(bits=12))
    assert read.deep_peak is None
    assert off(seen(read), pixels) == 0
    with pytest.raises(UnreadableError, match="value 4095, but bits=11 allows 2047"):
        read_picture(content, PictureSettings(bits=11))


def test_only_deep_pictures_that_do_not_say_their_bits_have_a_peak() -> None:
    says = [name for name in READABLE if "12" in name and name != "png-12-in-16-by-the-standard"]
    assert len(says) > 10
    for name in [*says, "png-L", "png-RGBA", "tiff-RGB-little-raw", "jpeg-L", "pgm"]:
        assert read_picture(READABLE[name].content, DEFAULTS).deep_peak is None
    for name in ("png-16-bits", "png-16-bits-RGB", "png-12-in-16-by-the-standard", "tiff-16-bits-big-compressed", "pgm-16-bits"):
        assert read_picture(READABLE[name].content, DEFAULTS).deep_peak == 65535
    assert read_picture(READABLE["tiff-statistic"].content, DEFAULTS).deep_peak == 43690


# Orientation


def _rich_exif() -> bytes:
    tags = Image.Exif()
    tags[271], tags[282] = "Maker", 72.5
    tags[34665], tags[34853] = {36867: "2020:01:01 00:00:00"}, {1: "N", 2: (1.0, 2.0, 3.0)}
    return tags.tobytes()


def test_broken_exif_loses_no_picture() -> None:
    drawn, rich = np.random.default_rng(0), _rich_exif()
    jpeg = saved(LARGE, "jpeg")
    avif = saved(LARGE, "avif", exif=rich)
    place = avif.index(rich[6:])
    for number in range(300):
        broken = np.frombuffer(rich, np.uint8).copy()
        broken[drawn.integers(0, len(rich), 1 + number % 8)] = drawn.integers(0, 256, 1 + number % 8)
        content = broken.tobytes()[: None if number % 3 else drawn.integers(0, len(rich))]
        read_picture(with_exif(jpeg, content), DEFAULTS)
        read_picture(png(COLOURS, 2, 8, chunk(b"eXIf", content[6:])), DEFAULTS)
        if number % 10 == 0:
            padded = content[6:].ljust(len(rich) - 6, b"\0")
            read_picture(avif[:place] + padded + avif[place + len(padded) :], DEFAULTS)


def test_exif_with_an_empty_resolution_loses_no_picture_and_still_turns_it() -> None:
    entries = (
        struct.pack(">HHI4s", 274, 3, 1, b"\0\6") + struct.pack(">HHI4s", 282, 2, 1, b"") + struct.pack(">HHIHH", 296, 3, 1, 2, 0)
    )
    content = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 3) + entries + b"\0" * 4
    assert read_picture(with_exif(saved(LARGE, "jpeg"), content), DEFAULTS).pixels.shape == (3, LARGE.shape[1], LARGE.shape[0])


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    for content in (png(COLOURS, 2, 8, chunk(b"eXIf", exif(orientation)[6:])), tiff(COLOURS, orientation=orientation)):
        assert off(seen(read_picture(content, DEFAULTS)), COLOURS) == 0


# Size


def test_a_picture_is_turned_before_it_is_resized() -> None:
    for orientation in (1, 6, 8):
        name = f"orientation-jpeg-{orientation}"
        resized = seen(read_picture(READABLE[name].content, PictureSettings(image_size=12)))
        wanted = np.asarray(Image.fromarray(LARGE).resize((12, 12), Image.Resampling.BILINEAR))
        assert off(resized, wanted) <= 5  # of JPEG


def test_a_large_jpeg_reduced_in_the_decoder_is_nearly_the_whole_one_resized() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((1000, 800), Image.Resampling.BICUBIC).save(buffer, "jpeg", quality=95)
    whole = Image.open(buffer)
    for size in (16, 60, 300):
        wanted = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR))
        assert off(seen(read_picture(buffer.getvalue(), PictureSettings(image_size=size))), wanted) <= 16


# Several pictures in a file


def test_frames_are_counted_and_the_first_is_read() -> None:
    counts = {"gif": 1, "tiff-pages": 3, "webp-animated": 2, "png-animated": 2, "png-RGB": 1, "jpeg-L": 1, "pgm": 1}
    assert {name: read_picture(READABLE[name].content, DEFAULTS).frames for name in counts} == counts
    others = [Image.fromarray(COLOURS[::-1].copy()), Image.fromarray(COLOURS[:, ::-1].copy())]
    gif = saved(COLOURS, "gif", save_all=True, append_images=others)
    assert read_picture(gif, DEFAULTS).frames == 3
    assert off(seen(read_picture(gif, DEFAULTS)), COLOURS) == 0


def test_what_is_wrong_with_later_pages_does_not_matter_to_the_first() -> None:
    pages = tiff(COLOURS, pages=3)
    read = read_picture(pages[:-40], DEFAULTS)
    assert off(seen(read), COLOURS) == 0
    assert read.frames >= 2


def test_previews_and_other_views_in_a_jpeg_are_no_frames() -> None:
    several = saved(LARGE, "mpo", save_all=True, append_images=[Image.fromarray(LARGE[::-1].copy())], quality=95, subsampling=0)
    read = read_picture(several, DEFAULTS)
    assert read.frames == 1
    assert off(seen(read), LARGE) <= 4


# Whatever the bytes


def _mutilated(count: int, seed: int) -> list[bytes]:
    drawn, names = np.random.default_rng(seed), sorted(READABLE)
    made = []
    for number in range(count):
        content = np.frombuffer(READABLE[names[drawn.integers(len(names))]].content, np.uint8).copy()
        if number % 3:
            near = len(content) if number % 2 else min(len(content), 200)
            content[drawn.integers(0, near, number % 7 + 1)] = drawn.integers(0, 256, number % 7 + 1)
        else:
            content = content[: drawn.integers(len(content))]
        made.append(content.tobytes())
    return made


def test_broken_files_are_read_or_refused_and_nothing_else() -> None:
    refused = 0
    for content in _mutilated(600, seed=3):
        for how in (DEFAULTS, PictureSettings(image_size=4, channels=1, bits=12)):
            try:
                read = read_picture(content, how)
                assert how.image_size or read.pixels.shape[1:] == read_size(content)
            except UnreadableError:
                refused += 1
    assert 200 < refused < 1200


def test_nothing_is_warned_of(tmp_path: Path) -> None:
    """In a process of its own: pytest has its own way with warnings."""
    truncated_tags = tiff(COLOURS, exif=2**32 - 1, xmp=b"x" * 40)[:-20]
    large = png(COLOURS, 2)
    large = large[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 10_000, 10_000, 8, 2, 0, 0, 0)) + large[33:]
    (tmp_path / "a.tif").write_bytes(truncated_tags)
    (tmp_path / "b.png").write_bytes(large)
    program = (
        "import sys, pathlib; from nas_service.data.pictures import *; folder = pathlib.Path(sys.argv[1])\n"
        "read_picture(folder / 'a.tif', PictureSettings()); print(read_size(folder / 'b.png'))"
    )
    command = [sys.executable, "-W", "always", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "(10000, 10000)\n"
    assert "Pil" not in done.stderr.title()
    assert "EXIF" not in done.stderr


def test_several_threads_read_at_once() -> None:
    contents = [entry.content for entry in READABLE.values()] * 2
    alone = [read_picture(content, DEFAULTS).pixels for content in contents]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda content: read_picture(content, DEFAULTS).pixels, contents))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


# Settings


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("channels", 2, "1 (grey) or 3 (RGB)"),
        ("channels", True, "a whole number"),
        ("channels", "3", "a whole number"),
        ("image_size", 3, "greater than or equal to 4"),
        ("image_size", 513, "less than or equal to 512"),
        ("background", "white", "#[0-9a-fA-F]{6}"),
        ("background", "#fffffff", "#[0-9a-fA-F]{6}"),
        ("background", "#ffffff\n", "#[0-9a-fA-F]{6}"),
        ("bits", 8, "greater than or equal to 9"),
        ("bits", 17, "less than or equal to 16"),
        ("crop_padding", -1, "greater than or equal to 0"),
        ("flip", 1, "true or false"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_name(field: str, value: object, allowed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        PictureSettings.model_validate({field: value})
    (problem,) = field_errors(refusal.value)
    assert (problem.field, problem.given) == (field, value)
    assert allowed in problem.allowed


def test_the_schema_lists_the_channels() -> None:
    channels = PictureSettings.model_json_schema()["properties"]["channels"]
    assert (channels["enum"], channels["type"], channels["default"]) == ([1, 3], "integer", 3)
