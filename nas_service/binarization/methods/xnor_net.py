"""XNOR-Net: signs with the scale that approximates the real convolution best.

Forward (sections 3.1 and 3.2): W ~ alpha B with B = sign(W) and alpha = ||W||_1 / n per filter (n = Ci k k), the minimiser
of ||W - alpha B||^2; I * W ~ (sign(I) conv sign(W)) o K alpha. K is the mean magnitude of the input under each window:
A = mean over channels of |I|, K = A conv (1 / k^2) ones, with the layer's own stride, padding and dilation; A is padded
with zeros. The released code leaves K out, so `input_scale` is `none` by default and `kmap` on request. In a grouped
convolution A is the mean over the channels of a group. With K maps gradients flow through K as well.

Backward: activations dL/dx = dL/db * 1[|x| <= 1]. Weights, the exact derivative of W~ = alpha sign(W) with sign' = 1[|W| <= 1]:
dL/dW_i = (1 / n) sign(W_i) sum_j g_j sign(W_j) + g_i alpha 1[|W_i| <= 1], where g = dL/dW~ and j runs over the filter.

Update: after every step each filter's mean over the input channels is subtracted from the latent W (at every kernel
position) and W is clamped to [-1, 1], so that every forward pass sees centred, clamped weights, as in the authors' code,
which does it before the forward pass.

BWN (section 3.1), with `binary_activations` off: the inputs stay real and are padded with zeros, I * W ~ alpha (I conv sign(W)).

The factor on the gradient: the authors' code multiplies dL/dW with 1 - 1 / Ci and, with SGD, with n; the PyTorch port, whose
recipe `paper_recipe` is, with both always. `rules` has n (1 - 1 / Ci). Adam does not feel it. SGD does: its steps are as much
longer, and without it hardly a sign flips. Weight decay is added after the factor, so beside the gradient it counts for so
much less, with either optimizer.

Differences: equation 6 of the paper, dC/dW = dC/dW~ (1 / n + alpha 1[|W| <= 1]), keeps only the term j = i of the sum; we use
the exact derivative. Its first part, the derivative through alpha, is as large as the second where nothing behind the
convolution undoes a scale (template `shortcut`), and vanishes where batch norm follows (`plain`), as in the authors' networks.
A filter with one input channel (a depthwise convolution) is not centred, since it would become zero, and its factor is n. The
port starts the weights at N(0, 0.05^2) and keeps those of batch norms at 0.01 or more; here neither is done.

References:
    Rastegari, Ordonez, Redmon, Farhadi, "XNOR-Net: ImageNet Classification Using Binary Convolutional Neural Networks", ECCV
    2016, arXiv 1603.05279.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from nas_service.binarization.frozen import FrozenConv, InputScale, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, ParameterRule
from nas_service.binarization.sign import clipped_sign, sign, window
from search_spaces.cost import ConvShape, Precision


class XnorNetSettings(MethodSettings):
    """Settings of XNOR-Net."""

    input_scale: InputScale = Field(
        InputScale.NONE,
        strict=False,
        description="kmap multiplies the output with K, the mean input magnitude under each window.",
    )
    binary_activations: bool = Field(default=True, description="False: BWN, the paper's network with real inputs.")

    @field_validator("binary_activations")
    @classmethod
    def _no_maps_of_real_inputs(cls, given: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's way
        if not given and info.data.get("input_scale") is InputScale.KMAP:
            raise ValueError("K maps make up for binary inputs; with input_scale kmap allowed: true")
        return given


def _unchanged(inputs: Tensor) -> Tensor:
    return inputs


class XnorConv2d(BinaryConv2d):
    """y = alpha K (conv(sign(x), sign(W))), with K = 1 unless `input_scale` is `kmap`; BWN: y = alpha conv(x, sign(W))."""

    def __init__(self, shape: ConvShape, settings: XnorNetSettings) -> None:
        """Create centred, clamped latent weights."""
        binary = settings.binary_activations
        activation_sign, pad_value = (clipped_sign, -1.0) if binary else (_unchanged, 0.0)
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=activation_sign, pad_value=pad_value)
        self.input_scale = settings.input_scale
        with torch.no_grad():
            centre_and_clamp(self.weight)

    def alpha(self) -> Tensor:
        """Return ||W||_1 / n per filter, (Co,), differentiable."""
        return self.weight.abs().mean(dim=(1, 2, 3))

    def kmap(self, inputs: Tensor) -> Tensor:
        """Return K of real `inputs` (N, Ci, H, W) as (N, Co, H', W')."""
        shape = self.shape
        magnitude = inputs.abs().unflatten(1, (shape.groups, -1)).mean(2)
        box = magnitude.new_full((shape.groups, 1, shape.kernel_size, shape.kernel_size), shape.kernel_size**-2)
        means = F.conv2d(magnitude, box, stride=shape.stride, padding=shape.padding, dilation=shape.dilation, groups=shape.groups)
        return means.repeat_interleave(shape.out_channels // shape.groups, dim=1)

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with alpha and, if asked, K."""
        scaled = times(outputs, self.alpha())
        return scaled * self.kmap(inputs) if self.input_scale is InputScale.KMAP else scaled


