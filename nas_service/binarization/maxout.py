"""Maxout: a PReLU whose slope is learnt on both sides of 0."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn


class Maxout(nn.Module):
    """y = upper max(x, 0) + lower min(x, 0) with both slopes for every channel; starts as the PReLU it replaces.

    Written with functions of torch alone, so that it is traced, and exported, as such. The gradient at 0 is that of the negative
    side, as a PReLU's.

    Attributes:
        lower: gamma-, the slope of what is negative, (C,).
        upper: gamma+, the slope of what is positive, (C,); starts at 1.

    References:
        Tu, Chen, Ren, Wang, "AdaBin", ECCV 2022, arXiv 2208.08084, which has the name from Goodfellow et al., ICML 2013.
    """

    def __init__(self, slope: Tensor) -> None:
        """Take the slopes (C,) of a PReLU."""
        super().__init__()
        self.lower = nn.Parameter(slope.detach().clone())
        self.upper = nn.Parameter(torch.ones_like(self.lower))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        lower, upper = (slope.view(-1, 1, 1).type_as(inputs) for slope in (self.lower, self.upper))
        positive = F.relu(inputs)
        return upper * positive + lower * (inputs - positive)
