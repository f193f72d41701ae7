"""Operation: one arm of the search, what an edge of a cell may compute."""

from typing import ClassVar, Protocol

from torch import nn

from search_spaces.conv_factory import ConvFactory
from search_spaces.cost import ConvCost, Cost, Size
from search_spaces.registry import Registry


class Operation(Protocol):
    """Builds (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride)) and says what that costs."""

    summary: ClassVar[str]

    def __call__(self, conv: ConvFactory, channels: int, stride: int) -> nn.Module:
        """Return a new module for `channels` at stride 1 or 2; convolutions come from `conv`."""
        ...

    def cost(self, conv: ConvCost, channels: int, stride: int, size: Size) -> Cost:
        """Return the cost for one image whose input to the operation has `size`."""
        ...


OPERATIONS: Registry[type[Operation]] = Registry("operation", "search_spaces.operations")