def centre_and_clamp(weight: Tensor) -> None:
    """Subtract each filter's mean over the input channels, then clip to [-1, 1], in place; one channel is not centred."""
    if weight.shape[1] > 1:
        weight.sub_(weight.mean(dim=1, keepdim=True))
    weight.clamp_(-1, 1)


def gradient_factor(shape: ConvShape) -> float:
    """Return n (1 - 1 / Ci) of a layer, Ci being the channels that a filter sees; n where it sees one, and is not centred."""
    channels = shape.in_channels // shape.groups
    return shape.fan_in * (1 - 1 / channels if channels > 1 else 1.0)


@METHODS.register("xnor-net")
class XnorNet(Method[XnorConv2d]):
    """XNOR-Net replaces every filter by its signs times its mean magnitude, the two that come closest to it.

    Example:
        >>> layer = XnorNet.from_settings({})(ConvShape(in_channels=1, out_channels=1, kernel_size=1))
        >>> outputs = layer(torch.ones(1, 1, 1, 1))  # a filter of one weight is not changed at all
        >>> torch.equal(outputs, layer.weight)
        True
    """

    layer_type = XnorConv2d
    summary = "signs times the mean magnitude of each filter, optionally times K maps of the input"
    reference = "Rastegari et al., ECCV 2016, arXiv 1603.05279"
    settings_model = XnorNetSettings
    revision = 2  # the factor on the gradient of W
    paper_recipe: ClassVar = {  # that of the PyTorch port on CIFAR-10 (NIN): the authors' own is for ImageNet
        "optimizer": "adam",
        "learning_rate": 0.01,
        "weight_decay": 1e-5,
        "batch_size": 128,
        "epochs": 319,
        "schedule": "step",
        "milestones": (120 / 319, 200 / 319, 240 / 319, 280 / 319),
    }
    settings: XnorNetSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel. K maps are element-wise work and box means: not counted.

        With real inputs and real weights nothing would be binary in a first stage.
        """
        binary = self.settings.binary_activations
        return MethodFacts(
            Precision(weight_bits=1, activation_bits=1 if binary else 32, scales_per_output=1),
            surrogate=window if binary else None,
            real_weight_stage=binary,
        )

    def __call__(self, shape: ConvShape) -> XnorConv2d:
        """Make a layer."""
        return XnorConv2d(shape, self.settings)

    def rules(self, layer: XnorConv2d) -> dict[str, ParameterRule]:
        """Centre and clamp the latent weights after every step; their gradient has the authors' factor, their decay has not."""
        return {"weight": ParameterRule(project=centre_and_clamp, gradient_factor=gradient_factor(layer.shape))}

    def freeze(self, layer: XnorConv2d) -> FrozenConv:
        """Pack the signs; keep alpha, and the wish for K maps."""
        return FrozenConv(
            layer.shape,
            pack_signs(sign(layer.weight)),
            layer.alpha().detach(),
            layer.pad_value,
            layer.input_scale,
            binary_input=self.settings.binary_activations,
        )
