"""MCN: binary filters that a few real matrices, shared by the whole layer, modulate into K output channels each.

Weights only: inputs stay real and are padded with zeros. Shapes: a feature map is a group of K consecutive channels
(`planes`), a layer has G = Ci / K maps in and H = Co / K maps out. C (H, Ci / groups, k, k) are the latent filters,
M >= 0 (K, k, k) the M-filter, one for the layer, C^ the binary filters, Q the kernel that is convolved with.

Forward (equations 3.12 to 3.16): C^ = a sign(C) with a = mean |C| over the layer;
Q[h, j, c] = C^[h, c] o M[j]; output j of map h is the input convolved with Q[h, j]. MCN-1 (`mcn1`): M is (K, 1, 1).

Loss (equations 3.18 and 3.19): L = L_S + L_M + (theta / 2) ||C^ - C - eta delta||^2, delta = dL / dC^, with
L_M = (theta / 2) sum over layers, filters i and planes j of ||C_i - C^_i o M_j||^2
    + (lambda / 2) mean over samples m of ||f_m - f'||^2, f the classifier's input and f' the running mean of m's class.

Backward: what reaches C^ is applied to C unchanged (3.21), dL_S / dC^_i = sum_j dL_S / dQ_ij o M_j,
dL_M / dC^_i = -theta sum_j (C_i - C^_i o M_j) o M_j. The third term depends on delta, which is not known before the
backward pass, so its gradient -theta (C^ - C - eta delta), with C^ and delta fixed, is added there. Together
dL / dC = (1 + theta eta) delta - theta (C^ - C). dL / dM_j = sum_i dL_S / dQ_ij o C^_i - theta sum_i (C_i - C^_i o M_j) o C^_i
(3.26, 3.27), summed over the channels c.

Update: C first, then M after a pass of its own, at its own learning rate, M <- |M|. The second pass is our reading of the
text, which says "sequentially" (p. 44); the box of algorithm 1 takes all gradients in one backward sweep and updates C, then M,
from them: `alternating` off, for less than half the price. The centre loss is for a fine-tuning phase after the main one.

How much they do: M moves by less than 1 % in five epochs, so what M is, its random start decides. The filter losses are 1 to 2 %
of the gradient; the centre loss is about 0.2 %, in the last fifth of the epochs and at a tenth of the rate: next to nothing.

What the paper leaves open, and the decision: the two centres of the binarizer are -a and +a, the only ones that C and
the losses share a scale with, and M starts near 1, M ~ U(1 - s, 1 + s): equal planes would get equal outputs, and only
what follows would ever tell them apart. a is not differentiated. theta, eta, lambda, M's learning rate and the split of
the phases are tunable guesses. The centre loss is a mean where the paper sums over samples, as is our task loss. Class
means follow Wen et al. with rate alpha: f' <- f' + alpha sum (f - f') / (1 + n). M does not decay and shares C's
schedule. More than two centres (U = 3, 4) are not offered. The paper copies the image's channels K times; here the
full-precision stem makes the first feature maps. A layer whose channels cannot be grouped by K has the largest number
of planes that divides K and both sides; a depthwise convolution has one. MCN-1 learns the K scalars themselves, which
is the forward pass of averaged planes. No code of the authors is known.

References:
    Wang, Zhang, Li, Ji, Han, Liu, "Modulated Convolutional Networks", CVPR 2018. Equation numbers: Zhang et al., "Binary
    Neural Networks: Algorithms, Architectures, and Applications", CRC Press, section 3.4.
    Centres: Wen, Zhang, Li, Qiao, "A Discriminative Feature Learning Approach for Deep Face Recognition", ECCV 2016.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.class_centres import centre_distance, classifier_of, follow
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d
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
from nas_service.binarization.sign import identity_sign, sign
from search_spaces.cost import ConvShape, Precision

_CENTRE_PHASE = "centre-loss"


class McnSettings(MethodSettings):
    """Settings of MCN."""

    planes: int = Field(4, ge=1, le=64, description="K: channels of a feature map, outputs that share a binary filter.")
    mcn1: bool = Field(default=False, description="MCN-1: one factor a plane instead of one for every kernel position.")
    filter_loss: float = Field(1e-3, ge=0, description="theta: weight of both losses that tie the filters to their binary form.")
    lookahead: float = Field(1e-2, ge=0, description="eta: length of the gradient step that the second filter loss looks ahead.")
    centre_loss: float = Field(1e-4, ge=0, description="lambda: weight of the centre loss in the last phase; 0: no such phase.")
    centre_share: float = Field(0.2, gt=0, lt=1, description="Share of the epochs that the phase with centre loss gets.")
    centre_learning_rate: float = Field(0.1, gt=0, description="Factor on the learning rate in the phase with centre loss.")
    centre_rate: float = Field(0.5, gt=0, le=1, description="alpha: how fast the class means follow the features.")
    modulation_learning_rate: float = Field(0.1, gt=0, description="eta2 / eta1: factor on the learning rate for M.")
    modulation_spread: float = Field(0.5, ge=0, le=1, description="s: M starts uniform in [1 - s, 1 + s].")
    alternating: bool = Field(default=True, description="Update M after C, from a forward and backward pass of its own.")


class _BinaryFilters(Function):
    """Forward: C^ = mean |C| sign(C). Backward: dL/dC = gain * dL/dC^ - pull * (C^ - C)."""

    @staticmethod
    def forward(ctx: Context[tuple[float, float]], weight: Tensor, gain: float, pull: float) -> Tensor:
        binary = sign(weight) * weight.abs().mean()  # in place a compiler may lose the gradient: see `sign`
        ctx.kept = gain, pull
        ctx.save_for_backward(weight, binary)
        return binary

    @staticmethod
    def backward(ctx: Context[tuple[float, float]], *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        weight, binary = ctx.saved_tensors
        gain, pull = ctx.kept
        gradient = grad_outputs[0] * gain
        if pull:
            gradient.add_(weight - binary, alpha=pull)
        return gradient, None, None


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs


class McnConv2d(BinaryConv2d):
    """y = conv(x, C^ o M) with `planes` outputs a binary filter; see the module's text.

    Attributes:
        weight: C, (Co / K, Ci / groups, k, k).
        modulation: M, (K, k, k), or (K, 1, 1) in MCN-1.
        planes: K of this layer.
    """

    def __init__(self, shape: ConvShape, settings: McnSettings) -> None:
        """Create latent filters and a random M around 1."""
        super().__init__(shape, weight_sign=identity_sign, activation_sign=_unchanged, pad_value=0.0)
        self.planes = shape.planes(settings.planes)
        self._pull = settings.filter_loss
        self._gain = 1 + settings.filter_loss * settings.lookahead
        side = 1 if settings.mcn1 else shape.kernel_size
        spread = settings.modulation_spread
        self.weight = nn.Parameter(self.weight.detach()[:: self.planes].clone())
        self.modulation = nn.Parameter(torch.empty(self.planes, side, side).uniform_(1 - spread, 1 + spread))

    def kernel(self) -> Tensor:
        """Return Q, (Co, Ci / groups, k, k)."""
        binary = apply(_BinaryFilters, self.weight, self._gain, self._pull)
        return (binary.unsqueeze(1) * self.modulation.unsqueeze(1)).flatten(0, 1)

    def filter_distance(self) -> Tensor:
        """Return sum over filters and planes of ||C_i - C^_i o M_j||^2, a scalar with gradients to C^, hence C, and M."""
        # The pull towards C^ is in `kernel` already: once a pass.
        binary = apply(_BinaryFilters, self.weight, self._gain, 0.0)
        modulated = binary.unsqueeze(1) * self.modulation.unsqueeze(1)
        return (self.weight.detach().unsqueeze(1) - modulated).square().sum()


class McnState(MethodState[McnConv2d]):
    """The filter loss, and running class means with the centre loss.

    Attributes:
        centres: f', (classes, features), or None without centre loss.
    """

    centres: Tensor | None

    def __init__(self, settings: McnSettings, classifier: nn.Linear) -> None:
        """Begin with centres at 0."""
        super().__init__()
        self._settings = settings
        self._centred = False
        self._seen: tuple[Tensor, Tensor] | None = None
        self.register_buffer(
            "centres", torch.zeros(classifier.out_features, classifier.in_features) if settings.centre_loss else None
        )

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Note whether the phase has centre loss."""
        del network
        self._centred = phase.name == _CENTRE_PHASE

    def losses(self, step: Step[McnConv2d]) -> dict[str, Tensor]:
        """Return (theta / 2) sum ||C - C^ o M||^2 and, in its phase, (lambda / 2) mean ||f - f'||^2."""
        losses: dict[str, Tensor] = {}
        if self._settings.filter_loss and step.layers:
            distances = [layer.filter_distance() for layer in step.layers]
            losses["filter"] = torch.stack(distances).sum() * (self._settings.filter_loss / 2)
        if self.centres is not None:
            self._seen = step.features.detach(), step.labels
            if self._centred:
                apart = centre_distance(step.features, step.labels, self.centres)
                losses["centre"] = apart * (self._settings.centre_loss / 2)
        return losses

    def end_step(self, layers: Sequence[McnConv2d]) -> None:
        """Move the class means towards the features of the step, in every phase."""
        del layers
        if self.centres is None or self._seen is None:
            return
        follow(self.centres, *self._seen, self._settings.centre_rate)
        self._seen = None


