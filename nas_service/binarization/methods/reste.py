"""ReSTE: the sign is differentiated as if it were a power function, which turns from the identity towards the sign.

Forward: y = alpha conv(pad(sign(x)), sign(W)), alpha = mean |W| over the layer, one number.

Backward, for weights and activations alike: f(v) = sign(v) |v|^(1/o) stands for the sign, so dL/dv = dL/dsign(v) f'(v) with
f'(v) = (1/o) |v|^((1 - o)/o) where m < |v| <= t,
        m^((1 - o)/o)         where |v| <= m,
        0                     elsewhere.
f' has a pole at 0: up to m the slope of the chord from 0 to f(m) stands for it, the largest gradient there is. With o = 1 f' is
1[|v| <= t], the clipped straight-through estimator; the larger o, the closer f is to the sign and the further gradients
diverge, which is the compromise the paper is about. alpha is differentiated too: with W^ = alpha sign(W), g = dL/dW^ and n
weights in the layer, dL/dW_i = alpha g_i f'(W_i) + (1/n) sign(W_i) sum_j g_j sign(W_j).

Schedule: o = 1 + (o_end - 1) (1 - cos((pi / 2) epoch / epochs)), slow in the beginning, set at the beginning of each of the
epochs in which both operands are binary. In evaluation, where only an attack asks for gradients, o = 1: what an attack sees
does not depend on how long a network was trained.

Constants: o_end = 3, t = 1.5, m = 0.1. Latent weights are mostly smaller than m, so what o changes for them is nearly a common
factor, from 1 to 4.6; activations, which come from a batch norm, see the curve.

Differences: t, m and the schedule are those of the authors' code, of which t and m are constants there and settings here.
The authors put ReLU between convolution and batch norm; the activation here is the template's. alpha shrinks dL/dW to a few per
cent: with SGD, which the authors run for 1000 epochs, hardly a sign flips in a short training (0.4 % in the first epoch on
digits). So dL/dW is divided by the alpha of fresh weights, 1 / (2 sqrt(Ci k k)), before decay is added, unless
`restored_gradient` is false; Adam's step does not depend on it. Their SGD has plain momentum, ours Nesterov's, and their ImageNet
recipe (250 epochs, batch size 750) is left out. The padding is -1 and sign(0) = +1, where the code has 0 for both.

References:
    Wu, Zheng, Liu, Zheng, "Estimator Meets Equilibrium Perspective: A Rectified Straight Through Estimator for Binary Neural
    Networks Training", ICCV 2023, arXiv 2308.06689. Code: github.com/DravenALG/ReSTE.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.annealing import AnnealedConv2d, AnnealedState
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import times
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, MethodState, ParameterRule
from nas_service.binarization.sign import sign
from search_spaces.cost import ConvShape, Precision


@dataclass(frozen=True)
class PowerSlope:
    """The slope f' that stands for the sign's: that of f(v) = sign(v) |v|^(1/o).

    Attributes:
        power: o, 1 or more.
        reach: t.
        core: m, less than t.
    """

    power: float
    reach: float
    core: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return f' of `inputs` as the module's text has it, the same shape."""
        magnitude = inputs.abs()
        chord = magnitude.clamp_min(self.core).pow((1 - self.power) / self.power)
        return torch.where(magnitude <= self.core, chord, chord / self.power) * (magnitude <= self.reach)


class ResteSettings(MethodSettings):
    """Settings of ReSTE."""

    last_power: float = Field(3.0, ge=1, le=100, description="o_end: o after the last epoch; the first has 1.")
    reach: float = Field(1.5, ge=1, le=100, description="t: the largest magnitude that gets a gradient.")
    core: float = Field(0.1, gt=0, lt=1, description="m: up to it the gradient is constant, the largest there is.")
    restored_gradient: bool = Field(
        default=True,
        description="Whether weights step as if alpha had been 1, so that signs flip with SGD; false: as published, for the "
        "preset paper above all.",
    )

    def power(self, progress: float) -> float:
        """Return o = 1 + (o_end - 1) (1 - cos(pi / 2 progress))."""
        return 1 + (self.last_power - 1) * (1 - math.cos(math.pi / 2 * progress))

    def slope(self, power: float) -> PowerSlope:
        """Return f' with o = `power`."""
        return PowerSlope(power, self.reach, self.core)


class ResteConv2d(AnnealedConv2d):
    """y = alpha conv(sign(x), sign(W)), one alpha for the layer."""

    def alpha(self) -> Tensor:
        """Return mean |W| of the layer, a differentiable scalar."""
        return self.weight.abs().mean()

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha."""
        del inputs
        return times(outputs, self.alpha())


@METHODS.register("reste")
class Reste(Method[ResteConv2d]):
    """ReSTE differentiates signs as if they were a power function, which turns from the identity towards the sign.

    Example:
        >>> slope = Reste.from_settings({"reach": 1.5}).facts.surrogate  # of the first epoch: that of the identity, cut off
        >>> slope(torch.tensor([0.0, 1.5, 1.6])).tolist()
        [1.0, 1.0, 0.0]
    """

    layer_type = ResteConv2d
    summary = "signs times the layer's mean magnitude; a power function's gradient, from identity towards the sign's own"
    reference = "Wu et al., ICCV 2023, arXiv 2308.06689"
    settings_model = ResteSettings
    revision = 2  # the factor on the gradient of W
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 1000,
        "batch_size": 256,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 1e-4,
        "schedule": "cosine",
        "warmup_epochs": 5.0,
    }
    settings: ResteSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale a layer; o is a constant of compiled code."""
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1, scales_per_layer=1),
            surrogate=self.settings.slope(1.0),
            changes_every_epoch="reste moves its power with every epoch" if self.settings.last_power != 1 else None,
        )

    def __call__(self, shape: ConvShape) -> ResteConv2d:
        """Make a layer."""
        return ResteConv2d(shape, self.settings.slope(1.0))

    def rules(self, layer: ResteConv2d) -> dict[str, ParameterRule]:
        """Let W step as if alpha had been 1, if asked."""
        factor = 2 * layer.shape.fan_in**0.5 if self.settings.restored_gradient else 1.0
        return {"weight": ParameterRule(gradient_factor=factor)}

    def start(self, network: nn.Module) -> MethodState[ResteConv2d]:
        """Return the schedule."""

        def move(layer: ResteConv2d, power: float) -> None:
            layer.follow(self.settings.slope(power))

        return AnnealedState(self.layers_of(network), "power", self.settings.power, move)

    def freeze(self, layer: ResteConv2d) -> FrozenConv:
        """Pack the signs; keep alpha."""
        return FrozenConv(
            layer.shape, pack_signs(sign(layer.weight.detach())), layer.alpha().detach().view(1).float(), layer.pad_value
        )
