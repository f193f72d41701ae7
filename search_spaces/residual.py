"""Residual blocks in their authors' order: convolution, batch norm, plus a shortcut, then the activation.

    y = PReLU(BN(conv(x)) + shortcut(x))        or, with a norm on both sides,  y = PReLU(BN(conv(BN(x))) + shortcut(x))

Shape legend: N images, C channels in and C' out, H and W pixels, of which a stride s leaves ceil(H / s) and ceil(W / s): every
convolution is padded so that nothing but its stride changes the size.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import FULL_PRECISION, BareConvCost, ConvShape, Cost, Precision, Size, batch_norm_cost, prelu_cost
from search_spaces.group_mean import GroupMean
from search_spaces.halving import halving

Shortcut = Callable[[ConvShape], nn.Module]  # makes a module (outputs, inputs) -> their sum


class FreeShortcut(nn.Module):
    """Adds the input, brought to the output's shape without weights.

    A stride of 2 takes the mean of each 2x2 square. Where the input channels are a multiple g of the output channels, the g
    groups of input channels are averaged; where the output channels are a multiple, the input stands that many times side by
    side. Where neither is a multiple of the other there is no shortcut.

    References:
        Liu et al., "ReActNet", ECCV 2020, arXiv 2003.03488: the 2x2 mean across a stride, and the duplicated channels.
    """

    def __init__(self, shape: ConvShape) -> None:
        """Fit the input of a convolution of `shape` to its output."""
        super().__init__()
        wide, narrow = max(shape.in_channels, shape.out_channels), min(shape.in_channels, shape.out_channels)
        self.exists = wide % narrow == 0
        groups = max(1, shape.in_channels // shape.out_channels)
        self.narrow = GroupMean(groups) if groups > 1 else None
        self.copies = max(1, shape.out_channels // shape.in_channels)
        self.halve = halving(shape.stride) if shape.stride > 1 else None

    def forward(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Map (N, C', H', W') and (N, C, H, W) to their sum, (N, C', H', W')."""
        if not self.exists:
            return outputs
        carried = inputs if self.halve is None else self.halve(inputs)
        if self.narrow is not None:
            carried = self.narrow(carried)
        if self.copies > 1:
            carried = torch.cat([carried] * self.copies, 1)
        return outputs + carried


def _projection(shape: ConvShape) -> ConvShape | None:
    """Return the shape of the real convolution in a projected shortcut; None: the shortcut is the identity."""
    if shape.stride == 1 and shape.in_channels == shape.out_channels:
        return None
    return ConvShape(in_channels=shape.in_channels, out_channels=shape.out_channels, kernel_size=1)


class ProjectedShortcut(nn.Module):
    """Adds the input, through a 2x2 mean, a real 1x1 convolution and a batch norm where its shape is another than the output's.

    References:
        Liu et al., "Bi-Real Net", ECCV 2018, arXiv 1808.00278, whose downsampling layers are these.
    """

    def __init__(self, shape: ConvShape) -> None:
        """Fit the input of a convolution of `shape` to its output."""
        super().__init__()
        self.project = None
        if (projection := _projection(shape)) is not None:
            conv = nn.Conv2d(projection.in_channels, projection.out_channels, 1, bias=False)
            norm = nn.BatchNorm2d(projection.out_channels)
            self.project = nn.Sequential(*([halving(shape.stride)] if shape.stride > 1 else []), conv, norm)

    def forward(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Map (N, C', H', W') and (N, C, H, W) to their sum, (N, C', H', W')."""
        return outputs + (inputs if self.project is None else self.project(inputs))


def projection_cost(shape: ConvShape, size: Size) -> Cost:
    """Return the cost of a `ProjectedShortcut` for one image of `size`."""
    if (projection := _projection(shape)) is None:
        return Cost()
    return BareConvCost(FULL_PRECISION)(projection, size.strided(shape.stride)) + batch_norm_cost(shape.out_channels)


class ResidualBlock(nn.Module):
    """y = PReLU(BN(conv(x)) + shortcut(x)), the sign being the binary convolution's own; see the module's text.

    Attributes:
        norm: Before the convolution; None: it sees the input as it is.
        conv_norm: After the convolution: takes out of its output whatever scale it has.
    """

    def __init__(self, shape: ConvShape, conv: nn.Module, shortcut: nn.Module, *, norms_input: bool) -> None:
        """Put the parts around `conv`, a convolution of `shape`."""
        super().__init__()
        self.norm = nn.BatchNorm2d(shape.in_channels) if norms_input else None
        self.conv = conv
        self.conv_norm = nn.BatchNorm2d(shape.out_channels)
        self.shortcut = shortcut
        self.activation = nn.PReLU(shape.out_channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        normed = inputs if self.norm is None else self.norm(inputs)
        outputs: Tensor = self.activation(self.shortcut(self.conv_norm(self.conv(normed)), inputs))
        return outputs


@dataclass(frozen=True)
class ResidualFactory:
    """Makes `ResidualBlock`s with the convolutions of `conv` and the shortcuts of `shortcut`."""

    conv: ConvFactory
    shortcut: Shortcut = FreeShortcut
    norms_input: bool = False

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Return a new block."""
        return ResidualBlock(shape, self.conv(shape), self.shortcut(shape), norms_input=self.norms_input)


def residual_cost(precision: Precision, shape: ConvShape, size: Size) -> Cost:
    """Return the cost of a `ResidualBlock` without a norm before the convolution and without what its shortcut costs."""
    around = batch_norm_cost(shape.out_channels) + prelu_cost(shape.out_channels, precision.activation_parameters)
    return BareConvCost(precision)(shape, size) + around
