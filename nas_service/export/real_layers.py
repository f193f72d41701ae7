"""The layers of real numbers that a bundled network has, each with one result.

A sum of floats depends on its order, and a product that is added on whether it was rounded before. Where a sign follows, the
last bit decides now and then, and a sign that flips moves logits by per cents. So what is computed here either is exact, so that
no order changes it, or is summed in float64 and rounded to float32 once, or is written as elementwise steps in float32 that are
rounded one by one. Any program that keeps to the definitions computes the same signs: C without fused multiply-adds, ONNX, torch
on any number of threads.

This file is the first part of every bundle's `model.py`, `runtime.py` the second: both import torch and the standard library
alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

LEVELS = 255  # steps from black to white
PIXEL_BITS = 14  # below one of these steps: a float32 pixel of k / 255 is no further than 2^-12 from k 2^14
_PIXEL_RANGE_BITS = 23  # of the integers that enter the stem, the sign and a margin included
_EXACT_BITS = 52  # sums of integers up to so many bits are exact in float64, with one to spare
_GABOR_BITS = 22  # of a weight, which is at most 1, behind the point
_LEAST_EXPONENT, _MOST_EXPONENT = -126, 127  # of normal numbers in float32


class StemConv2d(nn.Module):
    """The first convolution, of pixels that `Normalize` made whole numbers, with the standard deviation in its weights.

    In float64, for output o, input channel c and a kernel of n = in_channels k^2 taps:

        folded = weight / (255 * 2^14 * std[c])                     one product, one division, each rounded once
        e      = the smallest whole number with 2^e >= max |folded| over c and the taps of o
        step   = 2^(e - b),  b = 52 - 23 - ceil(log2 n)             e - b within -126 ... 127: a normal float32
        grid   = round(folded / step)                               to the nearest, ties to even; |grid| <= 2^b, an int32

        y = float32(sum of x * grid) * step                         zeros around the border

    Every product and every partial sum is a whole number below 2^53, so float64 and int64 give the same sum in any order. It is
    rounded to float32 once (to nearest, ties to even), and a product with a power of two is exact. An output whose weights are
    all zero has step 1 and a grid of zeros.

    Attributes:
        weight: As trained, float32 (out_channels, in_channels, k, k); what follows is worked out from it after loading.
        integer_weight: grid, int32, of the same shape.
        step: float32 (out_channels,), powers of two; float32 whatever the network's own type becomes.
    """

    integer_weight: Tensor
    step: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        std: tuple[float, ...] = (1.0,),
    ) -> None:
        """Make room for the weights; loading a state dict puts them on the grid. `std` has a value for every input channel."""
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.std = stride, padding, std
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels, kernel_size, kernel_size))
        self.register_buffer("integer_weight", torch.zeros_like(self.weight, dtype=torch.int32), persistent=False)
        self.register_buffer("step", torch.ones(out_channels), persistent=False)
        self.register_load_state_dict_post_hook(_derive_after_loading)  # type: ignore[no-untyped-call]  # torch

    @property
    def weight_bits(self) -> int:
        """The b of the definition."""
        return _EXACT_BITS - _PIXEL_RANGE_BITS - math.ceil(math.log2(self.in_channels * self.kernel_size**2))

    @property
    def exponent(self) -> Tensor:
        """The e - b of the definition, int32 (out_channels,); 0 where all weights are 0."""
        return torch.frexp(self.step).exponent - 1

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> StemConv2d:  # noqa: FBT001, FBT002 - torch's own
        """Move or convert everything, but leave `step` in float32: the numbers of float16 end far above it."""
        step = self.step
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch
        self.step = step.to(self.integer_weight.device)
        return self

    @torch.no_grad()
    def derive(self) -> None:
        """Put the weights on the grid."""
        weight = self.weight.to(torch.float64)
        std = torch.tensor(self.std, dtype=torch.float64, device=weight.device).view(1, -1, 1, 1)
        folded = weight / (std * (LEVELS << PIXEL_BITS))
        mantissa, power = torch.frexp(folded.abs().amax((1, 2, 3)))  # mantissa in [1/2, 1), or 0
        power = power - (mantissa == 0.5).to(power.dtype)  # noqa: PLR2004 - the largest weight is a power of two itself
        exponent = (power - self.weight_bits).clamp(_LEAST_EXPONENT, _MOST_EXPONENT)
        exponent = torch.where(mantissa == 0, torch.zeros_like(exponent), exponent)
        self.step.copy_(torch.tensor([2.0**each for each in exponent.tolist()]))
        self.integer_weight.copy_((folded / self.step.to(torch.float64).view(-1, 1, 1, 1)).round())

    def forward(self, inputs: Tensor) -> Tensor:
        """Map whole numbers, float64 (N, C, H, W), to (N, C', H', W') in the type of `weight`."""
        sums = F.conv2d(inputs, self.integer_weight.to(torch.float64), None, self.stride, self.padding)
        return (sums.to(torch.float32) * self.step.view(-1, 1, 1)).to(self.weight.dtype)


class BatchNorm2d(nn.Module):
    """Batch norm of a trained network: y = (x * alpha) + beta, two steps in float32, each rounded; never a fused one.

    In float64, then rounded to float32 once:

        alpha = weight / sqrt(running_var + eps)
        beta  = bias - running_mean * alpha                         with the alpha of float64

    Without `affine` weight is 1 and bias 0.

    Attributes:
        alpha: float32 (C,), worked out after loading.
        beta: float32 (C,), worked out after loading.
    """

    running_mean: Tensor
    running_var: Tensor
    alpha: Tensor
    beta: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, *, affine: bool = True) -> None:
        """Make room for the statistics, under torch's names; loading a state dict works out factors and offsets."""
        super().__init__()
        self.num_features, self.eps, self.affine = num_features, eps, affine
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("alpha", torch.ones(num_features), persistent=False)
        self.register_buffer("beta", torch.zeros(num_features), persistent=False)
        self.register_load_state_dict_post_hook(_derive_after_loading)  # type: ignore[no-untyped-call]  # torch

    @torch.no_grad()
    def derive(self) -> None:
        """Work out factors and offsets."""
        deviation = (self.running_var.to(torch.float64) + self.eps).sqrt()
        weight = torch.ones_like(deviation) if self.weight is None else self.weight.to(torch.float64)
        bias = torch.zeros_like(deviation) if self.bias is None else self.bias.to(torch.float64)
        alpha = weight / deviation
        self.alpha.copy_(alpha)
        self.beta.copy_(bias - self.running_mean.to(torch.float64) * alpha)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        scaled = inputs * self.alpha.view(-1, 1, 1)
        return scaled + self.beta.view(-1, 1, 1)


