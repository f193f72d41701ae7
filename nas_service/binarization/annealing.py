"""A number of a method's layers that moves from epoch to epoch, such as the sharpness of a gradient."""

from collections.abc import Callable, Hashable, Sequence

from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import Layer, MethodState, Phase
from nas_service.binarization.sign import Surrogate, SurrogateSign
from search_spaces.cost import ConvShape


class AnnealedState(MethodState[Layer]):
    """Moves a number of a network's layers over the epochs in which both operands are binary."""

    def __init__(
        self, layers: Sequence[Layer], name: str, schedule: Callable[[float], float], move: Callable[[Layer, float], None]
    ) -> None:
        """Begin where the schedule begins.

        Args:
            layers: The network's.
            name: Of the number, among the metrics.
            schedule: The number for the share of the epochs that is done, in [0, 1).
            move: Gives a layer its number.
        """
        super().__init__(layers)
        self._name, self._schedule, self._move = name, schedule, move
        self._value = schedule(0.0)
        self._span: int | None = None  # epochs of the phase with binary weights, the last one

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        """Note over how many epochs to move."""
        del network
        self._span = phase.epochs

    def start_epoch(self, epoch: int, epochs: int) -> None:
        """Move to where the epoch stands in its phase."""
        span = self._span or epochs
        self._value = self._schedule((epoch - epochs + span) / span)
        for layer in self.layers:
            self._move(layer, self._value)

    def metrics(self) -> dict[str, float]:
        """Return the number by its name."""
        return {self._name: self._value}


class AnnealedConv2d(BinaryConv2d):
    """A layer whose operands' signs have one slope, which a schedule moves.

    In evaluation, where only an attack asks for gradients, the input has the first one: what an attack sees does not depend on
    how long a network was trained.
    """

    def __init__(self, shape: ConvShape, first: Surrogate) -> None:
        """Create latent weights; the slope is `first` until `follow` gives another. Layers with equal ones share signs."""
        super().__init__(shape, weight_sign=SurrogateSign(first), activation_sign=SurrogateSign(first))
        self._first = self.activation_sign

    def follow(self, slope: Surrogate) -> None:
        """Train with `slope` from now on."""
        self.weight_sign = self.activation_sign = SurrogateSign(slope)

    def binary_input(self, inputs: Tensor) -> Tensor:
        """Return sign(x) of `inputs` (N, Ci, H, W); its gradient follows the schedule only while training."""
        return self.activation_sign(inputs) if self.training else self._first(inputs)

    def sign_key(self) -> Hashable | None:
        """Return the sign with its slope."""
        return self.activation_sign if self.training else self._first
