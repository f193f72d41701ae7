"""AdaBin: weights and activations take two values that fit them, instead of -1 and +1.

Forward, activations: s = sign(x - beta_a), and what is convolved is alpha_a (s + beta_a): the values alpha_a (beta_a - 1) and
alpha_a (beta_a + 1), with a distance alpha_a and a centre beta_a that are learnt for the layer, from 1 and 0.
Forward, weights: beta_w is the mean of a filter and alpha_w = |W - beta_w| / sqrt(n) its standard deviation (n = Ci k k weights);
b = sign((W - beta_w) / alpha_w), and what it is convolved with is alpha_w b + beta_w: beta_w - alpha_w and beta_w + alpha_w. By
the paper's derivation these are the two values with the least Kullback-Leibler divergence from the real weights.

y = conv(pad(alpha_a (s + beta_a)), alpha_w b + beta_w) is computed as
    y = alpha_a alpha_w D + alpha_a beta_w S + alpha_a beta_a (alpha_w sum b + beta_w n)
with the integers D = conv(pad(s), b) and S = conv(pad(s), 1); S, one map for each group of the layer, comes from one more filter
of +1. s is padded with -1, so activations with the lower of their values, and the third term is the same at borders as elsewhere.
The frozen form has the three factors of every filter, and computes the same.

Backward, activations: d s / d u = max(0, 2 - 2|u|) with u = (x - beta_a) / alpha_a. With g the gradient at the values
alpha_a (s + beta_a), padding included, and h = g max(0, 2 - 2|u|): dL/dx = h, dL/dalpha_a = sum g (s + beta_a) - sum h u, and
dL/dbeta_a = alpha_a sum g - sum h.
Backward, weights: d b / d v = k t (1 - tanh(t v)^2) with v = (W - beta_w) / alpha_w: IR-Net's error decay estimator and its
schedule (`ir_net.py`). alpha_w and beta_w are functions of W, inside v and outside.

The nonlinearity is Maxout, y = gamma+ max(x, 0) + gamma- min(x, 0) with both slopes learnt for every channel; `adapt` puts one in
the place of every PReLU, with gamma+ = 1 and the PReLU's own slope for gamma-.

Differences: the text has beta_a as the centre itself, alpha_a s + beta_a; this is the authors' code. alpha_a stays at 1e-3 or
above, in a first stage with real weights too: below 0 it would turn the signs around. A filter of one weight, or of equal ones,
has alpha_w = 0 and one value, beta_w. alpha_a, beta_a and the slopes have no weight decay, as no scalar and no vector has here.
Their SGD has plain momentum, ours Nesterov's, and their ImageNet recipe (120 epochs, weight decay 1e-5, batch size 256) is left
out. The order of batch norm, shortcut and activation is the template's; a shift of batch norm before the sign does what beta_a
does as a threshold, though not what it does as a centre. The padding is the lower value and sign(0) = +1, where the code has 0
for both.

References:
    Tu, Chen, Ren, Wang, "AdaBin: Improving Binary Neural Networks with Adaptive Binary Sets", ECCV 2022, arXiv 2208.08084.
    Code: github.com/huawei-noah/Efficient-Computing, BinaryNetworks/AdaBin.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function

from nas_service.binarization.annealing import AnnealedState
from nas_service.binarization.autograd import Context, apply
from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.maxout import Maxout
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodState, ParameterRule
from nas_service.binarization.methods.ir_net import DecayedSlope, IrNetSettings
from nas_service.binarization.rprelu import replace_prelus
from nas_service.binarization.sign import SurrogateSign, sign, tent, tent_sign
from search_spaces.cost import ConvShape, Precision

_FILTER = (1, 2, 3)  # the dimensions of one
_LEAST_DISTANCE = 1e-3


class AdaBinSettings(IrNetSettings):
    """Settings of AdaBin: those of the gradient of its weights' signs, which is IR-Net's."""


class _AdaptiveSign(Function):
    """Forward: sign(x - centre). Backward: through the tent at u = (x - centre) / distance, and through u."""

    @staticmethod
    def forward(ctx: Context, inputs: Tensor, distance: Tensor, centre: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, distance, centre)
        return sign(inputs - centre)

    @staticmethod
    def backward(ctx: Context, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inputs, distance, centre = ctx.saved_tensors
        places = (inputs - centre) / distance
        passed = grad_outputs[0] * tent(places) / distance
        return passed, -(passed * places).sum(), -passed.sum()


def adaptive_sign(inputs: Tensor, distance: Tensor, centre: Tensor) -> Tensor:
    """Return sign(x - centre), with gradients for x and for `distance` and `centre`, (), of its type."""
    return apply(_AdaptiveSign, inputs, distance, centre)


def equalise(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (W - beta_w) / alpha_w, the shape of `weight` (Co, Ci, k, k), alpha_w and beta_w, (Co, 1, 1, 1), differentiable."""
    deviation, mean = torch.std_mean(weight, dim=_FILTER, correction=0, keepdim=True)
    return (weight - mean) / torch.where(deviation > 0, deviation, 1), deviation, mean


class BinarySet(NamedTuple):
    """A layer's binary weights and the factors that make its outputs of integers.

    Attributes:
        signs: b, (Co, Ci / groups, k, k).
        scale: alpha_a alpha_w, (Co,).
        sum_scale: alpha_a beta_w, (Co,).
        offset: alpha_a beta_a (alpha_w sum b + beta_w n), (Co,).
    """

    signs: Tensor
    scale: Tensor
    sum_scale: Tensor
    offset: Tensor


