"""Batch norm -> sign -> convolution -> PReLU, with a local shortcut: no norm behind the convolution."""

from dataclasses import dataclass

from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import BareConvCost, ConvShape, Cost, Precision, Size, batch_norm_cost, prelu_cost
from search_spaces.group_mean import GroupMean
from search_spaces.template import TEMPLATES


class ShortcutBlock(nn.Module):
    """y = PReLU(conv(BN(x))) + shortcut(x), the sign being the binary convolution's own.

    The shortcut has no parameters. Where the size is kept and the input channels are a multiple g of the output
    channels it is the mean of the g groups of input channels (g = 1: identity); elsewhere there is none.
    """

    def __init__(self, shape: ConvShape, conv: nn.Module) -> None:
        """Put batch norm before `conv`, a PReLU after it, and a shortcut around the three where `shape` allows."""
        super().__init__()
        self.norm = nn.BatchNorm2d(shape.in_channels)
        self.conv = conv
        self.activation = nn.PReLU(shape.out_channels)
        matches = shape.keeps_size and shape.in_channels % shape.out_channels == 0
        self.shortcut_groups = shape.in_channels // shape.out_channels if matches else 0
        self.narrow = GroupMean(self.shortcut_groups) if self.shortcut_groups > 1 else None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        outputs: Tensor = self.activation(self.conv(self.norm(inputs)))
        if self.shortcut_groups == 1:
            return outputs + inputs
        return outputs if self.narrow is None else outputs + self.narrow(inputs)


@dataclass(frozen=True)
class _ShortcutFactory:
    conv: ConvFactory

    def __call__(self, shape: ConvShape) -> nn.Module:
        return ShortcutBlock(shape, self.conv(shape))


@TEMPLATES.register("shortcut")
class ShortcutTemplate:
    """Batch norm before the sign centres what is binarized; the shortcut carries real values and gradients around it.

    Nothing normalises what the convolution makes, so a method's scale decides how much it weighs against the shortcut: at the
    start of a network 7.5 times as much with BNN, a third with XNOR-Net. A learnt threshold of the sign is the norm's shift once
    more, and a shift behind the activation is taken out by the next norm. The default of cells until 2026-11-27.

    References:
        Order and shortcut: Bulat et al., "BATS", ECCV 2020, arXiv 2003.01711; Liu et al., "Bi-Real Net", ECCV 2018. The
        channel-matching mean follows the parameter-free shortcuts of ReActNet and NAS-BNN.
    """

    summary = "batch norm -> sign -> convolution -> PReLU, plus a parameter-free shortcut where shapes allow"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of `ShortcutBlock`s."""
        return _ShortcutFactory(conv)

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a `ShortcutBlock`."""
        bare = BareConvCost(precision)(shape, size)
        return batch_norm_cost(shape.in_channels) + bare + prelu_cost(shape.out_channels, precision.activation_parameters)
