"""The binary convolution layer: real latent weights, two-valued operands. A sign function is its argument.

A method whose forward pass is more than `scale(conv(sign(x), sign(W)))` overrides the one part that differs: `binary_input`
(a threshold before the sign, or real inputs), `kernel` (factors inside the kernel) or `scale` (factors after it); and
`real_kernel`, if a first stage of training has something else than the latent weights themselves.
"""

from collections.abc import Callable, Hashable, Iterable

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.sign import SHAREABLE, Estimator, sign, straight_through
from search_spaces.cost import ConvShape


class BinaryConv2d(nn.Module):
    """A convolution whose input and weights are -1 or +1.

    Forward: y = scale(conv(pad(sign(x)), sign(W))). The padding is `pad_value`, -1 or +1: zeros would make the input
    three-valued and a packed kernel would disagree at the borders. In evaluation both signs are deterministic.

    Attributes:
        shape: The convolution's geometry.
        weight: Latent weights W, float, (out_channels, in_channels / groups, k, k).
        pad_value: -1.0 or +1.0; 0.0 where the inputs stay real.
        real_weights: Whether `real_kernel` is used, without scale: the first of two training stages.
        straight_through: Whether gradients pass the input's sign unchanged, whatever the method's own estimator: for attacks.
        shared_signs: Stands in for `binary_input` where layers share signs (`shared_sign.py`).
    """

    real_weights = False
    straight_through = False
    shared_signs: "Callable[[BinaryConv2d, Tensor], Tensor] | None" = None

    def __init__(self, shape: ConvShape, *, weight_sign: Estimator, activation_sign: Estimator, pad_value: float = -1.0) -> None:
        """Create latent weights, uniform in [-b, b] with b = 1 / sqrt(fan in)."""
        super().__init__()
        self.shape = shape
        self.weight_sign = weight_sign
        self.activation_sign = activation_sign
        self.pad_value = pad_value
        bound = shape.fan_in**-0.5
        kernel = (shape.out_channels, shape.in_channels // shape.groups, shape.kernel_size, shape.kernel_size)
        self.weight = nn.Parameter(torch.empty(kernel).uniform_(-bound, bound))

    def binary_weight(self) -> Tensor:
        """Return sign(W), the shape of `weight`, with the method's gradient while training."""
        return self.weight_sign(self.weight) if self.training else sign(self.weight)

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x), the shape of `inputs`, with the method's gradient while training."""
        # An attack differentiates in evaluation too, so a deterministic estimator is used there as well.
        return self.activation_sign(inputs)

    def sign_key(self) -> Hashable | None:
        """Return what `binary_input` depends on beside its inputs; None: on something of this layer's own, or on chance.

        Layers with equal keys take the same sign of the same inputs, with the same gradient, so one may do it for all.
        """
        plain = type(self).binary_input is BinaryConv2d.binary_input
        return self.activation_sign if plain and self.activation_sign in SHAREABLE else None

    def kernel(self) -> Tensor:
        """Return what the inputs are convolved with, the shape of `weight`; here sign(W)."""
        return self.binary_weight()

    def real_kernel(self) -> Tensor:
        """Return what the inputs are convolved with in a stage with real weights, the shape of `weight`; here W itself."""
        return self.weight

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Return the convolution's integer `outputs` (N, Co, H', W') in the method's scale; here as they are."""
        del inputs
        return outputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Map real (N, Ci, H, W) to (N, Co, H', W')."""
        if self.real_weights:
            return self.convolve(inputs, self.real_kernel())
        return self.scale(self.convolve(inputs, self.kernel()), inputs)

    def convolve(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Return conv(pad(sign(x)), kernel) of real inputs; the kernel (filters, Ci / groups, k, k) may have fewer filters."""
        shape = self.shape
        signs = self.binary_input(inputs) if self.shared_signs is None else self.shared_signs(self, inputs)
        if self.straight_through:
            signs = straight_through(inputs, signs)
        if shape.padding:
            signs = F.pad(signs, (shape.padding,) * 4, value=self.pad_value)
        return F.conv2d(signs, kernel, stride=shape.stride, dilation=shape.dilation, groups=shape.groups)

    def extra_repr(self) -> str:
        """Show the geometry in `print(network)`."""
        return f"{self.shape}, pad_value={self.pad_value}"


def times(outputs: Tensor, factors: Tensor) -> Tensor:
    """Return `outputs` (N, C, H, W) times `factors`, (C,) or (), in the type of `outputs`, which a wider one would widen."""
    return outputs * factors.to(outputs.dtype).view(-1, 1, 1)


def binary_layers(modules: Iterable[nn.Module]) -> list[BinaryConv2d]:
    """Return the binary convolutions inside `modules`, in order, each once."""
    found: dict[int, BinaryConv2d] = {}
    for module in modules:
        for part in module.modules():
            if isinstance(part, BinaryConv2d):
                found.setdefault(id(part), part)
    return list(found.values())
