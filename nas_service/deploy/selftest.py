"""The self-test of generated C: a few images and the bits of their logits, to be compiled wherever the network is."""

import re

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_service.data.part import Part
from nas_service.deploy.c_pieces import part
from nas_service.deploy.c_tables import literal
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Shape
from search_spaces.network import Network

Images = NDArray[np.uint8]
_MOST, _MOST_BYTES = 8, 2**15  # images, and bytes of them: they lie in a board's flash
_ACROSS = 24  # numbers a line
_LEVELS = 255
_NOISE = "noise, since no test images go into this bundle"
_ORIGIN = re.compile(rf"^   Images: (test images \d+(?:, \d+)*|{_NOISE})\. \*/$", re.MULTILINE)  # no code: it is compiled
_IMAGES = re.compile(r"^static const uint8_t nn_images\[NN_TESTED\]\[NN_IMAGE_BYTES\] = \{([^;]*)\};$", re.MULTILINE)


def choose_images(test: Part, shape: Shape, given_bytes: int) -> tuple[Images, str]:
    """Return up to eight images (N, C, H, W) that a self-test looks at, and what they are.

    They are test images, as many as may be given away; where that is none, noise that anybody can draw again.

    Args:
        test: Of the dataset.
        shape: Of an image.
        given_bytes: Of test images that may be in a bundle.
    """
    most = max(1, min(_MOST, _MOST_BYTES // shape.floats))
    count = min(most, given_bytes // shape.floats, len(test))
    if count:
        rows = [place * len(test) // count for place in range(count)]
        return np.stack([test.at(slice(row, row + 1))[0] for row in rows]).astype(np.uint8), f"test images {_listed(rows)}"
    noise = np.random.default_rng(0).integers(0, 256, (most, shape.channels, shape.height, shape.width), np.uint8)
    return noise, _NOISE


def stated_images(text: str, shape: Shape) -> tuple[Images, str]:
    """Return the images (N, C, H, W) in the text of a selftest.c, and what it says that they are.

    Nothing else of it is looked at: with these, `write_selftest` makes the same text, or another one than that was changed.

    Raises:
        ValueError: If there are none, or more than `choose_images` gives.
    """
    origin, rows = _ORIGIN.search(text), _IMAGES.search(text)
    levels = np.array([int(number) for number in re.findall(r"\d{1,3}", rows[1])] if rows else [])
    count, rest = divmod(levels.size, shape.floats)
    if origin is None or rest or not 0 < count <= _MOST or levels.max() > _LEVELS:
        raise ValueError("it has no images for a self-test")
    images = levels.astype(np.uint8).reshape(-1, shape.height, shape.width, shape.channels).transpose(0, 3, 1, 2)
    return images, origin[1]


def _listed(rows: list[int]) -> str:
    return ", ".join(map(str, rows))


@torch.no_grad()
def logits_in_order(network: Network, images: Images) -> Floats:
    """Return logits as generated C computes them to the last bit, (N, classes).

    All before the pooling has one result in whatever order it is summed. The mean over positions and the classifier have not: a
    float32 sum each, row by row and channel by channel, beginning at 0 and at the bias.
    """
    is_pooled = isinstance(network.pool, nn.AdaptiveAvgPool2d)
    seen: list[Tensor] = []
    watched = network.pool if is_pooled else network.classifier
    hook = watched.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(torch.tensor(images).to(torch.float32).div(255))
    finally:
        hook.remove()
    values = seen[0].numpy().reshape(len(images), seen[0].shape[1], -1)
    if is_pooled:
        values = _sum(np.zeros(values.shape[:2], np.float32), values.transpose(2, 0, 1))[..., None] / np.float32(values.shape[2])
    weight, bias = network.classifier.weight.numpy(), network.classifier.bias.numpy()
    products = weight.T[:, None, :] * values[..., 0].T[:, :, None]
    return _sum(np.broadcast_to(bias, products.shape[1:]), products)


def _sum(start: Floats, terms: Floats) -> Floats:
    total = start
    for term in terms:
        total = total + term
    return total


def write_selftest(checksum: int, digest: str, images: Images, origin: str, logits: Floats) -> str:
    """Return the text of selftest.c.

    Args:
        checksum: Of the network's constants.
        digest: As in its header.
        images: (N, C, H, W).
        origin: What they are, in words.
        logits: (N, classes), as the network computes them to the last bit.
    """
    rows = images.transpose(0, 2, 3, 1).reshape(len(images), -1)
    bits = np.ascontiguousarray(logits, np.float32).view(np.uint32)
    values = {
        "FLASH": rows.size + bits.nbytes,
        "ORIGIN": origin,
        "COUNT": len(rows),
        "DIGEST": literal(digest),
        "CHECKSUM": f"{checksum:#010x}",
        "IMAGES": ",".join(f"\n  {{{_numbers([str(number) for number in row])}}}" for row in rows.tolist()),
        "LOGITS": ",".join(f"\n  {{{_numbers([f'{number:#010x}u' for number in row])}}}" for row in bits.tolist()),
    }
    text = part("selftest")
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def _numbers(given: list[str]) -> str:
    lines = (", ".join(given[start : start + _ACROSS]) for start in range(0, len(given), _ACROSS))
    return ",\n   ".join(lines)
