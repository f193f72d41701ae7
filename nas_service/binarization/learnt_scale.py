"""A learnt scale for every filter, as ReBNN and RBONN have it: what the two methods share.

Forward: y = alpha conv(sign(x), sign(W)), alpha (Co,). alpha begins as mean |W| of its filter, at the start of every phase with
binary weights, and never becomes negative. Activations: ApproxSign, dL/dx = dL/db (2 - 2|x|) on (-1, 1).

The factor on the gradient: the released scale of both is 0.02 |s| with a learnt s, and the 0.02 is not in the gradient of the
task's loss that reaches W, which is 1 / 0.02 = 50 times the exact one. `rules` has that factor. Adam does not feel it; SGD's
steps of W are 50 times as long, and without it hardly a sign flips. Of s Adam's step in alpha is 0.02 of the others', which the
setting `scale_lr_multiplier` keeps; the papers name no rate. The authors begin with a trained ReActNet with real weights and
train 256 epochs; the paper recipe trains that first stage as well, 256 of 512 epochs.

References:
    Xu et al., "Resilient Binary Neural Network", AAAI 2023; "Recurrent Bilinear Optimization for Binary Neural Networks", ECCV
    2022 (`methods/rebnn.py`, `methods/rbonn.py`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import Method, MethodFacts, MethodState, ParameterRule, Phase
from nas_service.binarization.sign import clipped_sign, sign, tent, tent_sign
from search_spaces.cost import ConvShape, Precision

RELEASED_SCALE = 0.02  # the released alpha is this times |s|, and is left out of the gradient that reaches W


def make_positive(parameter: Tensor) -> None:
    """Replace a parameter with its magnitudes, in place."""
    parameter.abs_()


class ScaledConv2d(BinaryConv2d):
    """y = alpha conv(sign(x), sign(W)), alpha learnt per filter.

    Attributes:
        alpha: Scales, (Co,), >= 0.
    """

    def __init__(self, shape: ConvShape) -> None:
        """Create latent weights and the scales that fit them best."""
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=tent_sign)
        self.alpha = nn.Parameter(torch.empty(shape.out_channels))
        self.fit_alpha()

    @torch.no_grad()
    def fit_alpha(self) -> None:
        """Set alpha to mean |W|, where ||W - alpha b||^2 is least."""
        self.alpha.copy_(self.weight.abs().mean((1, 2, 3)))

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha."""
        del inputs
        return times(outputs, self.alpha)


Scaled = TypeVar("Scaled", bound=ScaledConv2d)


class ScaledState(MethodState[Scaled]):
    """What begins with fitted scales."""

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Fit the scales to the latent weights that a first stage left."""
        del phase, network
        for layer in self.layers:
            layer.fit_alpha()


class ScaledMethod(Method[Scaled]):
    """A method with a learnt scale for every filter."""

    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "schedule": "linear",
        "epochs": 512,
        "batch_size": 512,
        "weight_decay": 0.0,
        "distillation": 1.0,
        "real_weight_stage": 0.5,
    }

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel."""
        return MethodFacts(Precision(weight_bits=1, activation_bits=1, scales_per_output=1), surrogate=tent)

    def rules(self, layer: Scaled) -> dict[str, ParameterRule]:
        """Let W step as if alpha had not made its gradient small."""
        del layer
        return {"weight": ParameterRule(gradient_factor=1 / RELEASED_SCALE)}

    def freeze(self, layer: Scaled) -> FrozenConv:
        """Pack the signs; keep alpha."""
        return FrozenConv(layer.shape, pack_signs(sign(layer.weight)), layer.alpha.detach(), layer.pad_value)
