"""Reading pictures as people see them, as uint8 arrays, or refusing them by name.

Every mode and depth is scaled by its range, transparent pixels stand on a background, and the orientation that cameras write is
applied. Colour profiles are not: what a profile other than sRGB changes (Display P3 of phones: a few levels of saturated
colours) is less than what cameras differ by, and CMYK is read as the complement of RGB.
"""

import threading
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageColor
from pydantic import Field, field_validator

from nas_service.data.dataset import SplitSettings
from nas_service.data.part import Images
from nas_service.data.picture_files import MAX_PIXELS, SUFFIXES, Opened, UnreadableError, opened
from nas_service.data.picture_samples import Layers, decode

__all__ = ["MAX_PIXELS", "SUFFIXES", "Picture", "PictureSettings", "UnreadableError", "read_picture", "read_size"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = range(5, 9)
_LARGE = 2**24  # pixels, which take up to 400 MB while they are decoded
_one_at_a_time = threading.Lock()  # of the large ones


class PictureSettings(SplitSettings):
    """Settings of every dataset that is made of picture files."""

    channels: int = Field(3, description="1 for grey, 3 for RGB; others are converted.", json_schema_extra={"enum": [1, 3]})
    image_size: int | None = Field(None, ge=4, le=512, description="Resize to this height and width; None: as they are.")
    background: str = Field(
        "#ffffff", pattern="^#[0-9a-fA-F]{6}$", description="Colour that transparent pixels stand on, #rrggbb."
    )
    bits: int | None = Field(
        None,
        ge=9,
        le=16,
        description="Significant bits of pictures stored with 16 bits a channel: 12 where white is 4095; "
        "None: what the file says, else 16.",
    )
    crop_padding: int = Field(4, ge=0, le=64, description="Border of the random crop in training, in pixels.")
    flip: bool = Field(True, description="Whether left and right may be swapped in training.")  # noqa: FBT003 - pydantic's default

    @property
    def preparation(self) -> str:
        """How a picture becomes an image of the dataset: a clause."""
        kind = "grey (ITU-R 601 luma)" if self.channels == 1 else "RGB"
        size = f"resized to {self.image_size}x{self.image_size} as a whole (bilinear, its shape is not kept)"
        return (
            f"turned upright as EXIF says, transparent pixels put on {self.background}, converted to {kind}, "
            f"{size if self.image_size else 'all of the one size that they had'}: `convert` and `resize` of Pillow"
        )

    @field_validator("channels")
    @classmethod
    def _grey_or_colours(cls, channels: int) -> int:  # not Literal[1, 3], for which true is 1
        if channels not in (1, 3):
            raise ValueError("1 (grey) or 3 (RGB)")
        return channels


@dataclass(frozen=True)
class Picture:
    """One picture, read.

    Attributes:
        pixels: (C, H, W) uint8.
        deep_peak: Largest raw value of a picture with more than 8 bits a channel of which neither the file nor the settings say
            how many are significant; else None.
        frames: How many pictures the file holds, of which this is the first: more than 1 if it is animated or has several pages.
            What cameras append to a JPEG (MPO: previews, gain maps, other views) is not counted.
    """

    pixels: Images
    deep_peak: int | None
    frames: int


def read_picture(source: bytes | Path, how: PictureSettings) -> Picture:
    """Return one picture, turned upright, on its background, converted and resized (bilinear), in this order.

    A JPEG that is to become much smaller is reduced in the decoder, to no less than twice the size that is asked for; its pixels
    differ from those of the whole picture by a few levels at edges. May be called by several threads.

    Args:
        source: The file, or its bytes.
        how: What to make of it.

    Raises:
        UnreadableError: If it is no picture, or none that is read.
    """
    with opened(source) as file:
        if how.image_size is not None:
            file.picture.draft(None, (2 * how.image_size, 2 * how.image_size))
        with _one_at_a_time if np.prod(file.picture.size) > _LARGE else nullcontext():
            layers = decode(file, how.bits)
            upright = _on_background(_turned(layers, file.orientation), how)
            if how.image_size is not None and upright.size != (how.image_size, how.image_size):
                upright = upright.resize((how.image_size, how.image_size), Image.Resampling.BILINEAR)
            pixels = np.atleast_3d(np.asarray(upright)).transpose(2, 0, 1)
            return Picture(np.ascontiguousarray(pixels), layers.deep_peak, file.frames)


def read_size(source: bytes | Path) -> tuple[int, int]:
    """Return height and width as people see the picture, in pixels, from the header alone.

    Raises:
        UnreadableError: If it is no picture, or its header is of a kind that is not read.
    """
    with opened(source) as file:
        return _upright_size(file)


def _upright_size(file: Opened) -> tuple[int, int]:
    width, height = file.size
    return (width, height) if file.orientation in _SIDEWAYS else (height, width)


def _turned(layers: Layers, orientation: int) -> Layers:
    turn = _TURNS.get(orientation)
    if turn is None:
        return layers
    alpha = None if layers.alpha is None else layers.alpha.transpose(turn)
    return Layers(layers.colour.transpose(turn), alpha, layers.premultiplied)


def _on_background(layers: Layers, how: PictureSettings) -> Image.Image:
    """Composite in 8 bits, rounding to the nearest: colour * alpha + background * (1 - alpha); and convert."""
    colour, alpha, mode = layers.colour, layers.alpha, "L" if how.channels == 1 else "RGB"
    if alpha is None:
        return colour if colour.mode == mode else colour.convert(mode)
    if colour.mode == "L" and mode == "RGB":
        colour = colour.convert(mode)
    under = Image.new("RGB", (1, 1), ImageColor.getrgb(how.background)).convert(colour.mode).resize(colour.size)
    if not layers.premultiplied:
        under.paste(colour, mask=alpha)
        return under.convert(mode)
    under.paste(0, (0, 0, *colour.size), mask=alpha)
    limit = Image.merge(colour.mode, [alpha] * len(colour.getbands()))  # hidden colours of transparent pixels
    return ImageChops.add(under, ImageChops.darker(colour, limit)).convert(mode)
