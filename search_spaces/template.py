"""Template: the named block that a space wraps around every convolution of a cell.

A template turns a `ConvFactory` that makes bare convolutions into one that makes whole blocks. Operations only ever see
the second, so an operation is written once and a space chooses its template.
"""

from typing import ClassVar, Protocol

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvShape, Cost, Precision, Size
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


TEMPLATES: Registry[type[Template]] = Registry("template", "search_spaces.templates")
