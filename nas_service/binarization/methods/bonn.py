"""BONN: a prior of two modes for the latent weights, Gaussian classes for the features, and pruning by likeness.

Shapes: k, the latent weights, (Co, Ci / groups, H, W); w, (H, W), one matrix a layer; mu and sigma, (Co,); n = Ci / groups H W
weights a filter. k^ = sign(k). "o" multiplies element by element and repeats w over filters and channels.

Forward (3.111): the kernel is k^, the layer's outputs are multiplied with 1 / wbar, wbar = mean(w) > 0: one float a layer.

Model: w^-1 o k^ - k is Gaussian noise, and a filter's positive (negative) weights are Gaussian around mu_i (-mu_i) with standard
deviation sigma_i. The negative logarithm of the posterior is the kernel loss (3.102, 3.108):

    L_K = lambda / 2 sum over layers, filters i, weights p of (k^ - w k)^2 + nu ((|k| - mu_i)^2 / sigma_i^2 + log sigma_i^2)

Backward: w is a mean in the forward pass and a matrix in the backward pass and in L_K. With g = dL_S / dk^, sums over filters
and channels for w and over the weights of a filter for mu and sigma, sums of the latter divided by n:

    dL/dk = g o 1[|w o k| <= 1] o w + lambda (w o (w o k - k^) + nu sign(k) (|k| - mu) / sigma^2)
    dL/dw = sum(g o 1[|w o k| <= 1] o k) + lambda sum((w o k - k^) o k)
    dL/dmu = lambda nu / n sum(mu - |k|) / sigma^2
    dL/dsigma = lambda nu / n sum(1 / sigma - (|k| - mu)^2 / sigma^3)

Feature loss (3.108), in a phase of fine-tuning, f (batch, features) being the classifier's input and m a sample's class:
theta / 2 mean over samples of sum((f - c_m)^2 + (f - c_m)^2 / s_m^2 + log s_m^2). No optimizer trains the centres c and the
deviations s: after the loss of every step, with n_m samples of class m, c_m moves by `centre_rate` times
sum(f - c_m) / (1 + n_m), the centre loss's rule, and s_m^2 likewise by sum((f - c_m)^2 - s_m^2) / (1 + n_m). That is the
negative gradient with respect to s_m^2 times s_m^4, up to a factor: a natural gradient step, after which s_m^2 is positive.

Pruning (Bayesian pruning, the last phase, with `keep_filters`): K-means puts the Co filters of every layer that is not grouped
into J = max(1, int(keep_filters Co)) groups, once. From then on filter i of a group of I filters with mean Kbar is

    K_i <- (1 - gamma) K_i + gamma Kbar

before its sign, and gamma grows from 1 / epochs to 1 in the phase's last epoch. L_P = sum over filters of
||K_i - Kbar||^2 + nu (||K_i - Kbar||^2 / sigma_i^2 + n log sigma_i^2) is added; Kbar and sigma are constants in it. The
gradient, at every gamma: dL/dK_i = (1 / I) dL/dKbar + 2 (K_i - Kbar) (1 + nu / sigma_i^2), where dL/dKbar sums those of L_S and
L_K, which sees the same filters as the forward pass, over the group. In evaluation gamma is 1: what is scored is what is
exported, one filter a group.

Initial values: k uniform as in any layer, within 1 / sqrt(n); w uniform within 10 % of sqrt(n), so that w k is within about +-1
and the outputs of random signs have a variance of about 1; mu and sigma mean and standard deviation of a filter's |k| (the
plain mean is about 0).

Differences and what the paper leaves open:
- Its algorithm 5 puts wbar into k^, its equation 3.111 divides by wbar. We take the latter: only then does L_K compare w o k
  with +-1. So g is the gradient with respect to the kernel of +-1 and contains the factor 1 / wbar: what reaches k is
  w / wbar times the gradient with respect to the scaled kernel.
- dL/dw as printed leaves out the derivative through 1 / wbar, so it need not be a descent direction of L_S. In trials (digits, 12
  epochs, two seeds) wbar moved by at most 6 %, and adding that derivative made no clear difference.
- Pruning has the recipe's full rate: with a tenth of it the shared filters hardly recovered in trials.
- wbar is kept above a floor by adding to w, sigma by clamping; the paper does not say how.
- nu, the rates and the lengths of the phases are not given; theta is among its best. lambda = 1e-4 is its best on CIFAR; on
  digits, with 48 channels, the kernel loss is then a third of the task's gradient and larger on most weights, drives |w k|
  to 1, which is where the mask ends, and holds nearly every sign where it began. Our default is 1e-5, with which it is
  a few per cent of the gradient and signs flip nearly as without it.
- The prior hardly acts: the terms with nu are less than a thousandth of the gradient of k, and mu and sigma begin where theirs
  vanish. With Adam mu and sigma follow the weights; nothing but these terms listens to them. With SGD they stay where they are,
  and so, nearly, does w, whose gradient is small beside its size of sqrt(n).
- In short trainings the feature loss and its phase cost accuracy: on the convolution-rich network of the benchmarks (digits, 16
  channels, 8 epochs, three seeds, test) 87.0 % with and 91.6 % without it with Adam (`feature_loss` 0; Bi-Real Net 89.7), 92.7
  and 95.0 % with SGD (94.8). The kernel loss is not what holds it back: without it, 88.8 and 92.7 %. The default is the paper's.
- L_K is summed over weights and not divided by their number, as printed, except in the gradients of mu and sigma.
- The paper zeroes the channels of removed filters; here they repeat the outputs of the filter that their group keeps, which is
  what the network computed when it was trained with gamma = 1. So pruning changes no output.

References:
    Gu et al., "Bayesian Optimized 1-Bit CNNs", ICCV 2019, arXiv 1908.06314. Zhao et al., "Towards Compact 1-bit CNNs via Bayesian
    Learning", IJCV 2021. Equation numbers: Zhang et al., "Binary Neural Networks", CRC Press, section 3.7. Centre loss: Wen et
    al., ECCV 2016.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.class_centres import classifier_of
from nas_service.binarization.filter_groups import group_filters, group_means
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
from nas_service.recipes.recipe import OptimizerName
from search_spaces.cost import ConvShape, Precision

FINE_TUNE, PRUNE = "fine-tune", "prune"
SMALLEST_STRETCH = 0.1
SMALLEST_SPREAD = 0.01


class BonnSettings(MethodSettings):
    """Settings of BONN."""

    kernel_loss: float = Field(1e-5, ge=0, le=1, description="lambda: weight of the Bayesian kernel loss; the paper's is 1e-4.")
    prior: float = Field(1e-4, ge=0, le=1, description="nu: weight of the two-mode prior within the kernel loss.")
    feature_loss: float = Field(1e-3, ge=0, le=1, description="theta: weight of the feature loss; 0: no phase for it.")
    prior_rate: float = Field(0.1, ge=0, le=1e6, description="Factor on the learning rate of mu and sigma.")
    centre_rate: float = Field(0.5, gt=0, le=1, description="Rate of the class centres and deviations.")
    keep_filters: float | None = Field(
        None, gt=0, lt=1, description="Share of each layer's filters that pruning keeps (epsilon); none: no pruning."
    )
    fine_tune_share: float = Field(0.2, gt=0, lt=0.5, description="Share of the epochs that the feature loss is on alone.")
    prune_share: float = Field(0.3, gt=0, lt=0.5, description="Share of the epochs for pruning, the last ones.")
    fine_tune_rate: float = Field(0.1, gt=0, le=1, description="Factor on the learning rate while fine-tuning.")


class _KernelSign(Function):
    """(k, w) -> sign(k). Backward: dL/dk = g o 1[|w o k| <= 1] o w and dL/dw = sum of g o 1[.] o k."""

    @staticmethod
    def forward(ctx: Context, latent: Tensor, stretch: Tensor) -> Tensor:
        ctx.save_for_backward(latent, stretch)
        return sign(latent)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, Tensor]:
        latent, stretch = ctx.saved_tensors
        passed = grad_outputs[0] * ((stretch * latent).abs() <= 1)
        return passed * stretch, (passed * latent).sum((0, 1))


class _KernelLoss(Function):
    """(k, w, mu, sigma, nu) -> L_K / lambda of one layer, with the gradients of the module's text."""

    @staticmethod
    def forward(ctx: Context, latent: Tensor, stretch: Tensor, mode: Tensor, spread: Tensor, prior: float) -> Tensor:
        mode, spread = mode.view(-1, 1, 1, 1), spread.view(-1, 1, 1, 1)
        signs, variance = sign(latent), spread.square()
        error = stretch * latent - signs
        distance = latent.abs() - mode
        average = distance.square().mean((1, 2, 3), keepdim=True)
        by_latent = error * stretch + prior * signs * distance / variance
        by_mode = -prior * distance.mean((1, 2, 3)) / variance.flatten()
        by_spread = (prior * (1 / spread - average / (variance * spread))).flatten()
        ctx.save_for_backward(by_latent, (error * latent).sum((0, 1)), by_mode, by_spread)
        likelihood = (average / variance + variance.log()).sum() * (latent.numel() / len(latent))
        return (error.square().sum() + prior * likelihood) / 2

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return (*(grad_outputs[0] * gradient for gradient in ctx.saved_tensors), None)


