"""Full precision as a method: the control, and what teachers are trained with. Not in the catalogue: it binarizes nothing."""

from torch import nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Method, MethodFacts, MethodSettings
from nas_service.errors import CannotFreezeError
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION, ConvShape


class FullPrecision(Method[BinaryConv2d]):
    """32-bit convolutions of real inputs, zero padding, in the same network as everybody else's."""

    layer_type = BinaryConv2d  # of which it makes none
    summary = "32-bit convolutions: the control"
    reference = ""
    settings_model = MethodSettings

    @property
    def facts(self) -> MethodFacts:
        """32 bits each."""
        return MethodFacts(FULL_PRECISION, surrogate=None, real_weight_stage=False)

    def __call__(self, shape: ConvShape) -> nn.Module:
        """Make a plain convolution."""
        return FullPrecisionConv()(shape)

    def freeze(self, layer: BinaryConv2d) -> FrozenConv:
        """Refuse.

        Raises:
            CannotFreezeError: Always: there are no binary layers.
        """
        raise CannotFreezeError(f"{type(layer).__name__} has no packed form: full precision binarizes nothing")
