"""max-scale: signs times the largest magnitude of each filter.

Forward: y = m conv(sign(x), sign(W)), m = max |W| over a filter, (Co,), a constant of the backward pass.
Backward: dL/dx = dL/db 1[|x| <= 1]; dL/dW = dL/db 1[|W| <= 1].
"""

from torch import Tensor

from nas_service.binarization.frozen import FrozenConv, pack_signs
from nas_service.binarization.layer import BinaryConv2d, times
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings
from nas_service.binarization.sign import clipped_sign, sign
from search_spaces.cost import ConvShape, Precision


class MaxScaleConv2d(BinaryConv2d):
    """y = m conv(sign(x), sign(W))."""

    def magnitude(self) -> Tensor:
        """Return max |W| per filter, (Co,), without gradient."""
        return self.weight.detach().abs().amax(dim=(1, 2, 3))

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        """Multiply the integer outputs with m."""
        del inputs
        return times(outputs, self.magnitude())


@METHODS.register("max-scale")
class MaxScale(Method[MaxScaleConv2d]):
    """max-scale multiplies the signs of a filter with its largest magnitude.

    Example:
        >>> layer = MaxScale.from_settings({})(ConvShape(in_channels=1, out_channels=1, kernel_size=1))
        >>> torch.equal(layer.magnitude(), layer.weight.abs().flatten())
        True
    """

    layer_type = MaxScaleConv2d
    summary = "signs times the largest magnitude of each filter"
    reference = "own"
    settings_model = MethodSettings

    @property
    def facts(self) -> MethodFacts:
        """One bit each, one scale per output channel."""
        return MethodFacts(Precision(weight_bits=1, activation_bits=1, scales_per_output=1))

    def __call__(self, shape: ConvShape) -> MaxScaleConv2d:
        """Make a layer."""
        return MaxScaleConv2d(shape, weight_sign=clipped_sign, activation_sign=clipped_sign)

    def freeze(self, layer: MaxScaleConv2d) -> FrozenConv:
        """Pack the signs; keep m."""
        return FrozenConv(layer.shape, pack_signs(sign(layer.weight)), layer.magnitude(), layer.pad_value)


if __name__ == "__main__":
    from api.cli import app

    app(
        ["train-local", "--space", "tiny", "--method", "max-scale", "--epochs", "4", "-o", "max-scale.zip"], standalone_mode=False
    )
