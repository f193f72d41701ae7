"""RBONN: weights and scales as the two sides of a bilinear problem, with a learnt recurrence between them.

Forward: w ~ alpha o b with b = sign(W) and one learnt alpha for every filter; y = alpha conv(sign(x), b). alpha begins as
mean |W| of its filter, at the start of every phase with binary weights.

Loss: L = L_S + lambda G with G(w, A) = 1/2 ||b - A w||^2 summed over layers, A = diag(1 / alpha) and b a constant:
dG/dA_i = sum_j w_ij (A_i w_ij - b_ij) as in equation 3.124, dG/dw = A (A w - b), and by the chain rule dG/dalpha = -A^2 dG/dA.
Activations: ApproxSign, dL/dx = dL/db (2 - 2|x|) on (-1, 1). Weights: dL_S/dw = alpha dL_S/dw^ 1[|w| <= 1].

Recurrence: w also moves A, a term that the gradient of either alone leaves out (3.125). A learnt U >= 0, one for every filter,
stands for it. After the optimizer's step, w^{t+1} <- w^{t+1} + U^t o DReLU(w^t, A^t) (3.131). DReLU keeps a filter where its
weights are sparse while A is dense, and makes it zero elsewhere (3.133, 3.134): ||w_i||_1 is among the T smallest of the layer
and A_i not among the T smallest, T = int(Co tau). So filters with small weights and small alpha, which would be left behind, are
pulled out, and no further: ours is min(U, q / ||w_i||_1 - 1) in place of U, with q the smallest norm that is not low.

Backward of U (3.135, 3.136): dL/dU_i = sum_j dL_S/dw_ij^t DReLU(w^{t-1}, A^t)_ij, the effect that the last recurrence had on
this step's loss; U <- |U - step|, with a tenth of the learning rate. It is 0 in the first step, which has none before it.

How it is done: alpha is the learnt parameter, not A, so that a scale that crosses zero does no harm to the outputs; it is kept
>= 1e-4 (|alpha|, then the bound) because A must be finite. Evaluation knows neither U nor gradients: the recurrence has been
applied to the latent weights. As alpha begins as mean |W|, about 1 - tau of the filters recur from the first step; they outgrow
the others, and then a filter recurs only when the order of the scales changes.

Differences: the printed dL_S/dA lacks the chain rule's minus. R(w), which the paper does not spell out, is the recipe's weight
decay. lambda is published as 1e-4 together with code in which the error is ||w - alpha b||^2, that is G with every filter's
error times alpha^2. Scales are about 0.02, so without that factor G is some thousand times stronger and holds nearly every sign
where it began: by default lambda is multiplied by alpha^2, a constant for the gradient, and `bilinear_units = signs` takes
lambda as it is.

U and its bound. As printed, w + U w has none: whenever the order of the scales changes, a filter grows past another, the other
past it, and so on. From the released first value of 0.2 the loss was 10^13 after 30 epochs of digits on a small ResNet-20, with
signs frozen and SGD at 26 and 53 %; from 0 it was twenty times what it is with the bound after 150. Bounded, no filter outgrows
the largest that gradients made. The paper gives no first value; 0 leaves it to learning (Adam: 96.4 % against 95.4 from 0.2, two
seeds). With SGD U stays near 0.

The factor on the gradient, its reason and the paper's recipe are ReBNN's, too: `learnt_scale.py`. The factor is on G as well, so
the released balance of L_S and G is that of `bilinear_weight` 2e-6. There G is less than a thousandth of the gradient and does
nothing; the default is the published number in our units, 1e-4, with which it is a few per cent.

How much the recurrence does: DReLU returns w or 0 and U >= 0, so w + U w never changes a sign, and it undoes a part of a step
towards one. With U learnt from 0 it is some 8 % of the step with Adam; accuracies with and without it are alike. U's gradient is
the printed one also where the bound holds and U has no effect.

The released code is another algorithm and is not offered: it adds back the last gradient in place of w, in the forward pass
alone; picks filters by comparing positions of a sort in place of ranks; asks nothing of ||w||_1; takes sum(g w) for the scale's
gradient, no mask on |w|, and lets U become negative.

References:
    Xu, Li, Wang, Ma, Zhang, Gao, Qiao, Lv, Guo, "Recurrent Bilinear Optimization for Binary Neural Networks", ECCV 2022, arXiv
    2209.01542; equations are numbered as in Zhang et al., "Binary Neural Networks", CRC Press.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.learnt_scale import ScaledConv2d, ScaledMethod, ScaledState, make_positive
from nas_service.binarization.method import METHODS, Inert, MethodSettings, MethodState, ParameterRule, Step
from nas_service.binarization.sign import sign, window
from nas_service.recipes.recipe import OptimizerName
from search_spaces.cost import ConvShape

_LEAST_ALPHA = 1e-4  # so that A = 1 / alpha is finite


class BilinearUnits(StrEnum):
    """What the error ||b - A w||^2 is measured in."""

    WEIGHTS = "weights"  # times alpha^2
    SIGNS = "signs"


class RbonnSettings(MethodSettings):
    """Settings of RBONN."""

    bilinear_weight: float = Field(
        1e-4, ge=0, le=1e3, description="Weight of the bilinear loss G; lambda. 2e-6 has the released balance."
    )
    bilinear_units: BilinearUnits = Field(
        BilinearUnits.WEIGHTS,
        strict=False,
        description="weights: lambda times alpha^2 of the filter, as released; signs: lambda alone.",
    )
    sparsity_threshold: float = Field(
        0.6,
        ge=0,
        le=1,
        description="Share of a layer's filters that counts as low in ||w||_1 and in A; tau. At 0 and 1 none recurs.",
    )
    recurrence_start: float = Field(
        0.0, ge=0, le=1, description="First value of U, which is then learnt; released: 0.2. The recurrence changes no sign."
    )
    recurrence_lr_multiplier: float = Field(0.1, gt=0, le=10, description="Learning rate of U, relative to the recipe's.")
    scale_lr_multiplier: float = Field(
        0.02, gt=0, le=10, description="Learning rate of the scales alpha, relative to the recipe's."
    )


class _RecurrentSign(Function):
    """Forward: sign(W). Backward: dL/dW = dL/db 1[|W| <= 1], and equation 3.136 for U."""

    @staticmethod
    def forward(ctx: Context, weight: Tensor, recurrence: Tensor, backtracked: Tensor) -> Tensor:
        del recurrence
        ctx.save_for_backward(weight, backtracked)
        return sign(weight)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, backtracked = ctx.saved_tensors
        gradient = grad_outputs[0] * window(weight)
        return gradient, (gradient * backtracked).sum((1, 2, 3)), None


class RbonnConv2d(ScaledConv2d):
    """y = alpha conv(sign(x), sign(W)), alpha learnt per filter.

    Attributes:
        alpha: Scales, (Co,), >= 1e-4.
        recurrence: U, (Co,), >= 0; has no part in evaluation.
        backtracked: DReLU(w^{t-1}, A^t), the shape of `weight`, a part of the state of a training; None outside one.
    """

    backtracked: Tensor | None = None

    def __init__(self, shape: ConvShape, recurrence_start: float) -> None:
        """Create latent weights, the scales that fit them best, and U."""
        super().__init__(shape)
        self.recurrence = nn.Parameter(torch.full((shape.out_channels,), recurrence_start))

    @torch.no_grad()
    def fit_alpha(self) -> None:
        """Set alpha to mean |W|, or its least value."""
        super().fit_alpha()
        bound_alpha(self.alpha)

    def binary_weight(self) -> Tensor:
        """Return sign(W), whose gradient reaches U too while training."""
        if not self.training or self.backtracked is None:
            return super().binary_weight()
        return apply(_RecurrentSign, self.weight, self.recurrence, self.backtracked)


def bound_alpha(alpha: Tensor) -> None:
    """Replace scales with their magnitudes, at least 1e-4, in place."""
    alpha.abs_().clamp_min_(_LEAST_ALPHA)


def bilinear_loss(weight: Tensor, inverse_scale: Tensor) -> Tensor:
    """Return G = 1/2 ||sign(w) - A w||^2, (Co,), of weights (Co, Ci, k, k) and A (Co,); the signs are constants."""
    return (inverse_scale.view(-1, 1, 1, 1) * weight - sign(weight)).square().sum((1, 2, 3)) / 2


def outranks(values: Tensor, threshold: int) -> Tensor:
    """Return D: which of `values` (Co,) have a rank above `threshold`, ranks being 1 for the smallest to Co."""
    above = torch.zeros_like(values, dtype=torch.bool)
    return above.index_fill_(0, values.topk(len(values) - threshold).indices, value=True)


def drelu(weight: Tensor, inverse_scale: Tensor, share: float) -> Tensor:
    """Return `weight` (Co, Ci, k, k) where ||w_i||_1 is low and A_i, `inverse_scale` (Co,), is high; 0 elsewhere.

    Low: among the int(Co `share`) smallest; high: not among them.
    """
    threshold = int(len(weight) * share)
    sparse = ~outranks(weight.abs().sum((1, 2, 3)), threshold)
    return weight * (sparse & outranks(inverse_scale, threshold)).view(-1, 1, 1, 1)


def recurrence_of(weight: Tensor, inverse_scale: Tensor, recurrence: Tensor, share: float) -> Tensor:
    """Return what is added to `weight` (Co, Ci, k, k): min(U, q / ||w_i||_1 - 1) DReLU(w, A), with U and A (Co,).

    q is the smallest ||w||_1 that is not low; `share` as in `drelu`.
    """
    norms, kept = weight.abs().sum((1, 2, 3)), drelu(weight, inverse_scale, share)
    above = len(norms) - int(len(norms) * share)
    if not above:
        return kept.zero_()
    room = (norms.topk(above).values[-1] / norms.clamp_min(torch.finfo(norms.dtype).tiny) - 1).clamp_min(0)
    return kept.mul_(torch.minimum(recurrence, room).view(-1, 1, 1, 1))


class RbonnState(ScaledState[RbonnConv2d]):
    """The last backtracked weights of every layer, one after another in `backtracked`."""

    backtracked: Tensor

    def __init__(self, layers: Sequence[RbonnConv2d], settings: RbonnSettings) -> None:
        """Begin with nothing backtracked."""
        super().__init__(layers)
        self._settings = settings
        self._before: dict[nn.Module, tuple[Tensor, Tensor]] = {}  # w^t and what will be added to it
        like = layers[0].weight if layers else torch.empty(0)
        self.register_buffer("backtracked", like.new_zeros(sum(layer.weight.numel() for layer in layers)))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Let the layers see their parts of `backtracked`."""
        del epoch, epochs
        parts = self.backtracked.split([layer.weight.numel() for layer in self.layers])
        for layer, part in zip(self.layers, parts, strict=True):
            layer.backtracked = part.view(layer.weight.shape)

    def losses(self, step: Step[RbonnConv2d]) -> dict[str, Tensor]:
        """Return lambda G of the layers that took part; take note of what will be added to their weights."""
        parts = []
        for layer in step.layers:
            parts.append(bilinear_loss(layer.weight, layer.alpha.reciprocal()) @ self._weights(layer))
            with torch.no_grad():
                threshold, inverse = self._settings.sparsity_threshold, layer.alpha.reciprocal()
                added = recurrence_of(layer.weight, inverse, layer.recurrence, threshold)
                self._before[layer] = layer.weight.clone(), added
        return {"bilinear": torch.stack(parts).sum()} if parts else {}

    def _weights(self, layer: RbonnConv2d) -> Tensor:
        alpha = layer.alpha.detach()
        units = alpha.square() if self._settings.bilinear_units is BilinearUnits.WEIGHTS else torch.ones_like(alpha)
        return units * self._settings.bilinear_weight

    @torch.no_grad()
    def end_step(self, layers: Sequence[RbonnConv2d]) -> None:
        """Apply the recurrence, and keep what the next gradient of U needs."""
        for layer in layers:
            if layer not in self._before:
                continue
            before, addition = self._before.pop(layer)
            layer.weight.add_(addition)
            if layer.backtracked is not None:
                layer.backtracked.copy_(drelu(before, layer.alpha.reciprocal(), self._settings.sparsity_threshold))

    @torch.no_grad()
    def metrics(self) -> dict[str, float]:
        """Return the mean U."""
        return {"recurrence": float(torch.cat([layer.recurrence for layer in self.layers]).mean())} if self.layers else {}