class _Merge(Function):
    """(K, groups, gamma) -> (1 - gamma) K + gamma Kbar. Backward: every filter of a group gets the mean of its gradients."""

    @staticmethod
    def forward(ctx: Context, latent: Tensor, groups: Tensor, gamma: float) -> Tensor:
        ctx.save_for_backward(groups)
        return torch.lerp(latent, group_means(latent, groups), gamma)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        return group_means(grad_outputs[0], ctx.saved_tensors[0]), None, None


class BonnConv2d(BinaryConv2d):
    """y = conv(sign(x), sign(k)) / wbar.

    Attributes:
        stretch: w, (H, W).
        mode: mu, (Co,).
        spread: sigma, (Co,).
        alike: Which filters are in one group, bool, (Co, Co); each is alone until pruning begins. Bits, and not the groups'
            numbers, since those survive neither a moving average nor a narrow dtype. None: never pruned.
        gamma: How far filters have moved to their group's mean, while training.
    """

    alike: Tensor | None
    gamma = 0.0

    def __init__(self, shape: ConvShape, settings: BonnSettings) -> None:
        """Create latent weights and what describes them."""
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=clipped_sign)
        self.settings = settings
        magnitudes = self.weight.detach().abs().flatten(1)
        stretch = torch.empty(shape.kernel_size, shape.kernel_size).uniform_(0.9, 1.1)
        self.stretch = nn.Parameter(stretch * shape.fan_in**0.5)
        self.mode = nn.Parameter(magnitudes.mean(1))
        self.spread = nn.Parameter(magnitudes.std(1, correction=0).clamp_min(SMALLEST_SPREAD))
        prunable = settings.keep_filters is not None and shape.groups == 1
        self.register_buffer("alike", torch.eye(shape.out_channels, dtype=torch.bool) if prunable else None)

    def groups(self) -> Tensor | None:
        """Return the first filter of each filter's group, int64, (Co,); None: never pruned."""
        return None if self.alike is None else self.alike.int().argmax(1)

    def merged(self, gamma: float) -> Tensor:
        """Return (1 - gamma) k + gamma kbar, which is k where nothing is pruned."""
        groups = self.groups() if gamma else None
        return self.weight if groups is None else apply(_Merge, self.weight, groups, gamma)

    def latent(self) -> Tensor:
        """Return k, or what pruning makes of it; in evaluation with gamma = 1."""
        return self.merged(self.gamma if self.training else 1.0)

    def binary_weight(self) -> Tensor:
        """Return k^ = sign(k), whose gradient reaches k and w."""
        if not self.training:
            return sign(self.latent())
        return apply(_KernelSign, self.latent(), self.stretch)

    def factor(self) -> Tensor:
        """Return 1 / wbar, (1,); without a gradient, see the module's text."""
        return self.stretch.detach().mean().reciprocal().view(1)

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with 1 / wbar."""
        del inputs
        return times(outputs, self.factor())

    def kernel_loss(self) -> Tensor:
        """Return L_K of the layer, with its weight lambda."""
        loss = apply(_KernelLoss, self.latent(), self.stretch, self.mode, self.spread, self.settings.prior)
        return self.settings.kernel_loss * loss

    def pruning_loss(self) -> Tensor:
        """Return L_P of the layer; only a prunable one has it."""
        groups = self.groups()
        assert groups is not None  # noqa: S101 - for the type checker
        variance = self.spread.detach().square()
        distance = (self.weight - group_means(self.weight.detach(), groups)).square().sum((1, 2, 3))
        prior = distance / variance + self.shape.fan_in * variance.log()
        return (distance + self.settings.prior * prior).sum()


def keep_stretch(stretch: Tensor) -> None:
    """Add to w, in place, what its mean lacks to `SMALLEST_STRETCH`."""
    stretch.add_((SMALLEST_STRETCH - stretch.mean()).clamp_min(0))


def keep_spread(spread: Tensor) -> None:
    """Clamp sigma, in place, to at least `SMALLEST_SPREAD`."""
    spread.clamp_min_(SMALLEST_SPREAD)


class BonnState(MethodState[BonnConv2d]):
    """Class centres and deviations, and how far pruning has come.

    Attributes:
        centres: c, (classes, features).
        variances: s^2, (classes, features).
    """

    centres: Tensor
    variances: Tensor

    def __init__(self, settings: BonnSettings, layers: Sequence[BonnConv2d], classifier: nn.Linear) -> None:
        """Start with centres at 0 and variances of 1."""
        super().__init__(layers)
        self._settings = settings
        self._phase = Phase("train", 0)
        self._seen: tuple[Tensor, Tensor] | None = None
        self.register_buffer("centres", torch.zeros(classifier.out_features, classifier.in_features))
        self.register_buffer("variances", torch.ones(classifier.out_features, classifier.in_features))

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Group the filters of every prunable layer when pruning begins."""
        del network
        self._phase = phase
        share = self._settings.keep_filters
        if phase.name != PRUNE or share is None:
            return
        for layer in self.layers:
            if layer.alike is not None:
                groups = group_filters(layer.weight.detach(), max(1, int(share * layer.shape.out_channels)))
                layer.alike.copy_(groups.unsqueeze(0) == groups.unsqueeze(1))

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Set gamma: 1 in the last epoch of pruning, which ends the training."""
        if self._phase.name == PRUNE:
            for layer in self.layers:
                layer.gamma = 1 - (epochs - epoch - 1) / self._phase.epochs

    def losses(self, step: Step[BonnConv2d]) -> dict[str, Tensor]:
        """Return the kernel loss, and the feature and pruning losses in their phases."""
        layers = step.layers
        losses: dict[str, Tensor] = {}
        if self._settings.kernel_loss:
            losses["kernel"] = torch.stack([layer.kernel_loss() for layer in layers]).sum()
        if self._settings.feature_loss and self._phase.name in {FINE_TUNE, PRUNE}:
            losses["feature"] = self.feature_loss(step.features, step.labels)
            self._seen = step.features.detach(), step.labels
        pruned = [layer.pruning_loss() for layer in layers if layer.alike is not None and self._phase.name == PRUNE]
        if pruned:
            losses["pruning"] = torch.stack(pruned).sum()
        return losses

    def end_step(self, layers: Sequence[BonnConv2d]) -> None:
        """Move the centres towards the features of the step."""
        del layers
        if self._seen is not None:
            self.follow(*self._seen)
            self._seen = None

    def feature_loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the weighted feature loss of `features` (batch, features) with `labels` (batch,)."""
        variances = self.variances[labels]
        distances = (features - self.centres[labels]).square()
        return self._settings.feature_loss / 2 * (distances + distances / variances + variances.log()).sum(1).mean()

    @torch.no_grad()
    def follow(self, features: Tensor, labels: Tensor) -> None:
        """Move the centres and variances of the classes that `labels` (batch,) names."""
        distances = features.to(self.centres.dtype) - self.centres[labels]
        growth = distances.square() - self.variances[labels]
        classes = torch.arange(len(self.centres), device=labels.device)
        counts = (labels.unsqueeze(1) == classes).sum(0).to(self.centres.dtype)  # bincount would wait for the labels
        rates = self._settings.centre_rate / (1 + counts).unsqueeze(1)
        self.variances += rates * torch.zeros_like(self.centres).index_add_(0, labels, growth)
        self.centres += rates * torch.zeros_like(self.centres).index_add_(0, labels, distances)


