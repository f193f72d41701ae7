"""Sign -> convolution -> batch norm: the ReLU -> convolution -> batch norm of ABanditNAS's code with a sign for the ReLU."""

from dataclasses import dataclass

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import BareConvCost, ConvShape, Cost, Precision, Size, batch_norm_cost
from search_spaces.template import TEMPLATES


@dataclass(frozen=True)
class _PlainFactory:
    conv: ConvFactory

    def __call__(self, shape: ConvShape) -> nn.Module:
        return nn.Sequential(self.conv(shape), nn.BatchNorm2d(shape.out_channels))


@TEMPLATES.register("plain")
class PlainTemplate:
    """The paper's own block, for comparison: no shortcut, so every path of a cell that convolves passes a sign.

    References:
        Chen et al., ECCV 2020, arXiv 2008.00698: operations are those of DARTS (ReLU -> convolution -> batch norm).
    """

    summary = "sign -> convolution -> batch norm, no shortcut"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of plain blocks."""
        return _PlainFactory(conv)

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a plain block."""
        return BareConvCost(precision)(shape, size) + batch_norm_cost(shape.out_channels)
