"""Sign -> convolution -> batch norm -> Hardtanh, no shortcut: the block of VGG-small and BinaryNet."""

from dataclasses import dataclass

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvShape, Cost, Precision, Size
from search_spaces.template import TEMPLATES
from search_spaces.templates.plain import PlainTemplate


@dataclass(frozen=True)
class _HardtanhFactory:
    plain: ConvFactory

    def __call__(self, shape: ConvShape) -> nn.Module:
        return nn.Sequential(*self.plain(shape).children(), nn.Hardtanh())


@TEMPLATES.register("plain-hardtanh")
class PlainHardtanhTemplate(PlainTemplate):
    """`plain` with the clip y = max(-1, min(1, x)) behind the norm.

    It changes no sign, and with the clipped straight-through gradient no gradient either. What it is there for: without it a
    network of real weights and activations is linear between its pools, and so is a method that leaves activations real.

    References:
        Courbariaux et al., arXiv 1602.02830; Qin et al. (IR-Net), CVPR 2020, arXiv 1909.10788, and its code.
    """

    summary = "sign -> convolution -> batch norm -> Hardtanh, no shortcut"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of blocks."""
        return _HardtanhFactory(super().wrap(conv))

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a block: a clip has no parameters, and comparisons are not counted."""
        return super().cost(precision, shape, size)
