"""RBCN: signs times a learnt matrix, trained against discriminators that tell it from a full-precision network; pruning.

Forward (equation 3.66 in Zhang et al.'s book): y = conv(sign(x), W^ o C) with W^ = sign(W), W (Co, Ci, k, k), and C learnt.
C's shape is not published: `scale` is `spatial` (k, k), shared by all filters of the layer, `channel` (Co,) or `scalar` (1,).
With the last two C multiplies the outputs of a convolution of signs, so that this stays an exact integer; with a spatial C
the deployed products are not binary. C starts, and starts a phase of binary weights, as the minimiser of the kernel loss: the
mean of |W| over what shares a factor.

Loss (3.62 to 3.64): L = L_S + a L_Adv + L_Kernel with L_S the task's and L_Kernel = (lambda / 2) sum ||W - C o W^||^2 over the
layers. Discriminators D, one for each tapped cell, see its output averaged over the pixels; R is a full-precision network's
of the same genotype, T the 1-bit network's. D climbs log D(R) + log(1 - D(T)); W and C descend (1 - D(T))^2, whose gradient
-2 (1 - D) dD is the printed one (3.63 prints logarithms). Means over images and taps, so that the weight a does not depend
on their number.

Backward: dL/dx = dL/dsign(x) tent(x) and dL/dW = dL/dW^ tent(W), tent(v) = 2 - 2|v| on (-1, 1), 0 elsewhere, for every term of
L; the printed pieces of dW^/dW are Bi-Real Net's tent with misprints. As printed,

    dL_Kernel/dW^ = -lambda (W - C o W^) o C,    dL_Kernel/dC = -lambda sum (W - C o W^) o W^,

so W itself is a constant in the loss. That moves W, if slowly (C is small), away from C o W^ where it should be pulled there;
`direct_gradient` adds the term lambda (W - C o W^) that a derivative with respect to W has and the print leaves out. At the
default lambda the loss is less than a thousandth of the gradient of W; it is 2 % of C's.

How much the adversary does: 6 % of the gradient of W, 9 % of C's. But after five epochs of digits the discriminators are all but
certain (D(R) 0.99, D(T) 0.01), where (1 - D(T))^2 is flat; a smaller `discriminator_learning_rate` delays that.

Update: D; then W and the network's other parameters; then C in a pass of its own, W fixed, with its own learning rate (eta2).
The pass of C's own is our reading: the book takes all gradients in one sweep (`alternate` off, half the price). After every
epoch a pass with the task's loss trains the batch norms alone ("update strategy").

The factor on the gradient, which is ours: C is in the kernel, so the gradient that reaches W is C times as small, and with SGD
hardly a sign flips. `rules` has 1 / C as it begins, 2 sqrt(n) for uniform weights of n a filter; Adam does not feel it.

Pruning (algorithm 4), on request, in a second phase that starts from the trained 1-bit network, called the baseline: soft
masks M (Co,) on the filters, F_out = conv(F_in, (W^ o M) o C), learnt by FISTA (`pruning_masks`) from
L_Data + a L_Adv, where L_Data = (1 / 2n) ||R - T||^2 compares the logits of the baseline (R) and the pruned network (T) over n
images, and fresh discriminators compare the taps of the two; they climb log D(R) + log(1 - D(T)) + log D(T). W and C go on
training with all losses and L_Data. The masks' step uses the gradients of a step's first pass; their l1 weight is adapted
so that no more filters vanish than are wanted, a share that grows over the first half of the phase: after each of its epochs
the smallest masks up to it are zero for good, over all layers, though every layer keeps a filter. The second half trains what
is left. Only convolutions without groups are pruned: of a depthwise one, a filter is an input channel of its own.

Left open by the paper: the shape of C, the weights and learning rates, which layers are tapped, the widths of D, the recipe;
all are settings or the recipe's, with guessed defaults. Decided here: D sees means over pixels, and log D(T) in algorithm 4 is
D's alone, since a student that descended it would make itself easier to tell.

Frozen: signs, C and, where pruned, the kept filters alone, their masks (times C, where C is not spatial) as scales. With
`prune` the declared precision is that of the network before its pruning.

References:
    Liu, Ding, Xia, Hu, Zhang, Liu, Zhuang, Guo, "RBCN: Rectified Binary Convolutional Networks for Enhancing the Performance of
    1-bit DCNNs", IJCAI 2019, arXiv 1908.07748; Liu et al., "Rectified Binary Convolutional Networks with Generative Adversarial
    Learning", IJCV 2021; Zhang et al., "Binary Neural Networks", CRC Press, section 3.6 (equations and algorithms).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import Field
from torch import Tensor, nn

from nas_service.binarization.discriminator import Discriminators
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
    Pass,
    Phase,
    Step,
)
from nas_service.binarization.pruning_masks import FilterMask, FilterPruning, Fista, gather_indices
from nas_service.binarization.sign import sign, tent, tent_sign
from search_spaces.cost import ConvShape, Precision
from search_spaces.network import Cell, CellStack, Network

_PRUNE = "prune"  # the second phase
_Width = Annotated[int, Field(ge=1, le=65_536)]


class Scale(StrEnum):
    """What shares a factor of C."""

    SPATIAL = "spatial"
    CHANNEL = "channel"
    SCALAR = "scalar"


class RbcnSettings(MethodSettings):
    """Settings of RBCN."""

    scale: Scale = Field(Scale.SPATIAL, strict=False, description="Shape of C: spatial (k, k), channel (Co,) or scalar (1,).")
    scale_learning_rate: float = Field(0.1, ge=0, le=10, description="Learning rate of C, a multiple of the weights' (eta2).")
    alternate: bool = Field(default=True, description="Update C in a pass of its own after W; without, a step costs half.")
    kernel_weight: float = Field(1e-4, ge=0, le=10, description="Weight of the kernel loss (lambda).")
    direct_gradient: bool = Field(
        default=False, description="Let the kernel loss pull W itself, which the printed gradient omits."
    )
    adversarial_weight: float = Field(0.1, ge=0, le=100, description="Weight of (1 - D(T))^2; 0: no discriminators, no teacher.")
    tapped_cells: int | None = Field(
        None, ge=1, le=64, description="How many of the last cells have a discriminator; None: every cell."
    )
    discriminator_widths: tuple[_Width, ...] = Field(
        (64, 32), strict=False, max_length=8, description="Hidden layers of a discriminator."
    )
    discriminator_learning_rate: float = Field(1e-3, gt=0, le=1, description="Of the discriminators' Adam.")
    norm_pass: bool = Field(default=True, description="After every epoch, train the batch norms alone for a pass.")
    prune: float | None = Field(
        None, gt=0, lt=1, description="Share of the filters that a second phase removes; None: no such phase."
    )
    pruning_epochs: float = Field(0.5, gt=0, lt=1, description="Share of the epochs that prune.")
    pruning_learning_rate: float = Field(1.0, gt=0, le=10, description="Learning rate of that phase, a multiple of the recipe's.")
    data_weight: float = Field(1.0, ge=0, le=100, description="Weight of L_Data, the distance to the logits before pruning.")
    mask_learning_rate: float = Field(0.04, gt=0, le=1, description="Step size of the masks (eta).")
    mask_sparsity: float = Field(0.01, ge=0, le=1000, description="Most l1 weight of the masks (lambda of the prox).")


class RbcnConv2d(BinaryConv2d):
    """y = M o conv(sign(x), sign(W) o C), M being 1 without pruning.

    Attributes:
        factors: C, (k, k), (Co,) or (1,).
        mask: M, if the layer can be pruned.
    """

    def __init__(self, shape: ConvShape, scale: Scale, *, prunable: bool) -> None:
        """Create latent weights and the C that fits them best."""
        super().__init__(shape, weight_sign=tent_sign, activation_sign=tent_sign)
        self.factor_scale = scale
        self.factors = nn.Parameter(self.best_factors())
        self.mask = FilterMask(shape.out_channels) if prunable and shape.groups == 1 else None

    @torch.no_grad()
    def best_factors(self) -> Tensor:
        """Return the C that minimises ||W - C o W^||^2: the mean of |W| over what shares a factor."""
        magnitude = self.weight.abs()
        if self.factor_scale is Scale.SPATIAL:
            return magnitude.mean((0, 1))
        return magnitude.mean((1, 2, 3)) if self.factor_scale is Scale.CHANNEL else magnitude.mean().view(1)

    def broadcast_factors(self) -> Tensor:
        """Return C in a shape that multiplies into W."""
        return self.factors if self.factor_scale is Scale.SPATIAL else self.factors.view(-1, 1, 1, 1)

    def kernel(self) -> Tensor:
        """Return sign(W), times a spatial C."""
        signs = self.binary_weight()
        return signs * self.factors if self.factor_scale is Scale.SPATIAL else signs

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply with the mask, and with a C that is not spatial."""
        del inputs
        # Where the weights are fixed (a pass for batch norms) the masks are, too.
        mask = None if self.mask is None else self.mask(moves=self.training and self.weight.requires_grad)
        if self.factor_scale is Scale.SPATIAL:
            return outputs if mask is None else times(outputs, mask)
        factors = self.factors if mask is None else self.factors * mask
        return times(outputs, factors)

    def forward(self, inputs: Tensor) -> Tensor:
        """As ever; in evaluation only the filters that are left are computed, as in the frozen layer, to the last bit."""
        if self.training or self.real_weights or self.mask is None:
            return super().forward(inputs)
        mask = self.mask()
        kept = mask != 0
        if bool(kept.all()):
            return super().forward(inputs)
        outputs = self.convolve(inputs, self.kernel()[kept])
        factors = mask if self.factor_scale is Scale.SPATIAL else self.factors * mask
        return F.pad(outputs * factors[kept].view(1, -1, 1, 1), (0, 0, 0, 0, 0, 1))[:, gather_indices(kept)]

    def kernel_error(self, *, direct: bool) -> Tensor:
        """Return ||W - C o W^||^2, a scalar; its gradient reaches W through W^, and itself only if `direct`."""
        latent = self.weight if direct else self.weight.detach()
        return (latent - self.broadcast_factors() * self.weight_sign(self.weight)).square().sum()