class AdaBinConv2d(BinaryConv2d):
    """y = conv(alpha_a (sign(x - beta_a) + beta_a), alpha_w sign(W - beta_w) + beta_w).

    Attributes:
        distance: alpha_a, half of what lies between the two values of the activations, ().
        centre: beta_a, where they are parted, and their centre in units of `distance`, ().
    """

    def __init__(self, shape: ConvShape, first_sharpness: float) -> None:
        """Create latent weights, with the estimator of the first epoch, and activations of -1 and +1."""
        super().__init__(shape, weight_sign=SurrogateSign(DecayedSlope(first_sharpness)), activation_sign=tent_sign)
        self.distance = nn.Parameter(torch.tensor(1.0))
        self.centre = nn.Parameter(torch.tensor(0.0))

    def sharpen(self, sharpness: float) -> None:
        """Use t = `sharpness` from now on."""
        self.weight_sign = SurrogateSign(DecayedSlope(sharpness))

    def binary_weight(self) -> Tensor:
        """Return b, the shape of `weight`."""
        return self.weight_sign(equalise(self.weight)[0])

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return s, the shape of `inputs`."""
        return adaptive_sign(inputs, self.distance.to(inputs.dtype), self.centre.to(inputs.dtype))

    def binary_set(self) -> BinarySet:
        """Return b and the factors, differentiable."""
        standard, deviation, mean = equalise(self.weight)
        signs = self.weight_sign(standard)
        deviation, mean = deviation.flatten(), mean.flatten()
        total = deviation * signs.sum(_FILTER) + mean * self.shape.fan_in
        return BinarySet(signs, self.distance * deviation, self.distance * mean, self.distance * self.centre * total)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map real (N, Ci, H, W) to (N, Co, H', W')."""
        if self.real_weights:
            offset = self.distance * self.centre * self.weight.sum(_FILTER)
            outputs = times(self.convolve(inputs, self.weight), self.distance)
            return outputs + offset.to(outputs.dtype).view(-1, 1, 1)
        groups = self.shape.groups
        signs, *factors = self.binary_set()
        grouped: Tensor = self.convolve(inputs, _with_ones(signs, groups)).unflatten(1, (groups, -1))
        scale, sum_scale, offset = (factor.to(grouped.dtype).view(groups, -1, 1, 1) for factor in factors)
        integers, sums = grouped[:, :, :-1], grouped[:, :, -1:]
        return (integers * scale + sums * sum_scale + offset).flatten(1, 2)


def _with_ones(signs: Tensor, groups: int) -> Tensor:
    """Return filters (Co, Ci / groups, k, k) with one more of +1 behind those of each group, (Co + groups, Ci / groups, k, k)."""
    grouped = signs.unflatten(0, (groups, -1))
    return torch.cat([grouped, torch.ones_like(grouped[:, :1])], 1).flatten(0, 1)


def _keep_apart(distance: Tensor) -> None:
    distance.clamp_(min=_LEAST_DISTANCE)


@METHODS.register("adabin")
class AdaBin(Method[AdaBinConv2d]):
    """AdaBin gives weights and inputs the two values that fit them best, in place of -1 and +1.

    Example:
        >>> layer = AdaBin.from_settings({})(ConvShape(in_channels=2, out_channels=1, kernel_size=1))
        >>> outputs = layer(torch.ones(1, 2, 1, 1))  # a filter of two weights needs no more than two values
        >>> torch.allclose(outputs.sum(), layer.weight.sum(), atol=1e-6)
        True
    """

    layer_type = AdaBinConv2d
    summary = "weights and activations of two values with their own centre and distance; slopes on both sides of 0"
    reference = "Tu et al., ECCV 2022, arXiv 2208.08084"
    settings_model = AdaBinSettings
    paper_recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 400,
        "batch_size": 128,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "weight_decay": 1e-4,
        "schedule": "cosine",
    }
    settings: AdaBinSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each; three factors per output channel, a threshold per input channel, two slopes per channel of a Maxout.

        t is a constant of compiled code.
        """
        annealed = self.settings.first_sharpness != self.settings.last_sharpness
        precision = Precision(
            weight_bits=1,
            activation_bits=1,
            scales_per_output=3,
            scales_per_input=1,
            activation_parameters=2,
            sums_inputs=True,
        )
        why = "adabin sharpens its weights' gradients with every epoch"
        return MethodFacts(precision, surrogate=tent, changes_every_epoch=why if annealed else None)

    def __call__(self, shape: ConvShape) -> AdaBinConv2d:
        """Make a layer."""
        return AdaBinConv2d(shape, self.settings.first_sharpness)

    def adapt(self, network: nn.Module) -> None:
        """Put a Maxout in the place of every PReLU."""
        replace_prelus(network, Maxout)

    def rules(self, layer: AdaBinConv2d) -> dict[str, ParameterRule]:
        """Keep alpha_a positive."""
        del layer
        return {"distance": ParameterRule(project=_keep_apart, in_real_stage=True)}

    def start(self, network: nn.Module) -> MethodState[AdaBinConv2d]:
        """Return the schedule."""
        return AnnealedState(self.layers_of(network), "sharpness", self.settings.sharpness, AdaBinConv2d.sharpen)

    def freeze(self, layer: AdaBinConv2d) -> FrozenConv:
        """Pack b; keep the factors, and -beta_a as the threshold of every input channel."""
        signs, scale, sum_scale, offset = (tensor.detach() for tensor in layer.binary_set())
        return FrozenConv(
            layer.shape,
            pack_signs(signs),
            scale,
            layer.pad_value,
            threshold=-layer.centre.detach().repeat(layer.shape.in_channels),
            sum_scale=sum_scale,
            offset=offset,
        )
