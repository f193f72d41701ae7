"""ReCU: standardised weights whose tails are clamped.

Forward: w~ = 2 sqrt(2) (w - mean) / sqrt(var + 1e-5) per filter; the rectified clamp unit w- = clamp(w~, -Q, Q); b = sign(w-),
which is sign(w - mean). y = alpha conv(pad(sign(x)), b), alpha (Co,) a learnt factor per output channel, drawn from U(0, 1);
where a batch norm follows, as in the authors' networks, that takes any factor out.
Q is the tau quantile of a Laplace distribution with the scale of the layer: Q = -mean |w~| ln(2 - 2 tau), the mean over the
layer, a constant of the backward pass.

Backward, weights: dL/dw~ = dL/db 1[|w~| <= Q], on to w through mean and variance. The clamp never changes a sign. What it
changes is the gradient: weights in the tails, which hardly ever flip, get none of their own, and move only with mean and
variance of their filter.
Activations, in training: with sigma = sqrt(var + 1e-5) of x over a sample (all channels and positions), u = x / sigma and
h = dL/db max(0, 2 - 2|u|):
dL/dx_j = (h_j - (x_j - mean) sum_i h_i x_i / ((m - 1) sigma^2)) / sigma, with m values in a sample.
sigma is positive, so sign(u) = sign(x), and sign(x) is what is computed. In evaluation, where only an attack asks for
gradients, dL/dx = dL/db max(0, 2 - 2|x|), as in the authors' code, which normalises in training only.

Schedule: tau = A e^(epoch / epochs) + B, from 0.85 to 0.99, set at the beginning of each of the epochs in which both operands are
binary. The entropy of w~ grows with tau, the error of binarization falls: hence a compromise that moves.

Differences: none in the equations. A filter of one weight, whose variance is undefined, is taken as it is. alpha, a vector,
has no weight decay, as no vector has here. The authors' SGD has plain momentum, ours Nesterov's, and their ImageNet recipes
(200 epochs, weight decay 1e-4, batch size 512; or in two stages like ReActNet) are left out. The padding is -1 and
sign(0) = +1, where the code has 0 for both.

References:
    Xu, Lin, Liu, Chen, Shao, Gao, Tian, Ji, "ReCU: Reviving the Dead Weights in Binary Neural Networks", ICCV 2021, arXiv
    2103.12369. Code: github.com/z-hXu/ReCU.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.annealing import AnnealedState
from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import METHODS, Inert, Method, MethodFacts, MethodSettings, MethodState
from nas_service.binarization.sign import identity_sign, sign, tent, tent_sign
from nas_service.recipes.recipe import OptimizerName
from search_spaces.cost import ConvShape, Precision

_EPSILON = 1e-5  # added to variances
_WHOLE = (1, 2, 3)  # the dimensions of a filter, and of a sample


class RecuSettings(MethodSettings):
    """Settings of ReCU."""

    first_quantile: float = Field(0.85, gt=0.5, lt=1, description="tau of the first epoch.")
    last_quantile: float = Field(0.99, gt=0.5, lt=1, description="tau after the last epoch.")

    def quantile(self, progress: float) -> float:
        """Return tau = A e^progress + B."""
        return self.first_quantile + (self.last_quantile - self.first_quantile) * math.expm1(progress) / math.expm1(1)


def _sample_figures(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and sigma^2 of every sample of (N, C, H, W), (N, 1, 1, 1)."""
    correction = 1 if inputs[0].numel() > 1 else 0
    variance, mean = torch.var_mean(inputs, dim=_WHOLE, correction=correction, keepdim=True)
    return mean, variance + _EPSILON


def normalised_tent(inputs: Tensor) -> Tensor:
    """Return max(0, 2 - 2|u|) / sigma of `inputs` (N, C, H, W), for u = x / sigma.

    That is all of d sign(x) / dx where sum_i h_i x_i = 0, which inputs symmetric about 0 and an even dL/db have.
    """
    _, variance = _sample_figures(inputs)
    inverse = variance.rsqrt()
    return tent(inputs * inverse) * inverse


class _NormalisedTentSign(Function):
    """Forward: sign. Backward: through the tent at u = x / sigma, and through u to x."""

    @staticmethod
    def forward(ctx: Context, inputs: Tensor) -> Tensor:
        ctx.save_for_backward(inputs)
        return sign(inputs)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> Tensor:
        (inputs,) = ctx.saved_tensors
        mean, variance = _sample_figures(inputs)
        inverse = variance.rsqrt()
        passed = grad_outputs[0] * tent(inputs * inverse)
        degrees = max(1, inputs[0].numel() - 1)
        through_sigma = (passed * inputs).sum(_WHOLE, keepdim=True) / (degrees * variance)
        gradient: Tensor = (passed - (inputs - mean) * through_sigma) * inverse
        return gradient


