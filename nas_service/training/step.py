"""One training step, the same for a path of a supernet and for a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import MethodState, Step
from search_spaces.genotype import Genotype
from search_spaces.network import CellStack


@dataclass(frozen=True)
class Backpropagation:
    """Runs forward, the method's adversary and losses, and backward; the gradients stay on the parameters.

    Attributes:
        network: A supernet, or a network.
        layers: The binary layers on the way.
        state: The method's hooks.
        genotype: The path of a supernet; None for a network.
        label_smoothing: Of the cross entropy.
        taps: Where the outputs of the modules appear that the method listens to.
    """

    network: CellStack
    layers: Sequence[BinaryConv2d]
    state: MethodState
    genotype: Genotype | None = None
    label_smoothing: float = 0.0
    taps: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss, a scalar, and the logits (N, classes), both detached.

        Args:
            images: Pixels in [0, 1], (N, C, H, W).
            labels: Class indices, (N,).
        """
        features = self.network.features(images, self.genotype)
        logits: Tensor = self.network.classifier(features)
        step = Step(layers=self.layers, images=images, labels=labels, features=features, logits=logits, taps=self.taps)
        self.state.adversary_step(step)
        loss = F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        for extra in self.state.losses(step).values():
            loss = loss + extra
        loss.backward()
        return loss.detach(), logits.detach()
