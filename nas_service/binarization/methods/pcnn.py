"""PCNN: binary kernels as projections of real ones, with learnt projection matrices; weights and activations are binary.

Shapes: a layer has latent kernels C (H, Ci / groups, k, k) and J projection matrices W (J, k, k), each the same for all
kernels and channels; Co = H J, output h J + j comes from kernel h and matrix j.

Forward (equations 3.29, 3.45 to 3.48, 3.57): C^_hj = argmin over {-a, +a} of |W_j o C_h - c|, elementwise, so
C^_hj = a sign(W_j o C_h) with a = mean |C| over the layer, which is not differentiated; y = a conv(sign(x), sign(W o C)).
`forward_projection` mean: the mean of W_j, one number, stands for W_j in the forward pass alone, as in the paper; then J
kernels differ by no more than their sign. Elementwise: W_j itself, so that J > 1 kernels differ.

Backward, with delta = dL / dC^, and W_j itself in both modes:
dL/dC = sum_j {delta_j o 1[|W_j o C| <= 1] + lambda R_j} o W_j                        (3.51, 3.52)
dL/dW_j = sum over h, channels of {delta_j o 1[|W_j o C| <= 1] o C + lambda R_j o T_j}  (3.55, 3.56)
T_j = C + eta delta_j, R_j = W_j o T_j - C^_j. The terms with lambda are the gradient of the projection loss
L_P = (lambda / 2) sum ||C^ - W o (C + eta delta)||^2 (3.42) with C^ and delta fixed; delta is known in the backward pass
alone, so they are added there and L_P is in no loss figure. The convolution sees signs, so the gradient that comes back
from it is a delta, and is divided by a. Activations: dL/dx = dL/db 1[|x| <= 1].

`progressive` (section 3.5's ternary-to-binary training): a first phase with C^ in {-a, 0, a}, 0 where
|W_j o C| <= 0.7 mean |C|; the binary phase keeps C and draws W anew. `centre_loss` adds (gamma / 2) mean ||f - f'||^2, f the
classifier's input, f' the running mean of its class.

What W does: with J = 1 and mode mean, the default and the paper's, nothing in the forward pass, since
sign(mean(W) C) = sign(C). It weighs the gradient of C by kernel position, which Adam divides out again, and moves by 1 to 3 %.
The terms with lambda are about a thousandth of the gradient. `projections` above 1 with `forward_projection` elementwise is
where projections make different kernels.

What the paper leaves open, and the decision: J = 1 by default, as in its ImageNet results; a is the mean over all elements
of C; the ternary threshold is the 0.7 of ternary weight networks; lambda is the paper's best, eta a constant guess. W
starts with magnitudes U(1 - s, 1 + s) around the neutral 1. The sign of W_1 is +; of the others alternating in mode
`mean` and random in `elementwise`, since equal signs would make equal kernels. W learns at a tenth of C's rate and does
not decay: at zero the signs of a whole layer would change at once. The centre loss is a mean where the paper sums over
samples, as is our task loss, and the class means follow Wen et al.: f' <- f' + alpha sum (f - f') / (1 + n). Where J does
not divide the channels of a group on both sides, a layer has the largest number of matrices that divides J and both. A
first stage with real weights makes sense for J = 1 only, where C has the shape of the kernel. No code of the authors is
known.

References:
    Gu, Li, Zhang, Han, Cao, Liu, Doermann, "Projection Convolutional Neural Networks for 1-bit CNNs via Discrete Back
    Propagation", AAAI 2019, arXiv 1811.12755. Equation numbers: Zhang et al., "Binary Neural Networks: Algorithms,
    Architectures, and Applications", CRC Press, section 3.5.
    Ternary threshold: Li, Zhang, Liu, "Ternary Weight Networks", 2016, arXiv 1605.04711. Centres: Wen et al., "A
    Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.class_centres import centre_distance, classifier_of, follow
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import (
    METHODS,
    Inert,
    Method,
    MethodFacts,
    MethodSettings,
    MethodState,
    ParameterRule,
    Phase,
    Step,
)
from nas_service.binarization.sign import clipped_sign, sign
from nas_service.errors import CannotFreezeError
from search_spaces.cost import ConvShape, Precision

_TERNARY_PHASE = "ternary"
_BINARY_PHASE = "binary"
_TERNARY_THRESHOLD = 0.7  # of mean |C|


class ForwardProjection(StrEnum):
    """What stands for W_j in the forward pass."""

    MEAN = "mean"
    ELEMENTWISE = "elementwise"


class PcnnSettings(MethodSettings):
    """Settings of PCNN."""

    projections: int = Field(1, ge=1, le=64, description="J: projection matrices, outputs that share a latent kernel.")
    forward_projection: ForwardProjection = Field(
        ForwardProjection.MEAN,
        strict=False,
        description="What stands for W_j in the forward pass: its mean, or itself (elementwise).",
    )
    projection_loss: float = Field(1e-4, ge=0, description="lambda: weight of the projection loss.")
    lookahead: float = Field(1e-2, ge=0, description="eta: length of the gradient step that the projection loss looks ahead.")
    projection_learning_rate: float = Field(0.1, gt=0, description="eta2 / eta1: factor on the learning rate for W.")
    projection_spread: float = Field(0.5, ge=0, le=1, description="s: magnitudes of W start uniform in [1 - s, 1 + s].")
    progressive: bool = Field(default=False, description="Train a ternary network first, then the binary one from its C.")
    ternary_share: float = Field(0.5, gt=0, lt=1, description="Share of the epochs that the ternary phase gets.")
    centre_loss: float = Field(0.0, ge=0, description="gamma: weight of the centre loss.")
    centre_rate: float = Field(0.5, gt=0, le=1, description="alpha: how fast the class means follow the features.")


@dataclass(frozen=True)
class _Projection:
    """How C is projected now, and what the backward pass adds."""

    elementwise: bool
    ternary: bool
    loss: float
    lookahead: float


class _Project(Function):
    """Forward: sign(W o C), or its ternary form, (Co, Ci / groups, k, k). Backward: equations 3.51 to 3.56."""

    @staticmethod
    def forward(ctx: Context[_Projection], weight: Tensor, projection: Tensor, how: _Projection) -> Tensor:
        magnitude = weight.abs().mean()
        factors = projection if how.elementwise else projection.mean((1, 2), keepdim=True)
        projected = weight.unsqueeze(1) * factors.unsqueeze(1)
        levels = sign(projected)
        if how.ternary:
            levels.mul_(projected.abs() > _TERNARY_THRESHOLD * magnitude)
        ctx.kept = how
        levels = levels.flatten(0, 1)
        ctx.save_for_backward(weight, projection, magnitude, levels)
        return levels

    @staticmethod
    def backward(ctx: Context[_Projection], *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, projection, magnitude, levels = ctx.saved_tensors
        kernels, planes = weight.unsqueeze(1), (len(weight), len(projection))
        matrices = projection.unsqueeze(1)
        delta = (grad_outputs[0] / magnitude.clamp_min(torch.finfo(weight.dtype).tiny)).unflatten(0, planes)
        masked = delta * ((kernels * matrices).abs() <= 1)
        if not ctx.kept.loss:
            return (masked * matrices).sum(1), (masked * kernels).sum((0, 2)), None
        target = kernels + ctx.kept.lookahead * delta
        residual = (matrices * target - magnitude * levels.unflatten(0, planes)).mul_(ctx.kept.loss)
        return ((masked + residual) * matrices).sum(1), (masked * kernels + residual * target).sum((0, 2)), None


class PcnnConv2d(BinaryConv2d):
    """y = a conv(sign(x), sign(W o C)); see the module's text.

    Attributes:
        weight: C, (Co / J, Ci / groups, k, k).
        projection: W, (J, k, k).
        ternary: Whether small weights are 0, in the first phase of a progressive training.
    """

    def __init__(self, shape: ConvShape, settings: PcnnSettings) -> None:
        """Create latent kernels and projection matrices."""
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=clipped_sign)
        self._settings = settings
        self.ternary = False
        planes = shape.planes(settings.projections)
        self.weight = nn.Parameter(self.weight.detach()[::planes].clone())
        self.projection = nn.Parameter(self._drawn(planes))

    def _drawn(self, planes: int) -> Tensor:
        """Return random W; only the first matrix is sure to be positive."""
        side, spread = self.shape.kernel_size, self._settings.projection_spread
        magnitudes = torch.empty(planes, side, side).uniform_(1 - spread, 1 + spread)
        if self._settings.forward_projection is ForwardProjection.MEAN:
            signs = 1.0 - 2 * (torch.arange(planes) % 2).view(-1, 1, 1)
        else:
            signs = sign(torch.randn(planes, side, side))
            signs[0] = 1
        return magnitudes * signs

    def fresh_projection(self) -> Tensor:
        """Return W drawn anew, on its device."""
        return self._drawn(len(self.projection)).to(self.projection)

    def magnitude(self) -> Tensor:
        """Return a = mean |C|, a scalar without gradient."""
        return self.weight.detach().abs().mean()

    def binary_weight(self) -> Tensor:
        """Return sign(W o C), (Co, Ci / groups, k, k), or in the ternary phase its ternary form."""
        settings = self._settings
        elementwise = settings.forward_projection is ForwardProjection.ELEMENTWISE
        how = _Projection(elementwise, self.ternary, settings.projection_loss, settings.lookahead)
        return apply(_Project, self.weight, self.projection, how)

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with a."""
        del inputs
        return times(outputs, self.magnitude())


