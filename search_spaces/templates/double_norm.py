"""Batch norm -> sign -> convolution -> batch norm, plus a shortcut, then PReLU: a norm on both sides of the convolution."""

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvShape, Cost, Precision, Size, batch_norm_cost
from search_spaces.residual import ResidualFactory, residual_cost
from search_spaces.template import TEMPLATES


@TEMPLATES.register("double-norm")
class DoubleNormTemplate:
    """The first norm centres what is binarized, as in `shortcut`; the second takes a method's scale out, as in `bi-real`.

    The default of cells: their sums are normalised before a sign, and no method's branch weighs more against the shortcut
    because its scale is larger. Chosen by measurement among this one, `bi-real` and `shortcut`: docs/adr/0019. A learnt
    threshold of a sign is the first norm's shift once more; see `bi-real`. This order is nobody's that we know of.
    """

    summary = "batch norm -> sign -> convolution -> batch norm, plus a parameter-free shortcut, -> PReLU"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of blocks."""
        return ResidualFactory(conv, norms_input=True)

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a block."""
        return batch_norm_cost(shape.in_channels) + residual_cost(precision, shape, size)