@METHODS.register("bonn")
class Bonn(Method[BonnConv2d]):
    """BONN draws latent weights to two modes and features to one Gaussian for every class, and can prune filters that are alike.

    Example:
        >>> layer = Bonn.from_settings({})(ConvShape(in_channels=4, out_channels=2, kernel_size=1))
        >>> integers = layer(torch.randn(1, 4, 1, 1)) / layer.factor()  # one scale for the layer
        >>> torch.allclose(integers, integers.round())
        True
    """

    layer_type = BonnConv2d
    summary = "one scale a layer, a two-mode prior on latent weights, Gaussian class features, optional pruning"
    reference = "Gu et al., ICCV 2019, arXiv 1908.06314; Zhao et al., IJCV 2021"
    settings_model = BonnSettings
    settings: BonnSettings
    hidden_terms: ClassVar = {"prior": {"prior": 0.0}}  # a part of the kernel loss
    inert: ClassVar = (
        Inert("prior", "Its weight nu is a ten-thousandth of a loss that is itself a small part of the gradient."),
        Inert("mode", "It begins where its gradient vanishes, and that gradient has the prior's weight.", (OptimizerName.SGD,)),
        Inert("spread", "It begins where its gradient vanishes, and that gradient has the prior's weight.", (OptimizerName.SGD,)),
        Inert("stretch", "Its gradient is small beside its size, the root of the weights in a filter.", (OptimizerName.SGD,)),
    )
    paper_recipe: ClassVar = {"optimizer": "sgd", "learning_rate": 0.1, "epochs": 200}

    @property
    def facts(self) -> MethodFacts:
        """One bit each and one scale a layer; pruning makes it smaller, and its gamma is a constant of compiled code."""
        prunes = self.settings.keep_filters is not None
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1, scales_per_layer=1),
            changes_every_epoch="bonn with pruning merges filters further with every epoch" if prunes else None,
        )

    def __call__(self, shape: ConvShape) -> BonnConv2d:
        """Make a layer."""
        return BonnConv2d(shape, self.settings)

    def rules(self, layer: BonnConv2d) -> dict[str, ParameterRule]:
        """Keep wbar and sigma away from 0; none of w, mu and sigma decays."""
        del layer
        rate = self.settings.prior_rate
        return {
            "stretch": ParameterRule(decays=False, project=keep_stretch),
            "mode": ParameterRule(lr_multiplier=rate, decays=False),
            "spread": ParameterRule(lr_multiplier=rate, decays=False, project=keep_spread),
        }

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        """Train, fine-tune with the feature loss if there is one, prune if asked."""
        settings, later = self.settings, []
        if settings.feature_loss:
            later.append(Phase(FINE_TUNE, max(1, round(settings.fine_tune_share * epochs)), settings.fine_tune_rate))
        if settings.keep_filters is not None:
            later.append(Phase(PRUNE, max(1, round(settings.prune_share * epochs))))
        first = epochs - sum(phase.epochs for phase in later)
        if first < 1:
            raise ValueError(f"BONN with these settings needs at least {len(later) + 1} epochs, and {epochs} were given")
        return (Phase("train", first), *later)

    def start(self, network: nn.Module) -> MethodState[BonnConv2d]:
        """Return state for the features and classes of the network's classifier."""
        return BonnState(self.settings, self.layers_of(network), classifier_of(network))

    def freeze(self, layer: BonnConv2d) -> FrozenConv:
        """Pack the signs, of the first filter of each group where pruning made groups, and keep the layer's scale."""
        signs, scale, groups = sign(layer.merged(1.0)), layer.factor(), layer.groups()
        kept = None if groups is None else groups.unique()
        if groups is None or kept is None or len(kept) == len(groups):
            return FrozenConv(layer.shape, pack_signs(signs), scale, layer.pad_value)
        gather = torch.searchsorted(kept, groups)
        return FrozenConv(layer.shape, pack_signs(signs[kept]), scale, layer.pad_value, gather=gather, filters=len(kept))
