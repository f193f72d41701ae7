"""3x3 Gabor filters with learnable shape, then a 1x1 convolution."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import FLOAT_BYTES, ConvCost, ConvShape, Cost, Size
from search_spaces.operation import OPERATIONS

_KERNEL_SIZE = 3
_NYQUIST = 2.0  # pixels: the shortest wavelength that a pixel grid can hold
_PARAMETERS = 5  # a filter


def _pointwise(channels: int) -> ConvShape:
    return ConvShape(in_channels=channels, out_channels=channels, kernel_size=1)


class GaborBank(nn.Module):
    """One real Gabor filter for each channel, its five parameters learned.

    With pixel offsets x, y in {-1, 0, 1} from the centre, orientation theta, scale sigma, wavelength lambda, phase psi and
    aspect gamma of a channel:

        G(x, y) = exp(-(x'^2 + gamma^2 y'^2) / (2 sigma^2)) cos(2 pi x' / lambda + psi)
        x' = x cos(theta) + y sin(theta),  y' = -x sin(theta) + y cos(theta)

    sigma = exp(s), gamma = exp(g) and lambda = 2 + exp(l) keep them positive and every wavelength at or above the two pixels
    that a grid can tell apart. At the start sigma = gamma = 1, lambda = 3, and the channels come in pairs of phase 0 (bars)
    and pi / 2 (edges), whose orientations divide [0, pi) evenly.

    Attributes:
        orientation: theta, (C,).
        log_scale: s, (C,).
        log_wavelength: l, (C,).
        phase: psi, (C,).
        log_aspect: g, (C,).
    """

    offsets: Tensor

    def __init__(self, channels: int, stride: int) -> None:
        """Make filters of evenly spread orientations."""
        super().__init__()
        self.channels, self.stride = channels, stride
        index = torch.arange(channels)
        pairs = (channels + 1) // 2
        self.orientation = nn.Parameter(math.pi / pairs * (index // 2).to(torch.float32))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.log_wavelength = nn.Parameter(torch.zeros(channels))
        self.phase = nn.Parameter(math.pi / 2 * (index % 2).to(torch.float32))
        self.log_aspect = nn.Parameter(torch.zeros(channels))
        reach = _KERNEL_SIZE // 2
        self.register_buffer("offsets", torch.arange(-reach, reach + 1, dtype=torch.float32), persistent=False)

    def kernel(self) -> Tensor:
        """Return G, (C, 1, 3, 3): rows are y, columns x."""
        x, y = self.offsets.view(1, 1, _KERNEL_SIZE), self.offsets.view(1, _KERNEL_SIZE, 1)
        cosine, sine = torch.cos(self.orientation).view(-1, 1, 1), torch.sin(self.orientation).view(-1, 1, 1)
        along, across = x * cosine + y * sine, y * cosine - x * sine
        scale, aspect = torch.exp(self.log_scale).view(-1, 1, 1), torch.exp(self.log_aspect).view(-1, 1, 1)
        wavelength = _NYQUIST + torch.exp(self.log_wavelength).view(-1, 1, 1)
        distance = torch.square(along / scale) + torch.square(aspect * across / scale)
        wave = torch.cos(2 * math.pi * along / wavelength + self.phase.view(-1, 1, 1))
        return (torch.exp(distance * -0.5) * wave).unsqueeze(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)); zeros around the border."""
        return F.conv2d(inputs, self.kernel(), None, self.stride, _KERNEL_SIZE // 2, 1, self.channels)


@OPERATIONS.register("gabor-conv-3x3")
class GaborConv3x3:
    """A Gabor filter on each channel by itself, then a 1x1 convolution over all channels.

    What is binary: the 1x1 convolution, in the space's template, whose batch norm centres the responses before their sign.
    What is real: the filters and what they see. A Gabor kernel is a smooth function of five numbers; its signs alone (on 3x3
    a bar or an edge in a few orientations) would have no wavelength or aspect left to learn, and latent weights that belong
    to a function would escape the rules that methods put on theirs. So the arm pays for it: five floats a channel, in
    training and in the frozen network, which computes the kernel from them, and 9 C H' W' multiply-accumulates counted as
    FLOPs.

    The paper names "3x3 Gabor filter" without details. Its authors' code makes one kernel an output channel and shares it
    over the input channels (that is, it filters the sum of all channels), with sigma in (0.1, 0.5) and lambda in (0.001, 1),
    and wraps it as x + BN(gabor(x)) with the batch norm at zero. We filter each channel, mix afterwards, keep wavelengths
    that pixels can hold, and leave shortcuts to the template: at zero the arm would be a skip in the few steps a search gives
    it.

    References:
        Chen et al., "Anti-Bandit Neural Architecture Search for Model Defense", ECCV 2020, arXiv 2008.00698, section 3.1;
        the code named there. Learnable parameters: Perez et al., "Gabor Layers Enhance Network Robustness", ECCV 2020.
    """

    summary = "3x3 real Gabor filter of 5 learned parameters on each channel, then 1x1 convolution"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the filters and the block of the 1x1 convolution."""
        return nn.Sequential(GaborBank(channels, stride), conv(_pointwise(channels)))

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the filters' cost and the block's."""
        output = size.strided(stride)
        floats = _PARAMETERS * channels
        bank = Cost(
            float_parameters=floats,
            flops=_KERNEL_SIZE**2 * channels * output.height * output.width,
            packed_bytes=floats * FLOAT_BYTES,
        )
        return bank + conv(_pointwise(channels), output)