class PcnnState(MethodState[PcnnConv2d]):
    """The phases of a progressive training, and running class means with the centre loss.

    Attributes:
        centres: f', (classes, features), or None without centre loss.
    """

    centres: Tensor | None

    def __init__(self, settings: PcnnSettings, layers: Sequence[PcnnConv2d], classifier: nn.Linear) -> None:
        """Begin with centres at 0; draw now the W that the binary phase begins with, since phases have no random stream."""
        super().__init__(layers)
        self._settings = settings
        self._seen: tuple[Tensor, Tensor] | None = None
        empty = torch.zeros(classifier.out_features, classifier.in_features)
        self.register_buffer("centres", empty if settings.centre_loss else None)
        if settings.progressive:
            for index, layer in enumerate(layers):
                self.register_buffer(f"projection_{index}", layer.fresh_projection())

    @torch.no_grad()
    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Make the layers ternary or binary; W is new in the binary phase of two."""
        del network
        for index, layer in enumerate(self.layers):
            layer.ternary = phase.name == _TERNARY_PHASE
            if phase.name == _BINARY_PHASE:
                layer.projection.copy_(self.get_buffer(f"projection_{index}"))

    def losses(self, step: Step[PcnnConv2d]) -> dict[str, Tensor]:
        """Return (gamma / 2) mean ||f - f'||^2, if asked for; the projection loss is in the backward pass."""
        if self.centres is None:
            return {}
        self._seen = step.features.detach(), step.labels
        apart = centre_distance(step.features, step.labels, self.centres)
        return {"centre": apart * (self._settings.centre_loss / 2)}

    def end_step(self, layers: Sequence[PcnnConv2d]) -> None:
        """Move the class means towards the features of the step."""
        del layers
        if self.centres is None or self._seen is None:
            return
        follow(self.centres, *self._seen, self._settings.centre_rate)
        self._seen = None


