"""Scoring a network: counted, so that an accuracy is a ratio of two integers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nas_service.data.loader import ResidentPart
from nas_service.reports import Beat
from nas_service.training.scoring.attacks import Attack, Noise

EVALUATION_BATCH = 512
ATTACK_BATCH = 256


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put `network` into evaluation without gradients inside the block, and back after it."""
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(was_training)


def beating(forward: Callable[[Tensor], Tensor], beat: Beat) -> Callable[[Tensor], Tensor]:
    """Return `forward` with a beat before every batch that it is given: batches that are scored, and steps of attacks."""

    def forward_with_beat(images: Tensor) -> Tensor:
        beat()
        return forward(images)

    return forward_with_beat


def count_correct(forward: Callable[[Tensor], Tensor], part: ResidentPart, batch_size: int = EVALUATION_BATCH) -> int:
    """Return how many images of `part` the largest logit classifies correctly; one host sync at the end."""
    return int(correct_on_device(forward, part, batch_size))


def correct_on_device(forward: Callable[[Tensor], Tensor], part: ResidentPart, batch_size: int = EVALUATION_BATCH) -> Tensor:
    """As `count_correct`, but the count stays on the device, int64, (): nobody waits for it."""
    correct = torch.zeros((), dtype=torch.int64, device=part.labels.device)
    for pixels, labels in part.batches(batch_size):
        correct += (forward(pixels).argmax(1) == labels).sum()
    return correct


def likelihoods(forward: Callable[[Tensor], Tensor], part: ResidentPart, batch_size: int = EVALUATION_BATCH) -> Tensor:
    """Return the logarithm of the probability that is given to the true label of every image of `part`, float64, (N,)."""
    return torch.cat(
        [
            -nn.functional.cross_entropy(forward(pixels).double(), labels, reduction="none")
            for pixels, labels in part.batches(batch_size)
        ]
    )


def standing(
    forward: Callable[[Tensor], Tensor],
    attack: Attack | Noise,
    part: ResidentPart,
    generator: torch.Generator,
    attacked: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Return for every image of `part` whether it is classified correctly under attack, (N,) bool.

    Args:
        forward: The network that classifies.
        attack: What perturbs the images.
        part: Images and true labels.
        generator: Source of random starts.
        attacked: The network whose gradients the attack follows; `forward` itself if None, another for a transfer attack.
    """
    found = []
    for pixels, labels in part.batches(ATTACK_BATCH):
        found.append(forward(attack.perturb(attacked or forward, pixels, labels, generator)).argmax(1) == labels)
    return torch.cat(found)


def accuracy(network: nn.Module, part: ResidentPart) -> float:
    """Return the share of `part` that `network` classifies correctly, in [0, 1]."""
    with evaluating(network):
        return count_correct(network, part) / len(part)
