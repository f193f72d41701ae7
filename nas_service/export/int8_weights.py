"""Weights of 8 bits for a frozen network's stem and classifier: another network, whose own accuracy is measured.

Every output has a scale of its own, and numbers from -127 to 127 about 0. Nothing is looked at but the weights.
"""

import copy
import math

import torch
from torch import Tensor, nn

from nas_service.errors import ExportError
from nas_service.export import real_layers, runtime
from search_spaces.network import Network

MOST = 127  # of a weight: as far below 0 as above
_SUM_BITS = 30  # of a stem's sum, the sign beside


def on_grid(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights (O, ...) as whole numbers from -127 to 127, int32, and the step of each output, float32 (O,).

    In float64: step = float32(max |weight| / 127), or 1 where all are 0, and round(weight / step), ties to even.
    """
    exact = weight.detach().to(torch.float64).flatten(1)
    step = (exact.abs().amax(1) / MOST).to(torch.float32)
    step = torch.where(step == 0, torch.ones_like(step), step)
    grid = (exact / step.to(torch.float64)[:, None]).round().clamp(-MOST, MOST)
    return grid.to(torch.int32).view(weight.shape), step


class Int8StemConv2d(real_layers.StemConv2d):
    """A stem with weights of 8 bits, whose sums with pixels fit into 31 bits.

        folded = weight / (255 * 2^14 * std[c])      as in the stem that it is made from
        grid, step = on_grid(folded)
        y = float32(sum of x * grid) * step          a product that is rounded, since a step is no power of two

    x is a multiple of 2^(14 - p) (`Int8Normalize`), where p is the largest with n 127 255 2^p < 2^30 for n taps.
    """

    @property
    def pixel_bits(self) -> int:
        """The p of the definition: bits of a pixel behind a grey level."""
        most = self.in_channels * self.kernel_size**2 * MOST * real_layers.LEVELS
        return min(real_layers.PIXEL_BITS, _SUM_BITS - math.ceil(math.log2(most + 1)))

    @torch.no_grad()
    def derive(self) -> None:
        """Put the weights on the grid."""
        std = torch.tensor(self.std, dtype=torch.float64, device=self.weight.device).view(1, -1, 1, 1)
        grid, step = on_grid(self.weight.to(torch.float64) / (std * (real_layers.LEVELS << real_layers.PIXEL_BITS)))
        self.integer_weight.copy_(grid)
        self.step.copy_(step)


class Int8Normalize(runtime.Normalize):
    """Pixels in front of such a stem: the mean is rounded to 2^-p of a grey level, so x = 2^(14 - p) (k 2^p - M).

    Attributes:
        pixel_bits: p.
    """

    pixel_bits: int = real_layers.PIXEL_BITS

    @property
    def integer_mean(self) -> Tensor:
        """The mean of every channel, whole numbers in float64, (1, C, 1, 1): multiples of 2^(14 - p)."""
        mean = (self.mean.to(torch.float64) * (real_layers.LEVELS << self.pixel_bits)).round()
        return mean * 2.0 ** (real_layers.PIXEL_BITS - self.pixel_bits)


class Int8Linear(nn.Linear):
    """A classifier whose weights are float32(grid * step), one product rounded once, with the grid and step of each output.

    Attributes:
        step: float32 (out_features,).
    """

    step: Tensor


def with_int8_weights(frozen: Network) -> Network:
    """Return a copy of a frozen network whose stem and classifier have weights of 8 bits.

    Raises:
        ExportError: If the stem has so many taps that its sums do not fit.
    """
    made = copy.deepcopy(frozen)
    stem, normalize, classifier = made.get_submodule("stem.0"), made.normalize, made.classifier
    assert isinstance(stem, real_layers.StemConv2d)  # noqa: S101 - for the type checker; freeze_network puts it there
    coarse = Int8StemConv2d(stem.in_channels, len(stem.weight), stem.kernel_size, stem.stride, stem.padding, stem.std)
    if coarse.pixel_bits < 0:
        raise ExportError(f"stem.0: {stem.in_channels * stem.kernel_size**2} taps are too many for weights of 8 bits")
    coarse.load_state_dict(stem.state_dict())
    pixels = Int8Normalize(made.image.channels, *made.image.size)
    pixels.load_state_dict(normalize.state_dict())
    pixels.pixel_bits = coarse.pixel_bits
    made.set_submodule("stem.0", coarse)
    made.set_submodule("normalize", pixels)
    made.set_submodule("classifier", _linear(classifier))
    return made.eval().requires_grad_(False)  # noqa: FBT003 - torch's own signature


def _linear(layer: nn.Linear) -> Int8Linear:
    grid, step = on_grid(layer.weight)
    made = Int8Linear(layer.in_features, layer.out_features)
    made.load_state_dict({**layer.state_dict(), "weight": grid.to(torch.float32) * step[:, None]})
    made.step = step
    return made
