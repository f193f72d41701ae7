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

    y = scale[o] * K * conv(pad(sign(x)), b), with K = 1 unless `input_scale` says otherwise.

    Attributes:
        shape: The convolution's geometry.
        bits: uint8, (ceil(weights / 8),): bit i of byte j (least significant first) is 1 where weight 8j + i of the
            row-major (Co, Ci / groups, k, k) kernel is +1, 0 where it is -1; unused bits are 0.
        scale: float32 (Co,), or None for 1.
        pad_value: -1.0 or +1.0.
        input_scale: Run-time factor, if any.
    """

    shape: ConvShape
    bits: Tensor
    scale: Tensor | None
    pad_value: float
    input_scale: InputScale = InputScale.NONE


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
