"""ConvFactory: the argument that makes convolutions, so that search spaces know nothing of binarization."""

from dataclasses import dataclass, replace
from typing import Protocol

from torch import nn

from search_spaces.cost import ConvShape
from search_spaces.halving import max_halving


class ConvFactory(Protocol):
    """Makes convolution modules from one keyword signature, `ConvShape`.

    What it makes maps (N, in_channels, H, W) to (N, out_channels, H', W') as `torch.nn.Conv2d` without bias does. A
    factory of binary convolutions makes modules that binarize their own input.
    """

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Return a new module."""
        ...


class FullPrecisionConv:
    """Makes ordinary 32-bit convolutions: the control that every binarization method is compared with."""

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Return a convolution without bias (a batch norm precedes or follows it everywhere)."""
        return nn.Conv2d(
            shape.in_channels,
            shape.out_channels,
            shape.kernel_size,
            shape.stride,
            shape.padding,
            shape.dilation,
            shape.groups,
            bias=False,
        )


@dataclass(frozen=True)
class Taking:
    """Makes what `conv` makes of inputs with so many channels, for operations that know of one width and convolve once.

    Attributes:
        in_channels: Channels of the inputs, whatever the operation says.
        conv: Makes the convolutions.
    """

    in_channels: int
    conv: ConvFactory

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Return a new module."""
        return self.conv(replace(shape, in_channels=self.in_channels))


@dataclass(frozen=True)
class Pooled:
    """Makes what `conv` makes, with a 2x2 max pool behind it for a stride of 2: the convolution itself has stride 1.

    A template that is given it pools between convolution and norm, so that the norm centres what the pool leaves. Behind the
    norm the largest of four values is mostly positive, and a sign that reads it mostly +1.
    """

    conv: ConvFactory

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Return a new module."""
        conv = self.conv(replace(shape, stride=1))
        return conv if shape.stride == 1 else nn.Sequential(conv, max_halving())
