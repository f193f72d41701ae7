"""IR-Net: balanced weights whose signs carry the most information, and a gradient that sharpens while training.

Forward, Libra parameter binarization: w^ = (w - mean) / std per filter (n = Ci k k weights, unbiased std); the effective
weights are 2^s sign(w^), the integer s = round(log2(mean |w^|)) per filter, so the scale is a shift. y = 2^s (conv(pad(sign(x)),
sign(w^))). Centred weights have about as many +1 as -1, where the entropy of a bit is largest.

Backward, error decay estimator, for weights and activations alike: dL/dv = dL/dsign(v) k t (1 - tanh(t v)^2) with v = x or
v = w^, k = max(1/t, 1). So the slope at 0 is max(1, t): near 1 everywhere in the beginning, when every weight should be
able to move, and close to the sign's own derivative in the end. The gradient goes on from w^ to w through mean and std. s is a
constant; dL/dsign(w^) = 2^s dL/dW^ with W^ the effective weights.

Schedule: t = T_min (T_max / T_min)^(epoch / epochs), set at the beginning of each of the epochs in which both operands
are binary. In evaluation, where only an attack asks for gradients, the first t is used: what an attack sees does not
depend on how long a network was trained.

Differences: T_min is the code's 1e-3; the paper's own may be larger, hence a setting. A filter of one weight is taken as it
is, and one of equal weights is centred only: their std is undefined or 0. Where mean |w^| is 0 the scale is 1. The authors
put Hardtanh where other networks have ReLU; the activation here is the template's, a PReLU. Their SGD has plain momentum, ours
Nesterov's, and their ImageNet recipe is left out. The padding is -1 and sign(0) = +1, where the code has 0 for both.

References:
    Qin, Gong, Liu, Shen, Wei, Yu, Song, "Forward and Backward Information Retention for Accurate Binary Neural Networks",
    CVPR 2020, arXiv 1909.10788. Code: github.com/htqin/IR-Net.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.annealing import AnnealedConv2d, AnnealedState
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import times
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, MethodState
from search_spaces.cost import ConvShape, Precision

_FILTER = (1, 2, 3)  # the dimensions of one


class IrNetSettings(MethodSettings):
    """Settings of IR-Net."""

    first_sharpness: float = Field(1e-3, gt=0, le=1, description="T_min: t of the first epoch.")
    last_sharpness: float = Field(10.0, gt=0, le=1000, description="T_max: t after the last epoch.")

    def sharpness(self, progress: float) -> float:
        """Return t = T_min (T_max / T_min)^progress."""
        rise: float = (self.last_sharpness / self.first_sharpness) ** progress
        return self.first_sharpness * rise


@dataclass(frozen=True)
class DecayedSlope:
    """The slope of the error decay estimator.

    Attributes:
        sharpness: t.
    """

    sharpness: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return k t (1 - tanh(t x)^2) of `inputs`, the same shape, where k t = max(1/t, 1) t = max(1, t)."""
        return max(1.0, self.sharpness) * (1 - (self.sharpness * inputs).tanh().square())


def balance(weight: Tensor) -> Tensor:
    """Return w^ of `weight` (Co, Ci, k, k): mean 0 and standard deviation 1 in every filter, differentiable."""
    if weight[0].numel() == 1:
        return weight
    deviation, mean = torch.std_mean(weight, dim=_FILTER, keepdim=True)
    return (weight - mean) / torch.where(deviation > 0, deviation, 1)


class IrNetConv2d(AnnealedConv2d):
    """y = 2^s conv(sign(x), sign(w^))."""

    def sharpen(self, sharpness: float) -> None:
        """Use t = `sharpness` from now on."""
        self.follow(DecayedSlope(sharpness))

    def binary_weight(self) -> Tensor:
        """Return sign(w^), the shape of `weight`."""
        return self.weight_sign(balance(self.weight))

    def shift(self) -> Tensor:
        """Return 2^s per filter, (Co,), without gradient."""
        magnitude = balance(self.weight.detach()).abs().mean(dim=_FILTER)
        return torch.where(magnitude > 0, magnitude, 1).log2().round().exp2()

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with 2^s: exact."""
        del inputs
        return times(outputs, self.shift())


@METHODS.register("ir-net")
class IrNet(Method[IrNetConv2d]):
    """IR-Net balances every filter before its signs are taken, and sharpens the signs' gradient from epoch to epoch.

    Example:
        >>> layer = IrNet.from_settings({})(ConvShape(in_channels=8, out_channels=4, kernel_size=3))
        >>> exponents = layer.shift().log2()  # the scale of every filter is a power of two
        >>> torch.equal(exponents, exponents.round())
        True
    """

    layer_type = IrNetConv2d
    summary = "signs of balanced weights times a power of two; a gradient that sharpens from identity to the sign's own"
    reference = "Qin et al., CVPR 2020, arXiv 1909.10788"
    settings_model = IrNetSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 400,
        "batch_size": 128,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 1e-4,
        "schedule": "cosine",
    }
    settings: IrNetSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel; t is a constant of compiled code."""
        annealed = self.settings.first_sharpness != self.settings.last_sharpness
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1, scales_per_output=1),
            surrogate=DecayedSlope(self.settings.first_sharpness),
            changes_every_epoch="ir-net sharpens its gradients with every epoch" if annealed else None,
        )

    def __call__(self, shape: ConvShape) -> IrNetConv2d:
        """Make a layer."""
        return IrNetConv2d(shape, DecayedSlope(self.settings.first_sharpness))

    def start(self, network: nn.Module) -> MethodState[IrNetConv2d]:
        """Return the schedule."""
        return AnnealedState(self.layers_of(network), "sharpness", self.settings.sharpness, IrNetConv2d.sharpen)

    def freeze(self, layer: IrNetConv2d) -> FrozenConv:
        """Pack the signs of the balanced weights; keep 2^s."""
        return FrozenConv(layer.shape, pack_signs(layer.binary_weight().detach()), layer.shift(), layer.pad_value)
