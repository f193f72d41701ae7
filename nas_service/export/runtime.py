"""What a bundled network needs at run time, from torch alone.

This file is the second part of every bundle's `model.py`, behind `real_layers.py`: besides that it imports nothing of this
project, and nothing but torch and the standard library. The third part, the network itself, is generated (`standalone.py`). All
run on PYTHON and TORCH, which are older than what this project itself needs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.export.real_layers import LEVELS, PIXEL_BITS

PYTHON, TORCH = "3.9", "2.3"  # the oldest that this file runs on
HERE = Path(__file__).resolve().parent
BATCH = 512  # images in a forward pass of `evaluate`
ROUNDING = 1e-4  # that pixels may be outside [0, 1] by: a fortieth of one of 256 grey levels, and far above what sums round by
MOST_EXACT = 2**24  # the largest sum of -1 and +1 whose every partial sum float32 holds
_DTYPES = {"F32": torch.float32, "U8": torch.uint8, "I16": torch.int16, "I64": torch.int64}


def check_pixels(pixels: object, channels: int, height: int, width: int) -> None:
    """Refuse what is no batch of images as the network was trained on.

    Values are not looked at where there are none yet: while the network is traced, compiled, exported or captured.

    Raises:
        ValueError: Unless `pixels` is floating point in [0, 1], (N, channels, height, width).
    """
    if not isinstance(pixels, Tensor) or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]  # torch
        return  # a tracer's placeholder
    if tuple(pixels.shape[1:]) != (channels, height, width):
        wanted = f"(N, {channels}, {height}, {width})"
        raise ValueError(f"pixels of shape {tuple(pixels.shape)} are not allowed; allowed: {wanted}, N images at once")
    if not pixels.is_floating_point():
        raise ValueError(f"pixels of {pixels.dtype} are not allowed; allowed: float in [0, 1], as images.to(torch.float32) / 255")
    if torch.compiler.is_compiling() or (pixels.is_cuda and torch.cuda.is_current_stream_capturing()) or not pixels.numel():
        return
    try:
        low, high = torch.stack(pixels.detach().aminmax()).tolist()
        is_inside = bool(low >= -ROUNDING and high <= 1 + ROUNDING)  # NaN is not
    except RuntimeError:  # torch's word for tensors without values: on the meta device, fake, or mapped over
        return
    if not is_inside:
        given = f"pixels from {low:g} to {high:g}" if low <= high else "pixels that are not numbers (NaN)"
        raise ValueError(f"{given} are not allowed; allowed: [0, 1], neither 0 to 255 nor with mean and std taken out")


class Normalize(nn.Module):
    """x = round(pixel * 255 * 2^14) - round(mean * 255 * 2^14) per channel, whole numbers in float64, of pixels looked at first.

    Products in float64 (exact for float32 pixels), rounded to the nearest, ties to even. The float32 pixel k / 255 gives exactly
    k 2^14 - M with M = round(mean * 255 * 2^14), so images of uint8 are k 2^14 - M in integers. |x| is below 2^23. The standard
    deviation is in the stem's weights (`StemConv2d`). Inputs that are no pixels would be classified as well, wrongly.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, height: int, width: int) -> None:
        """Make room for mean and std, (1, C, 1, 1)."""
        super().__init__()
        self.channels, self.height, self.width = channels, height, width
        self.register_buffer("mean", torch.zeros(1, channels, 1, 1))
        self.register_buffer("std", torch.ones(1, channels, 1, 1))

    @property
    def integer_mean(self) -> Tensor:
        """The M of every channel, whole numbers in float64, (1, C, 1, 1)."""
        return (self.mean.to(torch.float64) * (LEVELS << PIXEL_BITS)).round()

    def forward(self, pixels: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, in float64.

        Raises:
            ValueError: If the pixels are none: see `check_pixels`.
        """
        check_pixels(pixels, self.channels, self.height, self.width)
        return (pixels.to(torch.float64) * (LEVELS << PIXEL_BITS)).round() - self.integer_mean


class BinaryConv2d(nn.Module):
    """A frozen binary convolution: y = scale * K * conv(pad(sign(x + threshold)), b), sign(0) = +1.

    The weights b are -1 or +1, kept as `bits`: bit i of byte j (least significant first) is 1 where weight 8j + i of the
    row-major (filters, in_channels / groups, k, k) kernel is +1. Every filter serves `planes` consecutive outputs, each with
    its own `kernel_scale`, if any. `gather` puts computed outputs in their places; one past the last is zeros (pruned).
    Without `kernel_scale` and with binary inputs the output before the scale is an exact integer, whatever the order of its sum:
    float32 holds whole numbers up to 2^24. Otherwise products and sums are those of float64, rounded to float32 once.

    With `offsets`, for operands of two values that do not lie about 0: y = K * (scale * conv(..., b) + sum_scale * conv(..., 1)
    + offset), where conv(..., 1) sums the padded signs under the window in the output's group: another exact integer.

    What follows the convolution is elementwise in float32, each step rounded: y = c * scale, then y + (s * sum_scale), then
    y + offset, then y * K, as far as there are such terms; c and s are the two convolutions.
    """

    bits: Tensor
    signs: Tensor
    scale: Tensor | None
    threshold: Tensor | None
    kernel_scale: Tensor | None
    gather: Tensor | None
    sum_scale: Tensor | None
    offset: Tensor | None

    def __init__(  # noqa: PLR0913, PLR0917 - torch.nn.Conv2d's own signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        *,
        pad_value: float = -1.0,
        scales: int = 0,
        input_scale: str = "none",
        binary_input: bool = True,
        shifted: bool = False,
        planes: int = 1,
        scaled_positions: int = 0,
        filters: int = 0,
        offsets: bool = False,
    ) -> None:
        """Make room for the weights; loading a state dict unpacks them.

        `scales` is 0, 1 for the layer or one for each computed output; `scaled_positions` is the side of `kernel_scale` (0:
        there is none), `filters` the number that pruning left (0: all).
        """
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.pad_value, self.scales, self.input_scale = pad_value, scales, input_scale
        self.binary_input, self.shifted, self.planes = binary_input, shifted, planes
        self.scaled_positions, self.filters, self.offsets = scaled_positions, filters, offsets
        self.is_exact = binary_input and not scaled_positions and in_channels // groups * kernel_size**2 <= MOST_EXACT
        kept = filters or out_channels // planes
        kernel = (kept, in_channels // groups, kernel_size, kernel_size)
        side = scaled_positions
        self.register_buffer("signs", torch.ones(kernel), persistent=False)
        self.register_buffer("bits", torch.zeros(-(-self.signs.numel() // 8), dtype=torch.uint8))
        self.register_buffer("scale", torch.ones(scales) if scales else None)
        self.register_buffer("threshold", torch.zeros(in_channels) if shifted else None)
        self.register_buffer("kernel_scale", torch.ones(planes, side, side) if side else None)
        self.register_buffer("gather", torch.zeros(out_channels, dtype=torch.int16) if filters else None)
        self.register_buffer("sum_scale", torch.ones(kept * planes) if offsets else None)
        self.register_buffer("offset", torch.zeros(kept * planes) if offsets else None)
        self.register_load_state_dict_post_hook(_unpack_after_loading)  # type: ignore[no-untyped-call]  # torch

    def unpack(self) -> None:
        """Turn `bits` into weights of -1 and +1."""
        places = torch.arange(8, dtype=torch.uint8, device=self.bits.device)
        flat = ((self.bits.unsqueeze(1) >> places) & 1).flatten()[: self.signs.numel()]
        self.signs.copy_(flat.view(self.signs.shape).to(torch.float32) * 2 - 1)

    def kernel(self) -> Tensor:
        """Return the weights of every computed output."""
        signs = self.signs if self.planes == 1 else self.signs.repeat_interleave(self.planes, 0)
        if self.kernel_scale is None:
            return signs
        return signs * self.kernel_scale.repeat(len(self.signs), 1, 1).unsqueeze(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        binary = inputs if self.threshold is None else inputs + self.threshold.view(1, -1, 1, 1)
        if self.binary_input:
            binary = (binary >= 0).to(inputs.dtype) * 2 - 1
        if self.padding:
            binary = F.pad(binary, (self.padding,) * 4, value=self.pad_value)
        outputs = self._convolve(binary, self.kernel())
        if self.scale is not None:
            outputs = outputs * self.scale.view(1, -1, 1, 1)
        if self.sum_scale is not None and self.offset is not None:
            outputs = outputs + self._window_sums(binary) * self.sum_scale.view(1, -1, 1, 1) + self.offset.view(1, -1, 1, 1)
        if self.input_scale == "kmap":
            outputs = outputs * self._kmap(inputs)
        if self.gather is not None:
            outputs = F.pad(outputs, (0, 0, 0, 0, 0, 1))[:, self.gather.to(torch.int64)]
        return outputs

    def _convolve(self, padded: Tensor, kernel: Tensor) -> Tensor:
        if self.is_exact:  # rounded, since devices may choose algorithms (Winograd's) that are off by a little
            return F.conv2d(padded, kernel, None, self.stride, 0, self.dilation, self.groups).round()
        wide, factors = padded.to(torch.float64), kernel.to(torch.float64)
        return F.conv2d(wide, factors, None, self.stride, 0, self.dilation, self.groups).to(padded.dtype)

    def _window_sums(self, padded: Tensor) -> Tensor:
        """Return the sum of the padded signs under each window, per group, for every computed output."""
        ones = padded.new_ones(self.groups, self.in_channels // self.groups, self.kernel_size, self.kernel_size)
        sums = self._convolve(padded, ones)
        return sums.repeat_interleave(self.signs.shape[0] * self.planes // self.groups, dim=1)

    def _kmap(self, inputs: Tensor) -> Tensor:
        """Return XNOR-Net's K: the mean magnitude of the input under each window, per group, with zeros around the border.

        In float64: the mean over the group's channels, then a convolution with a kernel of k^-2; rounded to float32 once.
        """
        magnitude = inputs.abs().to(torch.float64).unflatten(1, (self.groups, -1)).mean(2)
        box = magnitude.new_full((self.groups, 1, self.kernel_size, self.kernel_size), self.kernel_size**-2)
        means = F.conv2d(magnitude, box, None, self.stride, self.padding, self.dilation, self.groups).to(inputs.dtype)
        return means.repeat_interleave(self.out_channels // self.groups, dim=1)


def _unpack_after_loading(layer: BinaryConv2d, _: object) -> None:
    layer.unpack()


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file: 8 bytes of header length, a JSON header, raw little-endian tensors."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    body = bytearray(content[8 + length :])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        raw = torch.frombuffer(body[start:end] or bytearray(1), dtype=torch.uint8)[: end - start]
        tensors[name] = raw.view(_DTYPES[entry["dtype"]]).view(entry["shape"])
    return tensors


def classify(network: nn.Module, images: Tensor) -> Tensor:
    """Return the class (N,) that the network takes each of uint8 `images` (N, C, H, W) for."""
    network.eval()
    with torch.no_grad():
        batches = (images[start : start + BATCH].to(torch.float32).div(255) for start in range(0, len(images), BATCH))
        return torch.cat([network(pixels).argmax(1) for pixels in batches])


def count_correct(network: nn.Module, images: Tensor, labels: Tensor) -> int:
    """Return how many uint8 `images` (N, C, H, W) the network classifies as `labels` (N,) say."""
    return int((classify(network, images) == labels).sum())


def main(network: nn.Module) -> None:
    """Load the weights beside this file, classify test images, print the accuracy."""
    parser = argparse.ArgumentParser(description="Classify test images with the bundled 1-bit network.")
    parser.add_argument("--data", type=Path, default=HERE / "test.safetensors", help="images (uint8 NCHW) and labels")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        parser.error(f"{arguments.data} is not there: this bundle carries no test images; give --data FILE.safetensors")
    network.load_state_dict(read_safetensors(HERE / "weights.safetensors"))
    network.to(arguments.device)
    try:
        data = read_safetensors(arguments.data)
        images, labels = data["images"].to(arguments.device), data["labels"].to(arguments.device)
        if images.dtype != torch.uint8 or labels.shape != images.shape[:1] or not len(labels):
            given = f"images {images.dtype} {tuple(images.shape)}, labels {labels.dtype} {tuple(labels.shape)}"
            raise ValueError(given)  # noqa: TRY301 - told with what the lines above refuse
        correct = count_correct(network, images, labels)
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        wanted = "images, uint8 (N, C, H, W), and labels, whole numbers (N,)"
        parser.exit(1, f"model.py: {arguments.data} is refused ({error!r}); allowed: a safetensors file of {wanted}\n")
    print(f"accuracy: {correct / len(labels)!r} ({correct} of {len(labels)})")  # noqa: T201 - a script's result