@METHODS.register("rbonn")
class Rbonn(ScaledMethod[RbonnConv2d]):
    """RBONN ties weights and learnt scales by a bilinear loss, and pulls out filters that both leave behind.

    Example:
        >>> layer = Rbonn.from_settings({})(ConvShape(in_channels=1, out_channels=4, kernel_size=1))
        >>> losses = bilinear_loss(layer.weight, layer.alpha.reciprocal())  # one weight and its scale agree
        >>> torch.allclose(losses, torch.zeros(4), atol=1e-6)
        True
    """

    layer_type = RbonnConv2d
    summary = "learnt scale per filter, a bilinear loss between weights and scales, and a recurrence for filters left behind"
    reference = "Xu et al., ECCV 2022, arXiv 2209.01542"
    settings_model = RbonnSettings
    revision = 3  # 2: the factor on the gradient of W; 3: the recurrence's bound and first value
    settings: RbonnSettings
    inert: ClassVar = (
        Inert("recurrence", "Its gradient has the size of the weights, and its rate is a tenth.", (OptimizerName.SGD,)),
        Inert("after the step", "The recurrence: U stays near 0, where it begins.", (OptimizerName.SGD,)),
    )

    def __call__(self, shape: ConvShape) -> RbonnConv2d:
        """Make a layer."""
        return RbonnConv2d(shape, self.settings.recurrence_start)

    def rules(self, layer: RbonnConv2d) -> dict[str, ParameterRule]:
        """Keep alpha and U >= 0 and their steps small."""
        settings = self.settings
        return {
            **super().rules(layer),
            "alpha": ParameterRule(lr_multiplier=settings.scale_lr_multiplier, decays=False, project=bound_alpha),
            "recurrence": ParameterRule(lr_multiplier=settings.recurrence_lr_multiplier, decays=False, project=make_positive),
        }

    def start(self, network: nn.Module) -> MethodState[RbonnConv2d]:
        """Return the recurrence's memory of a new training."""
        return RbonnState(self.layers_of(network), self.settings)
