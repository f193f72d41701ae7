"""ReBNN: learnt scales, and a reconstruction loss that grows where weights flip back and forth.

Forward: w^_i = alpha_i b_i with b = sign(W) and one learnt alpha_i for every filter; y = alpha conv(sign(x), b). alpha begins as
mean |W| of its filter, at the start of every phase with binary weights; alpha <- |alpha| after every step.

Loss: L = L_S + L_R with L_R = 1/2 sum over layers and filters of gamma_i ||w_i - alpha_i b_i||^2; b and gamma are constants.

Backward (equation 3.144): dL/dw = alpha (dL_S/dw^ 1[|w| <= 1] - gamma b) + gamma w, and
dL_R/dalpha_i = -gamma_i sum_j (w_ij - alpha_i b_ij) b_ij, which is zero at alpha = mean |w|. Activations: ApproxSign,
dL/dx = dL/db (2 - 2|x|) on (-1, 1).

gamma (equation 3.150), after every step, for each filter of M weights: the share of its signs that the step flipped, times the
largest gradient at its binary weights, gamma^{t+1} = (1 / M) ||b^t o b^{t+1} - 1||_0 max_j |dL_S/dw^_j^t|. It is measured, not
learnt, and zero where nothing flipped. A weight flips from b = -1 only if its gradient passes gamma (3.146), so a filter that
oscillates holds its own weights back.

How it is done: b is convolved and alpha applied to the integers that come out, so dL/db = alpha dL/dw^ and the gradient at the
binary weight is that of b divided by alpha. Where alpha is exactly 0 it cannot be told, and gamma is 0 there. gamma belongs to
one training: it is 0 in the first step, and whenever a path of a supernet begins to train.

The factor on the gradient, its reason and the paper's recipe are RBONN's, too: `learnt_scale.py`. The factor is on L_R as well,
so in these units the released gamma is a fiftieth of what is written there.

How much L_R does: it is live early and fades as flips become rare, with Adam some 2 % of the gradient on average.

Differences: the printed gradient of alpha lacks the minus. The released code estimates the previous weight as w minus its
gradient, has no mask on |w|, takes sum(g w) for the gradient of the scale, and then clamps gamma so that it is always 2e-4:
`gamma = constant` gives the balance of that, gamma = 2e-4 / 50, with the exact gradients; L_R is then about a thousandth of the
gradient.

References:
    Xu, Li, Ma, Lin, Dong, Zhang, Gao, Lv, "Resilient Binary Neural Network", AAAI 2023, arXiv 2302.00956; equations are
    numbered as in Zhang et al., "Binary Neural Networks", CRC Press.
"""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import torch
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.learnt_scale import ScaledConv2d, ScaledMethod, ScaledState, make_positive
from nas_service.binarization.method import METHODS, MethodFacts, MethodSettings, MethodState, ParameterRule, Step
from nas_service.binarization.sign import sign
from search_spaces.cost import ConvShape


class GammaRule(StrEnum):
    """Where gamma comes from."""

    FLIP = "flip"  # equation 3.150
    CONSTANT = "constant"  # what the released code amounts to


class RebnnSettings(MethodSettings):
    """Settings of ReBNN."""

    gamma: GammaRule = Field(
        GammaRule.FLIP,
        strict=False,
        description="flip: share of flipped signs times largest gradient, per filter; constant: as released.",
    )
    constant_gamma: float = Field(
        4e-6, ge=0, le=1e3, description="gamma where it is constant: the released 2e-4 in our units; 0: no reconstruction loss."
    )
    scale_lr_multiplier: float = Field(
        0.02, gt=0, le=10, description="Learning rate of the scales alpha, relative to the recipe's."
    )


class RebnnConv2d(ScaledConv2d):
    """y = alpha conv(sign(x), sign(W)), alpha learnt per filter.

    Attributes:
        observes: Whether a backward pass leaves `largest_gradient`.
        largest_gradient: max_j |dL_S/dw^_j| of every filter, (Co,), between a backward pass and the end of its step.
    """

    largest_gradient: Tensor | None = None

    def __init__(self, shape: ConvShape, *, observes: bool) -> None:
        """Create latent weights and the scales that fit them best."""
        super().__init__(shape)
        self.observes = observes

    def kernel(self) -> Tensor:
        """Return sign(W), whose gradient is looked at while training."""
        signs = self.binary_weight()
        if self.observes and self.training and signs.requires_grad:
            signs.register_hook(self._observe)
        return signs

    @torch.no_grad()
    def _observe(self, gradient: Tensor) -> None:
        largest = gradient.abs().amax((1, 2, 3))
        self.largest_gradient = torch.where(self.alpha > 0, largest / self.alpha, 0.0)


