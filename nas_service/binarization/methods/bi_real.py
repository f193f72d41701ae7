"""Bi-Real Net: a tighter gradient of the activations' sign, and filters as large as the latent ones.

Forward: y = alpha (conv(pad(sign(x)), sign(W))), alpha = mean |W| over a filter, (Co,): the effective weights are
W^ = alpha sign(W). A shortcut around every binary convolution carries real values past its sign. That shortcut is the
network's, not the method's: the templates `double-norm`, `bi-real` and `shortcut` have it, `plain` does not.

Backward: activations dL/dx = dL/db (2 - 2|x|) on (-1, 1) and 0 elsewhere, the derivative of the piecewise quadratic ApproxSign.
Its integral over [-1, 1] is 2, the height of the sign's step. Weights dL/dW = dL/dW^ 1[|W| <= 1]: W^ is differentiated
as if it were clip(W, -1, 1), and alpha is a constant. Since alpha is applied after the convolution, dL/dsign(W) arrives as
alpha dL/dW^ and is divided by alpha again.

Differences: the paper derives a magnitude-aware gradient, with alpha as a factor, dL/dW = alpha dL/dW^ 1[|W| <= 1];
the authors' PyTorch code, which trained the published models from scratch, has alpha in the forward pass only. The code's
gradient is the default, the paper's is `magnitude_aware_gradient`. A filter of zeros only has alpha = 0 and gets no
gradient. The padding is -1 and sign(0) = +1, where the code has 0 for both. The first recipe of the paper, a network
pretrained with ReLU and then clip, is not offered: the later one from scratch is `paper_recipe`.

References:
    Liu, Wu, Luo, Yang, Liu, Cheng, "Bi-Real Net: Enhancing the Performance of 1-bit CNNs with Improved Representational
    Capability and Advanced Training Algorithm", ECCV 2018, arXiv 1808.00278; IJCV 2020, arXiv 1811.01335. Code:
    github.com/liuzechun/Bi-Real-net.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings
from nas_service.binarization.sign import clipped_sign, sign, tent, tent_sign, window
from search_spaces.cost import ConvShape, Precision


class BiRealSettings(MethodSettings):
    """Settings of Bi-Real Net."""

    magnitude_aware_gradient: bool = Field(
        default=False,
        description="Keep alpha as a factor of the weights' gradient, as the paper derives it; the code leaves it out.",
    )


class _SignOfScaled(Function):
    """Forward: b = sign(W). Backward: dL/dW = dL/dW^ 1[|W| <= 1], where dL/db = alpha dL/dW^ comes in."""

    @staticmethod
    def forward(ctx: Context, weight: Tensor, magnitude: Tensor) -> Tensor:
        ctx.save_for_backward(weight, magnitude)
        return sign(weight)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        weight, magnitude = ctx.saved_tensors
        divisor = magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny).view(-1, 1, 1, 1)
        return grad_outputs[0] / divisor * window(weight), None


def sign_of_scaled(weight: Tensor, magnitude: Tensor) -> Tensor:
    """Return sign(W) for a convolution whose outputs are multiplied with `magnitude` (Co,) afterwards.

    The gradient that reaches W is that of W^ = magnitude sign(W), where |W| <= 1.
    """
    return apply(_SignOfScaled, weight, magnitude)


class BiRealConv2d(BinaryConv2d):
    """y = alpha conv(sign(x), sign(W)), alpha a constant of the backward pass."""

    def __init__(self, shape: ConvShape, *, magnitude_aware_gradient: bool = False) -> None:
        """Create latent weights."""
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=tent_sign)
        self.magnitude_aware_gradient = magnitude_aware_gradient

    def alpha(self) -> Tensor:
        """Return mean |W| per filter, (Co,), without gradient."""
        return self.weight.detach().abs().mean(dim=(1, 2, 3))

    def binary_weight(self) -> Tensor:
        """Return sign(W), the shape of `weight`, with the gradient of the module's text."""
        return self.weight_sign(self.weight) if self.magnitude_aware_gradient else sign_of_scaled(self.weight, self.alpha())

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha."""
        del inputs
        return times(outputs, self.alpha())


@METHODS.register("bi-real")
class BiReal(Method[BiRealConv2d]):
    """Bi-Real Net takes signs times the mean magnitude of a filter, with a gradient that is largest where signs turn.

    Example:
        >>> slope = BiReal.from_settings({}).facts.surrogate
        >>> slope(torch.tensor([-2.0, 0.0, 0.5])).tolist()
        [0.0, 2.0, 1.0]
    """

    layer_type = BiRealConv2d
    summary = "signs times the mean magnitude of each filter, a constant of the backward pass; tent-shaped activation gradient"
    reference = "Liu et al., ECCV 2018, arXiv 1808.00278"
    settings_model = BiRealSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 256,
        "batch_size": 512,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "schedule": "linear",
        "label_smoothing": 0.1,
    }
    settings: BiRealSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel."""
        return MethodFacts(Precision(weight_bits=1, activation_bits=1, scales_per_output=1), surrogate=tent)

    def __call__(self, shape: ConvShape) -> BiRealConv2d:
        """Make a layer."""
        return BiRealConv2d(shape, magnitude_aware_gradient=self.settings.magnitude_aware_gradient)

    def freeze(self, layer: BiRealConv2d) -> FrozenConv:
        """Pack the signs; keep alpha."""
        return FrozenConv(layer.shape, pack_signs(sign(layer.weight)), layer.alpha(), layer.pad_value)
