"""FrozenConv: what is left of a binary convolution when training is over."""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from search_spaces.cost import ConvShape


class InputScale(StrEnum):
    """A factor computed from the real input at run time."""

    NONE = "none"
    KMAP = "kmap"  # XNOR-Net's K: mean magnitude of the input under each window


@dataclass(frozen=True)
class FrozenConv:
    """One binary convolution as packed sign bits and float factors; no latent weight, no training state.

    y = scale[o] * K * conv(pad(sign(x + threshold)), b), with K = 1 unless `input_scale` says otherwise.

    Operands of two values that do not lie about 0 add two terms before K: sum_scale[o] * conv(pad(sign(x + threshold)), 1), where
    the convolution sums the signs under the window in the output's group, and offset[o]. The padding of `pad_value` stands for
    the lower or the upper of the input's two values, so offset[o] is the same at borders as elsewhere.

    Forms that are not one scale per channel are kept exactly: `planes` filters repeated (filter f makes the consecutive
    outputs f * planes ... f * planes + planes - 1) and `kernel_scale` multiply into the kernel before the convolution; `gather`
    puts the outputs of the filters that are left after pruning in their places.

    Attributes:
        shape: The convolution's geometry as trained.
        bits: uint8, (ceil(weights / 8),): bit i of byte j (least significant first) is 1 where weight 8j + i of the
            row-major (filters, Ci / groups, k, k) kernel is +1, 0 where it is -1; unused bits are 0. There are Co / planes
            filters, or as many as pruning left.
        scale: float32, (1,) for the layer or (computed outputs,), or None for 1.
        pad_value: -1.0 or +1.0, or 0.0 where the inputs stay real.
        input_scale: Run-time factor, if any.
        binary_input: Whether the input's sign is taken.
        threshold: float32 (Ci,), added to the input before its sign, or None for 0.
        planes: K, outputs that share a filter.
        kernel_scale: float32 (planes, k, k) or (planes, 1, 1): factor of every plane at every kernel position, or None.
        gather: int64 (Co,): output o is computed output gather[o]; one past the last is a channel of zeros. None: in order.
        filters: Number of filters in `bits`; None: Co / planes.
        sum_scale: float32 (computed outputs,), factor of the sum of the signs under the window, or None; then there is no offset.
        offset: float32 (computed outputs,), added to the output; given with `sum_scale`.
    """

    shape: ConvShape
    bits: Tensor
    scale: Tensor | None
    pad_value: float
    input_scale: InputScale = InputScale.NONE
    binary_input: bool = True
    threshold: Tensor | None = None
    planes: int = 1
    kernel_scale: Tensor | None = None
    gather: Tensor | None = None
    filters: int | None = None
    sum_scale: Tensor | None = None
    offset: Tensor | None = None

    @property
    def computed(self) -> int:
        """Number of output channels that the convolution computes before `gather`."""
        return self.shape.out_channels if self.filters is None else self.filters * self.planes


def pack_signs(signs: Tensor) -> Tensor:
    """Pack a tensor of -1 and +1 of any shape into bits, row-major, least significant bit first.

    Raises:
        ValueError: If the tensor holds anything but -1 and +1.
    """
    if not bool((signs.abs() == 1).all()):
        message = "only -1 and +1 can be packed into bits"
        raise ValueError(message)
    flat = (signs.flatten() > 0).to(torch.uint8)
    padded = torch.cat([flat, flat.new_zeros(-len(flat) % 8)]).view(-1, 8)
    return (padded << torch.arange(8, dtype=torch.uint8)).sum(1, dtype=torch.uint8)