def next_gamma(before: Tensor, after: Tensor, largest_gradient: Tensor) -> Tensor:
    """Return gamma (Co,) by equation 3.150 from the signs before and after a step, (Co, ...), and max_j |dL_S/dw^_j|, (Co,)."""
    flipped = (before != after).flatten(1).to(largest_gradient.dtype).mean(1)
    return flipped * largest_gradient


class RebnnState(ScaledState[RebnnConv2d]):
    """gamma of every filter of a network, one after another in `gamma`."""

    gamma: Tensor

    def __init__(self, layers: Sequence[RebnnConv2d], settings: RebnnSettings) -> None:
        """Begin with gamma 0, or with the constant."""
        super().__init__(layers)
        self._constant = settings.gamma is GammaRule.CONSTANT
        self._places: dict[nn.Module, slice] = {}
        self._signs: dict[nn.Module, Tensor] = {}  # b of the step under way
        self._means: list[Tensor] = []  # of gamma, after every step of the epoch
        filters = 0
        for layer in layers:
            self._places[layer] = slice(filters, filters + layer.shape.out_channels)
            filters += layer.shape.out_channels
        like = layers[0].weight if layers else torch.empty(0)
        self.register_buffer("gamma", like.new_full((filters,), settings.constant_gamma if self._constant else 0.0))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Begin the mean that is reported."""
        del epoch, epochs
        self._means.clear()

    def losses(self, step: Step[RebnnConv2d]) -> dict[str, Tensor]:
        """Return L_R of the layers that took part."""
        parts = []
        for layer in step.layers:
            signs = self._signs[layer] = sign(layer.weight)
            residual = layer.weight - layer.alpha.view(-1, 1, 1, 1) * signs
            parts.append(residual.square().flatten(1).sum(1) @ self.gamma[self._places[layer]])
        return {"reconstruction": torch.stack(parts).sum() / 2} if parts else {}

    @torch.no_grad()
    def end_step(self, layers: Sequence[RebnnConv2d]) -> None:
        """Set gamma from what the step flipped, and from the gradients that did it."""
        for layer in layers:
            before, largest = self._signs.pop(layer, None), layer.largest_gradient
            layer.largest_gradient = None
            if self._constant:
                continue
            gamma = self.gamma[self._places[layer]]
            if before is None or largest is None:
                gamma.zero_()
            else:
                gamma.copy_(next_gamma(before, sign(layer.weight), largest))
        self._means.append(self.gamma.mean())

    def metrics(self) -> dict[str, float]:
        """Return the mean gamma of the epoch; what flipped in it is in every report."""
        return {"gamma": float(torch.stack(self._means).mean())} if self._means else {}


@METHODS.register("rebnn")
class Rebnn(ScaledMethod[RebnnConv2d]):
    """ReBNN learns a scale for every filter, and holds back the weights of filters that flip back and forth.

    Example:
        >>> layer = Rebnn.from_settings({})(ConvShape(in_channels=4, out_channels=2, kernel_size=3))
        >>> torch.equal(layer.alpha, layer.weight.abs().mean((1, 2, 3)))  # the scales begin where they fit best
        True
    """

    layer_type = RebnnConv2d
    summary = "learnt scale per filter; weights that oscillate are held back by a weighted reconstruction loss"
    reference = "Xu et al., AAAI 2023, arXiv 2302.00956"
    settings_model = RebnnSettings
    revision = 2  # the factor on the gradient of W
    settings: RebnnSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel; eager steps unless gamma is a constant."""
        if self.settings.gamma is GammaRule.CONSTANT:
            return super().facts
        return replace(super().facts, needs_eager="rebnn looks at gradients with a hook and gathers its figures on the host")

    def __call__(self, shape: ConvShape) -> RebnnConv2d:
        """Make a layer."""
        return RebnnConv2d(shape, observes=self.settings.gamma is GammaRule.FLIP)

    def rules(self, layer: RebnnConv2d) -> dict[str, ParameterRule]:
        """Keep alpha >= 0 and its steps small."""
        rate = self.settings.scale_lr_multiplier
        return {**super().rules(layer), "alpha": ParameterRule(lr_multiplier=rate, decays=False, project=make_positive)}

    def start(self, network: nn.Module) -> MethodState[RebnnConv2d]:
        """Return gamma of a new training."""
        return RebnnState(self.layers_of(network), self.settings)