@METHODS.register("pcnn")
class Pcnn(Method[PcnnConv2d]):
    """PCNN projects real kernels onto binary ones, with learnt matrices that the whole layer shares.

    Example:
        >>> layer = Pcnn.from_settings({"projections": 4})(ConvShape(in_channels=8, out_channels=8, kernel_size=3))
        >>> tuple(layer.weight.shape), tuple(layer.binary_weight().shape)  # each kernel is projected four times
        ((2, 8, 3, 3), (8, 8, 3, 3))
    """

    layer_type = PcnnConv2d
    summary = "signs of projected kernels times the layer's mean magnitude, with learnt projections and a projection loss"
    reference = "Gu et al., AAAI 2019, arXiv 1811.12755"
    settings_model = PcnnSettings
    paper_recipe: ClassVar = {"epochs": 200}  # optimizer and rates are not known
    hidden_terms: ClassVar = {"projection loss": {"projection_loss": 0.0}}
    inert: ClassVar = (
        Inert("projection loss", "The published weight makes it about a thousandth of the gradient of C."),
        Inert("projection", "With one projection and its mean forward, sign(mean(W) C) is sign(C): W changes no output."),
    )
    settings: PcnnSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale a layer; J kernels of a map have bits of their own.

        A first stage with real weights is for a C of the convolution's shape, and where no ternary stage comes first.
        """
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1, scales_per_layer=1),
            real_weight_stage=self.settings.projections == 1 and not self.settings.progressive,
        )

    def __call__(self, shape: ConvShape) -> PcnnConv2d:
        """Make a layer."""
        return PcnnConv2d(shape, self.settings)

    def rules(self, layer: PcnnConv2d) -> dict[str, ParameterRule]:
        """W: at its own learning rate, without decay; C follows the recipe."""
        del layer
        return {"projection": ParameterRule(lr_multiplier=self.settings.projection_learning_rate, decays=False)}

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """One phase, or a ternary and a binary one."""
        if not self.settings.progressive:
            return (Phase("train", epochs),)
        if epochs < 2:  # noqa: PLR2004 - the number of phases
            raise ValueError(
                f"progressive pcnn has 2 phases, and {epochs} epoch was given; allowed: 2 or more, or progressive off"
            )
        ternary = min(epochs - 1, max(1, round(epochs * self.settings.ternary_share)))
        return (Phase(_TERNARY_PHASE, ternary), Phase(_BINARY_PHASE, epochs - ternary))

    def start(self, network: nn.Module) -> MethodState[PcnnConv2d]:
        """Return state with centres for the network's classes and features."""
        return PcnnState(self.settings, self.layers_of(network), classifier_of(network))

    def freeze(self, layer: PcnnConv2d) -> FrozenConv:
        """Pack the signs; keep a. C and W are dropped.

        Raises:
            CannotFreezeError: In the ternary phase.
        """
        if layer.ternary:
            raise CannotFreezeError("pcnn's ternary phase has weights of three values; freeze after the binary phase")
        return FrozenConv(
            layer.shape, pack_signs(layer.binary_weight().detach()), layer.magnitude().view(1).float(), layer.pad_value
        )