class RbcnState(MethodState[RbcnConv2d]):
    """The discriminators, the losses and, for its phase, the pruning.

    Attributes:
        adversaries: Discriminators by what they compare with, `teacher` or `baseline`; empty without an adversarial loss.
        pruning: Masks and baseline; None where nothing is pruned.
    """

    def __init__(
        self,
        settings: RbcnSettings,
        layers: Sequence[RbcnConv2d],
        channels: Mapping[str, int],
        pruning: FilterPruning | None,
    ) -> None:
        """Make discriminators for the taps of `channels`, output channels by name."""
        super().__init__(layers)
        self.settings = settings
        self.taps = tuple(channels)
        if settings.norm_pass:
            self.passes = (Pass("train"), Pass("batch-norm", trains=(nn.BatchNorm2d,)))
        names = () if not channels else ("teacher",) if pruning is None else ("teacher", "baseline")
        widths, rate = settings.discriminator_widths, settings.discriminator_learning_rate
        self.adversaries = nn.ModuleDict({name: Discriminators(channels, widths, rate) for name in names})
        self.pruning = pruning

    @property
    def _running(self) -> FilterPruning | None:
        return self.pruning if self.pruning is not None and self.pruning.runs else None

    @property
    def adversary(self) -> Discriminators | None:
        """The discriminators of the phase that runs."""
        if not self.adversaries:
            return None
        chosen = self.adversaries["teacher" if self._running is None else "baseline"]
        assert isinstance(chosen, Discriminators)  # noqa: S101 - for the type checker; set in __init__
        return chosen

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return the discriminators'."""
        return {name: part.optimizer for name, part in self.adversaries.items() if isinstance(part, Discriminators)}

    @torch.no_grad()
    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Fit C to what a stage with real weights may have left, or start to prune the trained network."""
        if phase.name == _PRUNE and self.pruning is not None:
            self.pruning.start(network, phase.epochs)
            return
        for layer in self.layers:
            layer.factors.copy_(layer.best_factors())

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Let the share of filters that may be zero grow."""
        if self._running is not None:
            self._running.allow(epochs - epoch)

    def adversary_step(self, step: Step[RbcnConv2d]) -> None:
        """Let the discriminators learn to tell the student's taps from the teacher's, or from the baseline's."""
        real = step.teacher_taps if self._running is None else self._running.watch(step.images, self.taps)
        if self.adversary is not None:
            self.adversary.ascend(real, step.taps, doubt=self._running is not None)

    def losses(self, step: Step[RbcnConv2d]) -> dict[str, Tensor]:
        """Return the kernel loss, the adversarial loss and, while pruning, L_Data; the last two guide the masks."""
        settings = self.settings
        losses: dict[str, Tensor] = {}
        if self.adversary is not None:
            losses["adversarial"] = settings.adversarial_weight * self.adversary.generator_loss(step.taps)
        if self._running is not None:
            losses["data"] = settings.data_weight * self._running.distance(step.logits)
            self._running.take_gradients(torch.stack(list(losses.values())).sum(), step.layers)
        if settings.kernel_weight:
            errors = [layer.kernel_error(direct=settings.direct_gradient) for layer in step.layers]
            losses["kernel"] = torch.stack(errors).sum() * (settings.kernel_weight / 2)
        return losses

    def end_step(self, layers: Sequence[RbcnConv2d]) -> None:
        """Move the masks."""
        if self._running is not None:
            self._running.step(layers)

    def end_epoch(self, network: nn.Module) -> None:
        """Remove the smallest masks, up to the share that the epoch allows."""
        if self._running is not None:
            self._running.remove(network)

    def metrics(self) -> dict[str, float]:
        """Return the mean D(R) and D(T) of the last step, and how many filters are gone."""
        figures = {} if self._running is None else {"pruned_filters": float(self._running.removed)}
        if self.adversary is not None:
            figures["discriminator_real"] = float(self.adversary.real_score)
            figures["discriminator_fake"] = float(self.adversary.fake_score)
        return figures