def normalised_tent_sign(inputs: Tensor) -> Tensor:
    """Return sign(x) of `inputs` (N, C, H, W) with the gradient of tent_sign(x / sigma), sigma of each sample."""
    return apply(_NormalisedTentSign, inputs)


def standardise(weight: Tensor) -> Tensor:
    """Return w~ of `weight` (Co, Ci, k, k): mean 0 and standard deviation 2 sqrt(2) in every filter, differentiable."""
    if weight[0].numel() == 1:
        return weight
    variance, mean = torch.var_mean(weight, dim=_WHOLE, keepdim=True)
    return (weight - mean) * ((variance + _EPSILON).rsqrt() * 8**0.5)


class NormalisedConv2d(BinaryConv2d):
    """y = alpha conv(sign(x), b): a learnt factor per channel, and the gradient of normalised inputs.

    Attributes:
        alpha: Learnt factors, (Co,).
    """

    def __init__(self, shape: ConvShape) -> None:
        """Create latent weights and random factors."""
        super().__init__(shape, weight_sign=identity_sign, activation_sign=normalised_tent_sign)
        self.alpha = nn.Parameter(torch.rand(shape.out_channels))

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x) of `inputs` (N, Ci, H, W); its gradient is that of normalised inputs only while training."""
        return self.activation_sign(inputs) if self.training else tent_sign(inputs)

    def sign_key(self) -> Hashable | None:
        """Return whether the gradient is that of normalised inputs."""
        return self.training

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha."""
        del inputs
        return times(outputs, self.alpha)


class RecuConv2d(NormalisedConv2d):
    """y = alpha conv(sign(x), sign(w~)).

    Attributes:
        quantile: tau, the share of a Laplace distribution below Q.
    """

    def __init__(self, shape: ConvShape, quantile: float) -> None:
        """Create latent weights and random factors."""
        super().__init__(shape)
        self.quantile = quantile

    def clamp_at(self, quantile: float) -> None:
        """Clamp with tau = `quantile` from now on."""
        self.quantile = quantile

    def binary_weight(self) -> Tensor:
        """Return sign(w~), the shape of `weight`, with the gradient of the clamp."""
        standard = standardise(self.weight)
        if not self.training:
            return sign(standard)
        bound = standard.detach().abs().mean() * -math.log(2 - 2 * self.quantile)
        return self.weight_sign(standard.clamp(-bound, bound))


@METHODS.register("recu")
class Recu(Method[RecuConv2d]):
    """ReCU standardises every filter and takes the gradient away from weights in its tails, which hardly ever flip.

    Example:
        >>> layer = Recu.from_settings({})(ConvShape(in_channels=4, out_channels=2, kernel_size=3))
        >>> [round(float(spread), 1) for spread in standardise(layer.weight.detach()).std((1, 2, 3))]  # 2 sqrt(2)
        [2.8, 2.8]
    """

    layer_type = RecuConv2d
    summary = "signs of standardised weights whose tails get no gradient, times a learnt factor per channel"
    reference = "Xu et al., ICCV 2021, arXiv 2103.12369"
    settings_model = RecuSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 600,
        "batch_size": 256,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "warmup_epochs": 5.0,
    }
    inert: ClassVar = (
        Inert(
            "alpha",
            "The batch norm behind the convolution takes any factor out, as in the authors' networks.",
            (OptimizerName.SGD,),
        ),
    )
    settings: RecuSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel; tau is a constant of compiled code."""
        moves = self.settings.first_quantile != self.settings.last_quantile
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1, scales_per_output=1),
            surrogate=normalised_tent,
            changes_every_epoch="recu moves its quantile with every epoch" if moves else None,
        )

    def __call__(self, shape: ConvShape) -> RecuConv2d:
        """Make a layer."""
        return RecuConv2d(shape, self.settings.first_quantile)

    def start(self, network: nn.Module) -> MethodState[RecuConv2d]:
        """Return the schedule."""
        return AnnealedState(self.layers_of(network), "quantile", self.settings.quantile, RecuConv2d.clamp_at)

    def freeze(self, layer: RecuConv2d) -> FrozenConv:
        """Pack the signs of the standardised weights; keep alpha."""
        bits = pack_signs(layer.binary_weight().detach())
        return FrozenConv(layer.shape, bits, layer.alpha.detach(), layer.pad_value)
