"""A number of a method's layers that moves from epoch to epoch, such as the sharpness of a gradient."""

from collections.abc import Sequence

from torch import nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import MethodState, Phase


class AnnealedState(MethodState):
    """Moves a number of a network's layers over the epochs in which both operands are binary.

    Attributes:
        layers: The network's.
    """

    def __init__(self, layers: Sequence[BinaryConv2d]) -> None:
        """Keep the layers."""
        super().__init__()
        self.layers = tuple(layers)  # a tuple's modules are not registered, so not checkpointed twice
        self._span: int | None = None  # epochs of the phase with binary weights, the last one

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Note over how many epochs to move."""
        del network
        self._span = phase.epochs

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Move to where the epoch stands in its phase."""
        span = self._span or epochs
        self.anneal((epoch - epochs + span) / span)

    def anneal(self, progress: float) -> None:
        """Set the layers' number for the share of the epochs that is done, in [0, 1)."""