def _rectify(modulation: Tensor) -> None:
    """Replace M with |M| in place."""
    modulation.abs_()


@METHODS.register("mcn")
class Mcn(Method[McnConv2d]):
    """MCN makes several outputs of every binary filter, with a few real matrices that the whole layer shares.

    Example:
        >>> layer = Mcn.from_settings({"planes": 4})(ConvShape(in_channels=8, out_channels=8, kernel_size=3))
        >>> tuple(layer.weight.shape), tuple(layer.modulation.shape)  # two filters, four matrices: eight outputs
        ((2, 8, 3, 3), (4, 3, 3))
    """

    layer_type = McnConv2d
    summary = "weights only: binary filters times real matrices shared by the layer, K outputs a filter; real inputs"
    reference = "Wang et al., CVPR 2018"
    settings_model = McnSettings
    paper_recipe: ClassVar = {"epochs": 200, "batch_size": 128}  # optimizer and rates are not known
    hidden_terms: ClassVar = {"both filter losses": {"filter_loss": 0.0}}  # the second is in the backward pass alone
    inert: ClassVar = (Inert("modulation", "It moves by less than 1 %: what M is, its random start decides."),)
    settings: McnSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit a filter weight for K outputs, real inputs, K factors a kernel position or, in MCN-1, K in all."""
        spatial = not self.settings.mcn1
        precision = Precision(
            weight_bits=1,
            activation_bits=32,
            planes=self.settings.planes,
            scales_per_position=int(spatial),
            scales_per_plane=int(not spatial),
        )
        return MethodFacts(precision, surrogate=None, real_weight_stage=False)

    def __call__(self, shape: ConvShape) -> McnConv2d:
        """Make a layer."""
        return McnConv2d(shape, self.settings)

    def rules(self, layer: McnConv2d) -> dict[str, ParameterRule]:
        """M: after C, at its own learning rate, without decay, never negative."""
        del layer
        rate, turn = self.settings.modulation_learning_rate, int(self.settings.alternating)
        return {"modulation": ParameterRule(lr_multiplier=rate, decays=False, project=_rectify, turn=turn)}

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Train without the centre loss, then fine-tune with it."""
        if self.settings.centre_loss == 0:
            return (Phase("train", epochs),)
        if epochs < 2:  # noqa: PLR2004 - the number of phases
            raise ValueError(
                f"mcn with centre loss has 2 phases, and {epochs} epoch was given; allowed: 2 or more, or centre_loss 0"
            )
        tuned = min(epochs - 1, max(1, round(epochs * self.settings.centre_share)))
        return (Phase("train", epochs - tuned), Phase(_CENTRE_PHASE, tuned, self.settings.centre_learning_rate))

    def start(self, network: nn.Module) -> MethodState[McnConv2d]:
        """Return state with centres for the network's classes and features."""
        return McnState(self.settings, classifier_of(network))

    def freeze(self, layer: McnConv2d) -> FrozenConv:
        """Pack the filters' signs; keep a M as the kernel's factors."""
        weight, modulation = layer.weight.detach(), layer.modulation.detach()
        return FrozenConv(
            layer.shape,
            pack_signs(sign(weight)),
            None,
            layer.pad_value,
            binary_input=False,
            planes=layer.planes,
            kernel_scale=(weight.abs().mean() * modulation).float(),
        )
