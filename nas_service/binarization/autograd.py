"""Types for autograd functions of our own, which torch leaves without."""

from typing import Protocol

from torch import Tensor
from torch.autograd import Function
from typing_extensions import TypeVar

Kept = TypeVar("Kept", default=None)  # what a function keeps for its backward pass that is no tensor


class Context(Protocol[Kept]):
    """What torch hands to both passes of a function.

    Attributes:
        kept: Set in the forward pass, of the type that the function names; unnamed, nothing.
    """

    kept: Kept

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]:
        """What was saved, in order."""
        ...

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors for the backward pass."""
        ...

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Say which results have no gradient."""
        ...


def apply(function: type[Function], *arguments: object) -> Tensor:
    """Return what a function with one result makes of its arguments."""
    outputs: Tensor = function.apply(*arguments)
    return outputs
