"""As `bi-real`, with a real 1x1 convolution in the shortcuts that change size or width: Bi-Real Net's residual network."""

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvShape, Cost, Precision, Size
from search_spaces.residual import ProjectedShortcut, ResidualFactory, projection_cost, residual_cost
from search_spaces.template import TEMPLATES


@TEMPLATES.register("bi-real-projection")
class BiRealProjectionTemplate:
    """For networks with a few changes of size and width, not for cells.

    In a cell every convolution of an edge with stride 2 has a projection, and so has the 1x1 convolution before every cell, which
    always changes the width: a full real path around the binary one. A projection of C channels to 2C is 2 C^2 weights of 32
    bits, beside the 18 C^2 bits of a binary 3x3 convolution: 3.6 times as many bytes. It is counted as what it is, real weights
    and FLOPs: on a random path of `abandit-general` FLOPs rise from 30,208 to 620,032.

    References:
        Liu et al., "Bi-Real Net", ECCV 2018, arXiv 1808.00278; its code: 2x2 mean, 1x1 convolution, batch norm.
    """

    summary = "as bi-real, a real 1x1 convolution and batch norm in the shortcut where size or width changes"

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return the factory of blocks."""
        return ResidualFactory(conv, ProjectedShortcut)

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of a block, its projection included."""
        return residual_cost(precision, shape, size) + projection_cost(shape, size)
