"""Denoising block: a non-local mean, a 1x1 convolution and the identity."""

import torch
from torch import Tensor, nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, ConvShape, Cost, Size, batch_norm_cost
from search_spaces.halving import halving
from search_spaces.operation import OPERATIONS

_LEAST_ENERGY = 1e-12  # keeps an image of zeros from a division by zero


def _pointwise(channels: int) -> ConvShape:
    return ConvShape(in_channels=channels, out_channels=channels, kernel_size=1)


class NonLocalMean(nn.Module):
    """The dot-product non-local mean: every position becomes a mean of all positions, weighted by likeness.

    y_i = sum_j (x_i . x_j) x_j / sum_j |x_j|^2 over the P = H W positions, x_i in R^C: the variant without softmax and without
    embedding. With X of (C, P) that is (X X^T / trace(X X^T)) X; multiplied in this order it costs 2 C^2 P
    multiply-accumulates and not the 2 C P^2 of the likeness of all pairs.

    The paper divides by P, and then y is cubic in x: where batch norm does not know the scale yet, as in a path of a supernet
    that was hardly trained, a few such blocks in a row overflow. Divided by the image's energy, y scales as x does, is never
    longer (the matrix is positive with trace 1), and points where the paper's points.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; zeros to zeros."""
        flat = inputs.flatten(2)
        moments = torch.bmm(flat, flat.transpose(1, 2))
        energy = moments.diagonal(dim1=1, dim2=2).sum(1).clamp_min(_LEAST_ENERGY)
        return torch.bmm(moments / energy.view(-1, 1, 1), flat).view_as(inputs)


class DenoisingBlock(nn.Module):
    """y = x + BN(conv(mean(x))); at stride 2 x is the mean of each 2x2 square first."""

    def __init__(self, conv: nn.Module, channels: int, stride: int) -> None:
        """Put the parts around a 1x1 convolution `conv`."""
        super().__init__()
        self.shrink = halving(stride)
        self.mean = NonLocalMean()
        self.conv = conv
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        shrunk = self.shrink(inputs)
        outputs: Tensor = shrunk + self.norm(self.conv(self.mean(shrunk)))
        return outputs


@OPERATIONS.register("denoise")
class Denoise:
    """Takes noise, an attack's included, out of feature maps: what recurs elsewhere in the map outweighs what does not.

    The 1x1 convolution is binary and stands in the space's template. The non-local mean multiplies real features with real
    features, counted as FLOPs, and has no weights.

    The authors' code leaves the paper's 1x1 convolution out, divides by C H W (we by the image's energy, see `NonLocalMean`),
    halves the size with a bilinear filter and starts the last batch norm at zero. Ours starts at one: at zero the arm is a
    skip, which would be all that a search sees of it in a few steps. Halving is the 2x2 mean, as in `skip`.

    References:
        Xie et al., "Feature Denoising for Improving Adversarial Robustness", CVPR 2019, arXiv 1812.03411 (dot product);
        Chen et al., ECCV 2020, arXiv 2008.00698, figure 2c.
    """

    summary = "non-local mean, 1x1 convolution and identity"

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return the block."""
        return DenoisingBlock(conv(_pointwise(channels)), channels, stride)

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the cost of the block; its real products are FLOPs."""
        output = size.strided(stride)
        products = Cost(flops=2 * channels**2 * output.height * output.width)
        return products + conv(_pointwise(channels), output) + batch_norm_cost(channels)