def _cell_channels(network: nn.Module, most: int | None) -> dict[str, int]:
    """Return the output channels of the last `most` cells by name: what the next one, or the classifier, takes in."""
    if not isinstance(network, CellStack):
        message = f"the adversarial loss looks at cells, and {type(network).__name__} has none; set adversarial_weight to 0"
        raise TypeError(message)
    channels = {f"cells.{index}": cell.out_channels for index, cell in enumerate(network.cells) if isinstance(cell, Cell)}
    return dict(list(channels.items())[-(most or len(channels)) :])


@METHODS.register("rbcn")
class Rbcn(Method[RbcnConv2d]):
    """RBCN multiplies signs with a learnt matrix, and trains until discriminators take it for a full-precision network.

    Example:
        >>> layer = Rbcn.from_settings({})(ConvShape(in_channels=4, out_channels=2, kernel_size=3))
        >>> torch.equal(layer.kernel(), sign(layer.weight) * layer.factors)  # one matrix for all filters
        True
    """

    layer_type = RbcnConv2d
    summary = "signs times a learnt matrix, trained to pass for a full-precision network; can remove filters"
    reference = "Liu et al., IJCAI 2019, arXiv 1908.07748"
    settings_model = RbcnSettings
    revision = 2  # the factor on the gradient of W
    settings: RbcnSettings
    inert: ClassVar = (Inert("kernel", "As printed it reaches W through its sign alone, times the small C; it trains C."),)

    @property
    def facts(self) -> MethodFacts:
        """One bit each and C; where filters can be pruned, a mask for each output, with C in it unless C is spatial.

        The teacher is for the discriminators. They and the masks have optimizers that count on the host.
        """
        scale, prunable, adversarial = self.settings.scale, self.settings.prune is not None, self.settings.adversarial_weight > 0
        precision = Precision(
            weight_bits=1,
            activation_bits=1,
            scales_per_output=int(prunable or scale is Scale.CHANNEL),
            scales_per_layer=int(not prunable and scale is Scale.SCALAR),
            scales_per_position=int(scale is Scale.SPATIAL),
        )
        why = "rbcn with discriminators or pruning steps optimizers of its own on the host"
        eager = why if adversarial or prunable else None
        return MethodFacts(precision, surrogate=tent, needs_teacher=adversarial, needs_eager=eager)

    def __call__(self, shape: ConvShape) -> RbcnConv2d:
        """Make a layer."""
        return RbcnConv2d(shape, self.settings.scale, prunable=self.settings.prune is not None)

    def rules(self, layer: RbcnConv2d) -> dict[str, ParameterRule]:
        """Step C after W, at its own rate; weight decay would shrink it for no reason. W steps as if C had been 1."""
        turn = int(self.settings.alternate)
        return {
            "weight": ParameterRule(gradient_factor=2 * layer.shape.fan_in**0.5),
            "factors": ParameterRule(lr_multiplier=self.settings.scale_learning_rate, decays=False, turn=turn),
        }

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Train, then prune if asked."""
        if self.settings.prune is None:
            return (Phase("train", epochs),)
        if epochs <= 1:
            raise ValueError(f"training and pruning need at least 2 epochs, and {epochs} was given")
        pruning = min(epochs - 1, max(1, round(epochs * self.settings.pruning_epochs)))
        return (Phase("train", epochs - pruning), Phase(_PRUNE, pruning, self.settings.pruning_learning_rate))

    def start(self, network: nn.Module) -> MethodState[RbcnConv2d]:
        """Make the discriminators; a supernet's paths are not pruned."""
        settings = self.settings
        channels = _cell_channels(network, settings.tapped_cells) if settings.adversarial_weight else {}
        pruning = None
        if settings.prune is not None and isinstance(network, Network):
            pruning = FilterPruning(network, Fista(settings.mask_learning_rate, settings.mask_sparsity), settings.prune)
        return RbcnState(settings, self.layers_of(network), channels, pruning)

    def freeze(self, layer: RbcnConv2d) -> FrozenConv:
        """Pack the signs of the filters that are left, with C and their masks."""
        factors, signs = layer.factors.detach(), sign(layer.weight)
        inside = factors.unsqueeze(0) if layer.factor_scale is Scale.SPATIAL else None
        scale = None if layer.factor_scale is Scale.SPATIAL else factors
        if self.settings.prune is None:
            return FrozenConv(layer.shape, pack_signs(signs), scale, layer.pad_value, kernel_scale=inside)
        mask = factors.new_ones(layer.shape.out_channels) if layer.mask is None else layer.mask()
        scale = mask if scale is None else scale * mask
        kept = mask != 0
        if bool(kept.all()):
            return FrozenConv(layer.shape, pack_signs(signs), scale, layer.pad_value, kernel_scale=inside)
        return FrozenConv(
            layer.shape,
            pack_signs(signs[kept]),
            scale[kept],
            layer.pad_value,
            kernel_scale=inside,
            gather=gather_indices(kept),
            filters=int(kept.sum()),
        )
