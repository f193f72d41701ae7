"""Template: the named block that a space wraps around every convolution of a cell.

A template turns a `ConvFactory` that makes bare convolutions into one that makes whole blocks. Operations only ever see
the second, so an operation is written once and a space chooses its template.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import BareConvCost, ConvShape, Cost, Precision, Size
from search_spaces.registry import Registry


class Template(Protocol):
    """A block around a convolution, and what it costs."""

    summary: ClassVar[str]

    def wrap(self, conv: ConvFactory) -> ConvFactory:
        """Return a factory that makes blocks of the same precision and output shape."""
        ...

    def cost(self, precision: Precision, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of the block that `wrap` makes of a convolution, for one image of `size`."""
        ...


@dataclass(frozen=True)
class BlockCost:
    """What a convolution costs in a space: alone, and with the template around it.

    Attributes:
        template: Name of the template.
        precision: Of the convolution.
        pools: Whether a max pool behind the convolution takes its stride (`conv_factory.Pooled`); comparisons are not counted.
    """

    template: str
    precision: Precision
    pools: bool = False

    def bare(self, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of the convolution alone, for one image of `size`."""
        return BareConvCost(self.precision)(replace(shape, stride=1) if self.pools else shape, size)

    def __call__(self, shape: ConvShape, size: Size) -> Cost:
        """Return the cost of the whole block, for one image of `size`."""
        block = TEMPLATES.get(self.template)().cost(self.precision, shape, size)
        return block - BareConvCost(self.precision)(shape, size) + self.bare(shape, size)


TEMPLATES: Registry[type[Template]] = Registry("template", "search_spaces.templates")
