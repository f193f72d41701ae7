"""Sign functions and their gradient estimators.

Forward, everywhere: sign(x) = +1 if x >= 0 else -1, so sign(0) = sign(-0) = +1 (`torch.sign` gives 0, a third value that
no packed kernel has). Every function maps a tensor of any shape and float dtype to the same shape and dtype.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply

Estimator = Callable[[Tensor], Tensor]  # a sign with a gradient
Surrogate = Callable[[Tensor], Tensor]  # what stands for d sign(x) / dx, as a function of x


def sign(inputs: Tensor) -> Tensor:
    """Return +1 where `inputs` >= 0 and -1 elsewhere; has no gradient.

    One comparison into a float tensor and two in-place passes: 4 to 17 times faster on a CPU than casting a boolean
    tensor or `torch.where` (benchmarks/sign.py). A compiler fuses whatever it is written as, but must not see the result
    change in place or under two names: torch 2.11 then loses the gradient of a function that returns it (pytorch 180642).
    """
    if torch.compiler.is_compiling():
        return (inputs >= 0).to(inputs.dtype) * 2 - 1
    positive = torch.empty_like(inputs)
    torch.ge(inputs.detach(), 0, out=positive)
    return two_valued(positive)


def two_valued(positive: Tensor) -> Tensor:
    """Return 2p - 1 of p in {0, 1}, which may be written over: in place on a CPU, in one kernel on a GPU."""
    return torch.rsub(positive, -1, alpha=-2) if positive.is_cuda else positive.mul_(2).sub_(1)


def draw_sign(inputs: Tensor) -> Tensor:
    """Return +1 with probability clip((x + 1) / 2, 0, 1), else -1; has no gradient.

    References:
        Courbariaux et al., "Binarized Neural Networks", arXiv 1602.02830, equation 2.
    """
    probability = ((inputs.detach() + 1) / 2).clamp(0, 1)
    if torch.compiler.is_compiling():
        return (torch.rand_like(probability) < probability).to(inputs.dtype) * 2 - 1
    positive = torch.empty_like(inputs)
    torch.lt(torch.rand_like(probability), probability, out=positive)
    return two_valued(positive)


def window(inputs: Tensor) -> Tensor:
    """Return 1[|x| <= 1], the clipped straight-through surrogate."""
    return (inputs.abs() <= 1).to(inputs.dtype)


def tent(inputs: Tensor) -> Tensor:
    """Return 2 - 2|x| on (-1, 1) and 0 elsewhere: the derivative of Bi-Real Net's ApproxSign."""
    return (2 - 2 * inputs.abs()).clamp_min(0)


class _SurrogateSign(Function):
    """Forward: sign. Backward: dL/dx = dL/db f(x)."""

    @staticmethod
    def forward(ctx: Context[Surrogate], inputs: Tensor, slope: Surrogate) -> Tensor:
        ctx.save_for_backward(inputs)
        ctx.kept = slope
        return sign(inputs)

    @staticmethod
    def backward(ctx: Context[Surrogate], *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (inputs,) = ctx.saved_tensors
        return grad_outputs[0] * ctx.kept(inputs), None


@dataclass(frozen=True)
class SurrogateSign:
    """A sign whose gradient is that of another function; two are equal, and share signs, where their slopes are.

    Attributes:
        slope: The other function's derivative f, which maps x to its own shape.
    """

    slope: Surrogate

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return sign(x) of `inputs`, the same shape; dL/dx = dL/db f(x)."""
        return apply(_SurrogateSign, inputs, self.slope)


tent_sign = SurrogateSign(tent)  # with ApproxSign's gradient 2 - 2|x| on (-1, 1) (Bi-Real Net, ECCV 2018)


class _Clipped(Function):
    """Forward: any two-valued draw. Backward: dL/dx = dL/db * 1[|x| <= 1]."""

    @staticmethod
    def forward(ctx: Context, inputs: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        ctx.save_for_backward(inputs)
        return draw(inputs)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (inputs,) = ctx.saved_tensors
        bound = 1 + torch.finfo(inputs.dtype).eps  # the kernel's bounds are exclusive: the next float after 1
        return torch.ops.aten.hardtanh_backward(grad_outputs[0], inputs, -bound, bound), None


class _Identity(Function):
    """Forward: any two-valued draw. Backward: dL/dx = dL/db."""

    @staticmethod
    def forward(ctx: Context, inputs: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        del ctx
        return draw(inputs)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        del ctx
        return grad_outputs[0], None


def straight_through(inputs: Tensor, signs: Tensor) -> Tensor:
    """Return `signs` with gradient 1 to `inputs`, whatever made them: an attack's way around gradients that are 0.

    References:
        Backward pass differentiable approximation: Athalye et al., "Obfuscated Gradients Give a False Sense of Security", ICML
        2018, arXiv 1802.00420, section 4.1.
    """
    return apply(_Identity, inputs, lambda _: signs.detach())


def clipped_sign(inputs: Tensor) -> Tensor:
    """Sign with the clipped straight-through gradient 1[|x| <= 1] (BinaryNet's activations, XNOR-Net)."""
    return apply(_Clipped, inputs, sign)


def stochastic_clipped_sign(inputs: Tensor) -> Tensor:
    """Random sign (`draw_sign`) with the gradient 1[|x| <= 1]; its mean is clip(x, -1, 1), hence that gradient."""
    return apply(_Clipped, inputs, draw_sign)


def identity_sign(inputs: Tensor) -> Tensor:
    """Sign with gradient 1 (BinaryNet's weights, whose latent values are clipped after the step instead)."""
    return apply(_Identity, inputs, sign)


def stochastic_identity_sign(inputs: Tensor) -> Tensor:
    """Random sign (`draw_sign`) with gradient 1 (BinaryNet's stochastic weights)."""
    return apply(_Identity, inputs, draw_sign)


# Functions of their input alone, so that layers that read one tensor may share the result; random draws never are.
SHAREABLE: frozenset[Estimator] = frozenset({clipped_sign, identity_sign, tent_sign})
