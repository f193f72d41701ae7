"""Shift-based batch norm: batch norm whose multiplications are shifts, that is, multiplications with powers of two.

AP2(z) = sign(z) 2^round(log2 |z|) is the power of two next to z, in the logarithm; AP2(0) = 0. For an input x (N, C, H, W)
and per channel, with means over N, H and W:

    c = x - mean(x)
    v = mean(c AP2(c))
    y = AP2(gamma) (c AP2(1 / sqrt(v + eps))) + beta

v is the variance up to a factor: c AP2(c) lies between c^2 / sqrt(2) and c^2 sqrt(2). In evaluation mean and v are the running
ones, kept as batch norm keeps its own (momentum None: plain means), but v without the factor m / (m - 1).

Backward: the straight-through derivative d AP2(z) / dz = 1 everywhere, the rest by the chain rule, so gamma and x get nearly
batch norm's gradients. Products in the backward pass are ordinary ones.

What is left after training is a multiplication with one power of two a channel, AP2(gamma) AP2(1 / sqrt(v + eps)), between a
subtraction and an addition. A plain batch norm with running variance 1 and eps 0 computes that.

Differences: the sources describe the forward pass only; the straight-through derivative, the running v and the order of the
last two products (which is irrelevant: products of powers of two are exact) are ours. The mean is an ordinary mean.

References:
    Courbariaux, Hubara, Soudry, El-Yaniv, Bengio, "Binarized Neural Networks", 2016, arXiv 1602.02830, section 1.4.
"""

from typing import Self

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply

# Of the float format: a signed integer as wide, its mantissa's bits, and the first mantissa above sqrt(2), less the leading 1.
_LAYOUTS = {torch.float32: (torch.int32, 23, 0x3504F4), torch.float64: (torch.int64, 52, 0x6A09E667F3BCD)}


def power_of_two(values: Tensor) -> Tensor:
    """Return AP2(z) = sign(z) 2^round(log2 |z|), same shape and dtype; has no gradient. Subnormal numbers become zeros.

    A float is a mantissa in [1, 2) times a power of two. What is missing from sqrt(2) to 2 is added to its bits, which
    carries into the exponent where the mantissa exceeds sqrt(2), and the mantissa is cut off: exact, and without a logarithm.
    """
    exact = values.detach() if values.dtype in _LAYOUTS else values.detach().float()
    integer, width, above = _LAYOUTS[exact.dtype]
    bits = exact.contiguous().view(integer) + ((1 << width) - above)
    powers = bits.bitwise_and_(-(1 << width)).view(exact.dtype)
    # A compiler may lose the gradient of a function whose result has two names: see `sign`.
    return powers.to(values.dtype, copy=torch.compiler.is_compiling())


class _StraightThrough(Function):
    """Forward: AP2(z). Backward: dL/dz = dL/dAP2."""

    @staticmethod
    def forward(ctx: Context, values: Tensor) -> Tensor:
        del ctx
        return power_of_two(values)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> Tensor:
        del ctx
        return grad_outputs[0]


def shift(values: Tensor) -> Tensor:
    """Return AP2(z) with the straight-through gradient."""
    return apply(_StraightThrough, values)


class _Normalize(Function):
    """(x, a) -> c AP2(1 / sqrt(v + eps)), its own mean and v; see the module's text.

    Backward, with g = dL/dy, s = AP2(1 / sqrt(v + eps)) and m values a channel:
    dL/dv = -(v + eps)^(-3/2) / 2 sum(g c), dL/dc = g s + dL/dv (c + AP2(c)) / m, dL/dx = dL/dc - mean(dL/dc).
    """

    @staticmethod
    def forward(ctx: Context[float], inputs: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        mean = inputs.mean((0, 2, 3), keepdim=True)
        centred = inputs - mean
        variance = (power_of_two(centred).mul_(centred)).mean((0, 2, 3), keepdim=True)
        ctx.save_for_backward(centred, variance)
        ctx.kept = eps
        ctx.mark_non_differentiable(mean, variance)
        return centred * power_of_two((variance + eps).rsqrt()), mean.flatten(), variance.flatten()

    @staticmethod
    def backward(ctx: Context[float], *grad_outputs: Tensor) -> tuple[Tensor, None]:
        centred, variance = ctx.saved_tensors
        gradient, spread = grad_outputs[0], variance + ctx.kept
        count = centred.numel() // centred.shape[1]
        by_variance = (gradient * centred).sum((0, 2, 3), keepdim=True) * (-0.5 * spread.pow(-1.5) / count)
        by_centred = power_of_two(centred).add_(centred).mul_(by_variance)
        by_centred.addcmul_(gradient, power_of_two(spread.rsqrt()))
        return by_centred - by_centred.mean((0, 2, 3), keepdim=True), None


class ShiftBatchNorm2d(nn.BatchNorm2d):
    """Batch norm by shifts, with batch norm's parameters, buffers and settings; see the module's text."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    @classmethod
    def like(cls, norm: nn.BatchNorm2d) -> Self:
        """Return one with the settings and the state of `norm`, which has scale, shift and running statistics."""
        made = cls(norm.num_features, norm.eps, norm.momentum).to(norm.weight.device, norm.weight.dtype)
        made.load_state_dict(norm.state_dict())
        return made.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own signature
        """Map (N, C, H, W) to the same shape."""
        if not self.training:
            return self._evaluate(input)
        wide = input.to(torch.promote_types(input.dtype, self.weight.dtype))  # the statistics' type
        normalized, mean, variance = _Normalize.apply(wide, self.eps)  # type: ignore[no-untyped-call]  # torch
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            rate = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
            self.running_var.lerp_(variance.to(self.running_var.dtype), rate)
        channels = (1, -1, 1, 1)
        outputs: Tensor = torch.addcmul(self.bias.view(channels), shift(self.weight).view(channels), normalized)
        return outputs.to(input.dtype)

    def deployed(self) -> nn.BatchNorm2d:
        """Return a plain batch norm that does the same in evaluation: its scale is a power of two, its variance 1."""
        norm = nn.BatchNorm2d(self.num_features, eps=0.0, momentum=self.momentum).to(self.weight.device, self.weight.dtype)
        with torch.no_grad():
            norm.weight.copy_(self._factor())
            norm.bias.copy_(self.bias)
            assert norm.running_mean is not None  # noqa: S101 - for the type checker; it tracks its statistics
            norm.running_mean.copy_(self.running_mean)
        return norm.eval()

    def _factor(self) -> Tensor:
        """Return AP2(gamma) AP2(1 / sqrt(v + eps)) of the running v, (C,)."""
        return shift(self.weight) * power_of_two((self.running_var + self.eps).rsqrt())

    def _evaluate(self, inputs: Tensor) -> Tensor:
        ones = torch.ones_like(self.running_var)
        return F.batch_norm(inputs, self.running_mean, ones, self._factor(), self.bias, eps=0.0)


def shift_norms(network: nn.Module) -> None:
    """Replace every batch norm of `network` in place."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d) and not isinstance(child, ShiftBatchNorm2d):
                setattr(parent, name, ShiftBatchNorm2d.like(child))
