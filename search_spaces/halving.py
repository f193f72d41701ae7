"""How a size is halved without weights, wherever that is needed: the one way, so that all paths of a cell agree."""

from torch import nn


def halving(stride: int) -> nn.Module:
    """Return the mean of each 2x2 square at stride 2, the identity at stride 1.

    Maps (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride)): an odd border is averaged over the pixels there are.
    """
    return nn.Identity() if stride == 1 else nn.AvgPool2d(stride, stride, ceil_mode=True)


def max_halving() -> nn.Module:
    """Return the maximum of each 2x2 square: VGG's way; sizes as in `halving`."""
    return nn.MaxPool2d(2, 2, ceil_mode=True)
