"""Contact sheets: some training images of every class in one picture, for people to see what a network will see."""

import io
import unicodedata

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Images, Indices

CLASSES = 20  # rows; of more classes some are shown, evenly spread over all of them
IMAGES = 8  # of a class
_SEED = 0  # of the draw: the same images every time
_TILE = 96  # pixels of an image's longer side, at most; small images are enlarged by a whole number
_GAP = 4
_LABEL = 220  # pixels at the left for a class
_LINE = 16
_INK, _PAPER = (20, 20, 20), (255, 255, 255)


def contact_sheet(dataset: ImageDataset, title: str) -> bytes:
    """Return a PNG with a row a class: number, name, count of its training images, and up to eight of those.

    The pixels are the decoded ones, as the network gets them. Where images are larger than a tile they are reduced, which the
    first line says.
    """
    shape = dataset.train.store.shape[1:]
    height, width = tile_size(*shape[1:])
    row = max(height, 2 * _LINE) + _GAP
    chosen = spread(len(dataset.class_names), CLASSES)
    sheet = Image.new("RGB", (_LABEL + IMAGES * (width + _GAP), 2 * _LINE + _GAP + len(chosen) * row), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, line in enumerate(_headings(dataset, title, len(chosen), (height, width))):
        _write(pen, (_GAP, place * _LINE), line, sheet.width)
    order = np.random.RandomState(_SEED).permutation(len(dataset.train))
    for place, label in enumerate(chosen):
        top = 2 * _LINE + _GAP + place * row
        of_class = order[dataset.train.labels[order] == label]
        _write(pen, (_GAP, top), f"{label}: {_plain(dataset.class_names[label])}", _LABEL)
        _write(pen, (_GAP, top + _LINE), f"{len(of_class):,} to train with", _LABEL)
        for column, image in enumerate(dataset.train.at(np.sort(of_class[:IMAGES]))):
            sheet.paste(_tile(image, (height, width)), (_LABEL + column * (width + _GAP), top))
    buffer = io.BytesIO()
    sheet.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Return at which height and width an image is shown."""
    longest = max(height, width)
    if longest <= _TILE:
        return height * (_TILE // longest), width * (_TILE // longest)
    return max(1, round(height * _TILE / longest)), max(1, round(width * _TILE / longest))


def spread(count: int, most: int) -> Indices:
    """Return up to `most` of 0..count-1, evenly spread, the first and the last among them."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _headings(dataset: ImageDataset, title: str, rows: int, size: tuple[int, int]) -> tuple[str, str]:
    classes, (_, height, width) = len(dataset.class_names), dataset.train.store.shape[1:]
    shown = f"{classes} classes" if rows == classes else f"{rows} of {classes:,} classes, evenly spread"
    reduced = f", reduced to {size[0]}x{size[1]} here" if size[0] < height else ""
    return f"{title}: {shown}", f"training images of {height}x{width} pixels{reduced}"


def _tile(image: Images, size: tuple[int, int]) -> Image.Image:
    """Return one image (C, H, W) as it is pasted."""
    picture = Image.fromarray(image[0] if len(image) == 1 else np.ascontiguousarray(image.transpose(1, 2, 0)))
    height, width = size
    how = Image.Resampling.NEAREST if height >= image.shape[1] else Image.Resampling.BOX
    return picture.convert("RGB").resize((width, height), how)


def _write(pen: ImageDraw.ImageDraw, place: tuple[int, int], text: str, end: int) -> None:
    """Write a line that ends before column `end`, cut where it is longer."""
    font, kept = ImageFont.load_default(12), text
    while pen.textlength(kept, font) > end - place[0] - _GAP:
        kept = kept.removesuffix("...")[:-1] + "..."
    pen.text(place, kept, _INK, font)


def _plain(name: str) -> str:
    """Return a name in the letters that Pillow's own font has: others lose their accents, or are question marks."""
    letters = (letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return "".join(letters).encode("ascii", "replace").decode()