class Conv2d(nn.Module):
    """A real convolution: products and sums in float64, rounded to the inputs' float32 once; zeros around the border."""

    def __init__(  # noqa: PLR0913, PLR0917 - torch.nn.Conv2d's own signature
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        """Make room for the weights."""
        super().__init__()
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels // groups, kernel_size, kernel_size))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        wide, kernel = inputs.to(torch.float64), self.weight.to(torch.float64)
        sums = F.conv2d(wide, kernel, None, self.stride, self.padding, self.dilation, self.groups)
        return sums.to(inputs.dtype)


class GaborBank(nn.Module):
    """A real 3x3 Gabor filter on each channel: products and sums in float64, rounded once; zeros around the border.

    The kernel is worked out in float64 and rounded to multiples of 2^-22 once, which float32 holds, from five numbers of each
    channel, with x, y in {-1, 0, 1}:

        along  = x cos(orientation) + y sin(orientation)
        across = y cos(orientation) - x sin(orientation)
        kernel = exp(-((along / scale)^2 + (aspect * across / scale)^2) / 2) cos(2 pi along / wavelength + phase)

    with scale = exp(log_scale), aspect = exp(log_aspect), wavelength = 2 + exp(log_wavelength). On even ground, where the
    filter of an edge takes as much away as it adds, sums are exact on that grid: 24 bits of the input, 23 of a weight, 4 for nine
    taps. So they are 0, and not whatever the order leaves.

    Attributes:
        kernel: float32 (C, 1, 3, 3), rows y, columns x; worked out after loading.
    """

    kernel: Tensor

    def __init__(self, channels: int, stride: int = 1) -> None:
        """Make room for the five numbers of each channel."""
        super().__init__()
        self.channels, self.stride = channels, stride
        self.orientation = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.log_wavelength = nn.Parameter(torch.zeros(channels))
        self.phase = nn.Parameter(torch.zeros(channels))
        self.log_aspect = nn.Parameter(torch.zeros(channels))
        self.register_buffer("kernel", torch.zeros(channels, 1, 3, 3), persistent=False)
        self.register_load_state_dict_post_hook(_derive_after_loading)  # type: ignore[no-untyped-call]  # torch

    @torch.no_grad()
    def derive(self) -> None:
        """Work out the kernel."""
        numbers = (self.orientation, self.log_scale, self.log_wavelength, self.phase, self.log_aspect)
        angle, log_scale, log_wavelength, phase, log_aspect = (number.to(torch.float64).view(-1, 1, 1) for number in numbers)
        offsets = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64, device=angle.device)
        x, y = offsets.view(1, 1, 3), offsets.view(1, 3, 1)
        along, across = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
        scale, aspect, wavelength = log_scale.exp(), log_aspect.exp(), 2 + log_wavelength.exp()
        distance = (along / scale).square() + (aspect * across / scale).square()
        wave = (2 * math.pi * along / wavelength + phase).cos()
        exact = (distance * -0.5).exp() * wave
        self.kernel.copy_(((exact * 2**_GABOR_BITS).round() / 2**_GABOR_BITS).unsqueeze(1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, ceil(H / stride), ceil(W / stride))."""
        wide, kernel = inputs.to(torch.float64), self.kernel.to(torch.float64)
        return F.conv2d(wide, kernel, None, self.stride, 1, 1, self.channels).to(inputs.dtype)


class NonLocalMean(nn.Module):
    """The dot-product non-local mean: all of it in float64, rounded to the inputs' float32 once.

    With X, (C, H W), of an image: y = ((X X^T) / max(trace(X X^T), 1e-12)) X, the quotient before the second product.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape; zeros to zeros."""
        flat = inputs.to(torch.float64).flatten(2)
        moments = torch.bmm(flat, flat.transpose(1, 2))
        energy = moments.diagonal(dim1=1, dim2=2).sum(1).clamp_min(1e-12)
        return torch.bmm(moments / energy.view(-1, 1, 1), flat).view_as(inputs).to(inputs.dtype)


class GroupMean(nn.Module):
    """The mean of g groups of channels that follow each other: ((x_0 + x_1) + x_2 + ...) / g in float32, each step rounded."""

    def __init__(self, groups: int) -> None:
        """Keep the number of groups."""
        super().__init__()
        self.groups = groups

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (N, g C, H, W) to (N, C, H, W)."""
        grouped = inputs.unflatten(1, (self.groups, -1))
        total: Tensor = grouped[:, 0]
        for group in range(1, self.groups):
            total = total + grouped[:, group]
        return total / total.new_full((1,), self.groups)  # by a number CUDA multiplies with its reciprocal


def _derive_after_loading(layer: StemConv2d | BatchNorm2d | GaborBank, _: object) -> None:
    layer.derive()
