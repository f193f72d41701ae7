"""Sign -> convolution -> batch norm, plus a shortcut, then PReLU: the order of Bi-Real Net's and ReActNet's authors."""

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvShape, Cost, Precision, Size
from search_spaces.residual import ResidualFactory, residual_cost
from search_spaces.template import TEMPLATES


@TEMPLATES.register("bi-real")
class BiRealTemplate:
    """The sign reads the un-normalised stream of real values, and what the convolution makes is normalised before it is added.

    So a threshold before the sign is a parameter of its own (behind a batch norm it is that norm's shift once more), a shift
    behind the activation is seen by the next sign, and a method's scale does not decide how much the binary branch weighs
    against the shortcut: batch norm takes it out.

    The price: a stream that nothing normalises grows. In a chain of blocks, for which it was made, it grows slowly. In cells
    every node adds up edges that each carry their input on: at the start of `abandit-general` with a convolution on all sixty
    edges, the signs on the edges of the last two cells read values outside (-1, 1) alone, where clipped gradients are 0.

    The shortcut has no weights whatever the shape: see `FreeShortcut`. Bi-Real Net has no activation but the sign; the PReLU
    stands where ReActNet has its RPReLU, which that method puts in its place. Bi-Real Net's real 1x1 convolution in the
    shortcuts that change size or width is the template `bi-real-projection`.

    References:
        Liu et al., "Bi-Real Net", ECCV 2018, arXiv 1808.00278; Liu et al., "ReActNet", ECCV 2020, arXiv 2003.03488, and its
        code for residual networks (second step).
    """

    summary = "sign -> convolution -> batch norm, plus a parameter-free shortcut, -> PReLU: the authors' order"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of blocks."""
        return ResidualFactory(conv)

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a block."""
        return residual_cost(precision, shape, size)
