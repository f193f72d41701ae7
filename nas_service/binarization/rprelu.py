"""RPReLU: a PReLU whose corner can be moved, for methods that shift the distribution of what the next sign sees."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn


class RPReLU(nn.Module):
    """y = PReLU(x - shift_in) + shift_out with a slope and both shifts for every channel; starts as the PReLU it replaces.

    Written with functions of torch alone, so that it is traced, and exported, as such.

    Attributes:
        slope: beta, the factor on what is negative after the shift, (C,).
        shift_in: gamma, where the corner is, (C,); starts at 0.
        shift_out: zeta, the output at the corner, (C,); starts at 0.

    References:
        Liu, Shen, Savvides, Cheng, "ReActNet", ECCV 2020, arXiv 2003.03488, equation 4.
    """

    def __init__(self, slope: Tensor) -> None:
        """Take the slopes (C,) of a PReLU."""
        super().__init__()
        self.slope = nn.Parameter(slope.detach().clone())
        self.shift_in = nn.Parameter(torch.zeros_like(self.slope))
        self.shift_out = nn.Parameter(torch.zeros_like(self.slope))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        shift_in, shift_out = (shift.view(-1, 1, 1).type_as(inputs) for shift in (self.shift_in, self.shift_out))
        return F.prelu(inputs - shift_in, self.slope) + shift_out


def replace_prelus(network: nn.Module, make: Callable[[Tensor], nn.Module]) -> None:
    """Put what `make` returns for its slopes (C,) in the place of every PReLU of `network`."""
    places = [(parent, name, child) for parent in network.modules() for name, child in parent.named_children()]
    for parent, name, child in places:
        if isinstance(child, nn.PReLU):
            setattr(parent, name, make(child.weight))
