"""No connection."""

import torch
from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, Cost, Size
from search_spaces.operation import OPERATIONS
from search_spaces.space import ZEROISE


class Zero(nn.Module):
    """y = 0, in the size that a stride leaves."""

    def __init__(self, stride: int) -> None:
        """Keep the stride."""
        super().__init__()
        self.stride = stride

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to zeros of (N, C, ceil(H / stride), ceil(W / stride)); no gradient flows back."""
        return torch.zeros_like(inputs[:, :, :: self.stride, :: self.stride])


@OPERATIONS.register(ZEROISE)
class Zeroise:
    """Cuts the edge. BNAS keeps it in final networks: an edge that is cut has no binarization error.

    A node needs one path from an input: `SearchSpace.genotype` refuses a genotype without.

    References:
        Kim, Singh and Choi, "Learning Architectures for Binary Networks", ECCV 2020, arXiv 2002.06963, section 4.1.
    """

    summary = "no connection: the edge adds nothing"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the module of zeros."""
        del conv, channels
        return Zero(stride)

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return nothing: no weights, no multiply-accumulates."""
        del conv, channels, stride, size
        return Cost()
