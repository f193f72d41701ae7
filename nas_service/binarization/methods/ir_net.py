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
put Hardtanh where other networks have ReLU; the activation here is the template's, whose PReLU follows the convolution
without a batch norm between them, where Hardtanh would be flat almost everywhere. Their SGD has plain momentum, ours
Nesterov's, and their ImageNet recipe is left out. The padding is -1 and sign(0) = +1, where the code has 0 for both.

References:
    Qin, Gong, Liu, Shen, Wei, Yu, Song, "Forward and Backward Information Retention for Accurate Binary Neural Networks",
    CVPR 2020, arXiv 1909.10788. Code: github.com/htqin/IR-Net.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.annealing import AnnealedState
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, binary_layers, times
from nas_service.binarization.method import METHODS, Method, MethodSettings, MethodState
from nas_service.binarization.sign import Estimator, Surrogate, sign
from search_spaces.cost import ConvShape, Precision

_FIRST_SHARPNESS = 1e-3
_FILTER = (1, 2, 3)  # the dimensions of one


class IrNetSettings(MethodSettings):
    """Settings of IR-Net."""

    first_sharpness: float = Field(_FIRST_SHARPNESS, gt=0, le=1, description="T_min: t of the first epoch.")
    last_sharpness: float = Field(10.0, gt=0, le=1000, description="T_max: t after the last epoch.")


def decayed_gradient(inputs: Tensor, sharpness: float) -> Tensor:
    """Return k t (1 - tanh(t x)^2), where k t = max(1/t, 1) t = max(1, t)."""
    return max(1.0, sharpness) * (1 - (sharpness * inputs).tanh().square())


class _DecayedSign(torch.autograd.Function):
    """Forward: sign. Backward: dL/dx = dL/db k t (1 - tanh(t x)^2)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, sharpness: float) -> Tensor:  # noqa: ANN401 - torch's context has no public type
        ctx.save_for_backward(inputs)
        ctx.sharpness = sharpness
        return sign(inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401 - as above
        (inputs,) = ctx.saved_tensors
        return grad_outputs[0] * decayed_gradient(inputs, ctx.sharpness), None


def decayed_sign(inputs: Tensor, sharpness: float) -> Tensor:
    """Return sign(x) with the error decay estimator's gradient for t = `sharpness`."""
    outputs: Tensor = _DecayedSign.apply(inputs, sharpness)  # type: ignore[no-untyped-call]  # torch does not annotate apply
    return outputs


def balance(weight: Tensor) -> Tensor:
    """Return w^ of `weight` (Co, Ci, k, k): mean 0 and standard deviation 1 in every filter, differentiable."""
    if weight[0].numel() == 1:
        return weight
    deviation, mean = torch.std_mean(weight, dim=_FILTER, keepdim=True)
    return (weight - mean) / torch.where(deviation > 0, deviation, 1)


class IrNetConv2d(BinaryConv2d):
    """y = 2^s conv(sign(x), sign(w^))."""

    def __init__(self, shape: ConvShape, first_sharpness: float) -> None:
        """Create latent weights; the estimators are those of the first epoch until `sharpen` says otherwise."""
        first: Estimator = partial(decayed_sign, sharpness=first_sharpness)
        super().__init__(shape, weight_sign=first, activation_sign=first)
        self._evaluation_sign = first
        self._first = self._sharpness = first_sharpness

    def sharpen(self, sharpness: float) -> None:
        """Use t = `sharpness` from now on."""
        self._sharpness = sharpness
        self.weight_sign = self.activation_sign = partial(decayed_sign, sharpness=sharpness)

    def binary_weight(self) -> Tensor:
        """Return sign(w^), the shape of `weight`."""
        return self.weight_sign(balance(self.weight))

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x); its gradient follows the schedule only while training."""
        return self.activation_sign(inputs) if self.training else self._evaluation_sign(inputs)

    def sign_key(self) -> Hashable | None:
        """Return t, all that the sign's gradient depends on."""
        return self._sharpness if self.training else self._first

    def shift(self) -> Tensor:
        """Return 2^s per filter, (Co,), without gradient."""
        magnitude = balance(self.weight.detach()).abs().mean(dim=_FILTER)
        return torch.where(magnitude > 0, magnitude, 1).log2().round().exp2()

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with 2^s: exact."""
        del inputs
        return times(outputs, self.shift())


@runtime_checkable
class Sharpened(Protocol):
    """A layer whose gradients are the error decay estimator's."""

    def sharpen(self, sharpness: float) -> None:
        """Use t = `sharpness` from now on."""
        ...


class IrNetState(AnnealedState):
    """Sharpens the gradients of a network's layers from epoch to epoch."""

    def __init__(self, layers: Sequence[BinaryConv2d], settings: IrNetSettings) -> None:
        """Begin with T_min."""
        super().__init__(layers)
        self._settings = settings
        self._sharpness = settings.first_sharpness

    def anneal(self, progress: float) -> None:
        """Set t = T_min (T_max / T_min)^progress."""
        first, last = self._settings.first_sharpness, self._settings.last_sharpness
        self._sharpness = first * (last / first) ** progress
        for layer in self.layers:
            assert isinstance(layer, Sharpened)  # noqa: S101 - for the type checker; what its methods make
            layer.sharpen(self._sharpness)

    def metrics(self) -> dict[str, float]:
        """Return t."""
        return {"sharpness": self._sharpness}


@METHODS.register("ir-net")
class IrNet(Method):
    """IR-Net; see the module's text."""

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
    activation_surrogate: ClassVar[Surrogate | None] = staticmethod(partial(decayed_gradient, sharpness=_FIRST_SHARPNESS))
    settings: IrNetSettings

    @property
    def precision(self) -> Precision:
        """One bit each, one scale per output channel."""
        return Precision(weight_bits=1, activation_bits=1, scales_per_output=1)

    @property
    def changes_every_epoch(self) -> str | None:
        """Why compiled code serves one epoch: t is a constant of it."""
        annealed = self.settings.first_sharpness != self.settings.last_sharpness
        return "ir-net sharpens its gradients with every epoch" if annealed else None

    def __call__(self, shape: ConvShape) -> BinaryConv2d:
        """Make a layer."""
        return IrNetConv2d(shape, self.settings.first_sharpness)

    def start(self, network: nn.Module) -> MethodState:
        """Return the schedule."""
        return IrNetState(binary_layers([network]), self.settings)

    def freeze(self, layer: BinaryConv2d) -> FrozenConv:
        """Pack the signs of the balanced weights; keep 2^s."""
        assert isinstance(layer, IrNetConv2d)  # noqa: S101 - for the type checker; only this method makes its layers
        return FrozenConv(layer.shape, pack_signs(layer.binary_weight().detach()), layer.shift(), layer.pad_value)
