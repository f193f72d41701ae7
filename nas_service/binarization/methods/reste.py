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
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.annealing import AnnealedState
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, binary_layers, times
from nas_service.binarization.method import METHODS, Method, MethodSettings, MethodState, ParameterRule
from nas_service.binarization.sign import Surrogate, sign
from search_spaces.cost import ConvShape, Precision


class ResteSettings(MethodSettings):
    """Settings of ReSTE."""

    last_power: float = Field(3.0, ge=1, le=100, description="o_end: o after the last epoch; the first has 1.")
    reach: float = Field(1.5, ge=1, le=100, description="t: the largest magnitude that gets a gradient.")
    core: float = Field(0.1, gt=0, lt=1, description="m: up to it the gradient is constant, the largest there is.")
    restored_gradient: bool = Field(
        default=True, description="Whether weights step as if alpha had been 1, so that signs flip with SGD; false: as published."
    )


@dataclass(frozen=True)
class PowerSign:
    """The sign, differentiated as f(v) = sign(v) |v|^(1/o).

    Attributes:
        power: o, 1 or more.
        reach: t.
        core: m, less than t.
    """

    power: float
    reach: float
    core: float

    def slope(self, inputs: Tensor) -> Tensor:
        """Return f' of `inputs` as the module's text has it, the same shape."""
        magnitude = inputs.abs()
        chord = magnitude.clamp_min(self.core).pow((1 - self.power) / self.power)
        return torch.where(magnitude <= self.core, chord, chord / self.power) * (magnitude <= self.reach)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return sign(v) of `inputs`, the same shape."""
        outputs: Tensor = _PowerSign.apply(inputs, self)  # type: ignore[no-untyped-call]  # torch does not annotate apply
        return outputs


class _PowerSign(torch.autograd.Function):
    """Forward: sign. Backward: dL/dv = dL/db f'(v)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, how: PowerSign) -> Tensor:  # noqa: ANN401 - torch's context has no public type
        ctx.save_for_backward(inputs)
        ctx.how = how
        return sign(inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - as above
        (inputs,) = ctx.saved_tensors
        return grad_outputs[0] * ctx.how.slope(inputs), None


class ResteConv2d(BinaryConv2d):
    """y = alpha conv(sign(x), sign(W)), one alpha for the layer."""

    def __init__(self, shape: ConvShape, first: PowerSign) -> None:
        """Create latent weights; both operands have the estimator `first` until `follow` gives another."""
        super().__init__(shape, weight_sign=first, activation_sign=first)
        self._first = first

    def follow(self, estimator: PowerSign) -> None:
        """Train with `estimator` from now on."""
        self.weight_sign = self.activation_sign = estimator

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x) of `inputs` (N, Ci, H, W); its gradient follows the schedule only while training."""
        return self.activation_sign(inputs) if self.training else self._first(inputs)

    def sign_key(self) -> Hashable | None:
        """Return the estimator."""
        return self.activation_sign if self.training else self._first

    def alpha(self) -> Tensor:
        """Return mean |W| of the layer, a differentiable scalar."""
        return self.weight.abs().mean()

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha."""
        del inputs
        return times(outputs, self.alpha())


class ResteState(AnnealedState):
    """Moves o of a network's layers from epoch to epoch."""

    def __init__(self, layers: Sequence[BinaryConv2d], settings: ResteSettings) -> None:
        """Begin with o = 1."""
        super().__init__(layers)
        self._settings = settings
        self._power = 1.0

    def anneal(self, progress: float) -> None:
        """Set o = 1 + (o_end - 1) (1 - cos(pi / 2 progress))."""
        self._power = 1 + (self._settings.last_power - 1) * (1 - math.cos(math.pi / 2 * progress))
        estimator = PowerSign(self._power, self._settings.reach, self._settings.core)
        for layer in self.layers:
            assert isinstance(layer, ResteConv2d)  # noqa: S101 - for the type checker; only this method makes its layers
            layer.follow(estimator)

    def metrics(self) -> dict[str, float]:
        """Return o."""
        return {"power": self._power}


@METHODS.register("reste")
class Reste(Method):
    """ReSTE; see the module's text."""

    summary = "signs times the layer's mean magnitude; a power function's gradient, from identity towards the sign's own"
    reference = "Wu et al., ICCV 2023, arXiv 2308.06689"
    settings_model = ResteSettings
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
    def precision(self) -> Precision:
        """One bit each, one scale a layer."""
        return Precision(weight_bits=1, activation_bits=1, scales_per_layer=1)

    @property
    def surrogate(self) -> Surrogate | None:
        """1[|x| <= t], f' of the first epoch."""
        return self._first().slope

    @property
    def changes_every_epoch(self) -> str | None:
        """Why compiled code serves one epoch: o is a constant of it."""
        return "reste moves its power with every epoch" if self.settings.last_power != 1 else None

    def _first(self) -> PowerSign:
        return PowerSign(1.0, self.settings.reach, self.settings.core)

    def __call__(self, shape: ConvShape) -> BinaryConv2d:
        """Make a layer."""
        return ResteConv2d(shape, self._first())

    def rules(self, layer: BinaryConv2d) -> dict[str, ParameterRule]:
        """Let W step as if alpha had been 1, if asked."""
        factor = 2 * layer.shape.fan_in**0.5 if self.settings.restored_gradient else 1.0
        return {"weight": ParameterRule(gradient_factor=factor)}

    def start(self, network: nn.Module) -> MethodState:
        """Return the schedule."""
        return ResteState(binary_layers([network]), self.settings)

    def freeze(self, layer: BinaryConv2d) -> FrozenConv:
        """Pack the signs; keep alpha."""
        assert isinstance(layer, ResteConv2d)  # noqa: S101 - for the type checker; only this method makes its layers
        return FrozenConv(
            layer.shape, pack_signs(sign(layer.weight.detach())), layer.alpha().detach().view(1).float(), layer.pad_value
        )
