"""Re-estimation of batch norm: statistics of the weights that are scored, from training images.

While a network trains, running statistics are moving averages over weights that it no longer has: at a high learning rate, or
where nothing normalises the stream that is binarized, they are those of another network, and its accuracy says nothing.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the batch norms of `network` that keep statistics."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.track_running_stats]


def reestimate(norms: Sequence[nn.BatchNorm2d], forward: Callable[[Tensor], object], batches: Iterable[Tensor]) -> None:
    """Give `norms`, which are in training, the mean over `batches` (B, C, H, W) of their statistics; momenta are kept.

    Args:
        norms: Of the network that `forward` runs.
        forward: Runs it on a batch of images.
        batches: One at least.
    """
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
    with torch.no_grad():
        for number, images in enumerate(batches):
            for norm in norms:
                norm.momentum = 1 / (number + 1)  # so the statistics are plain means over the batches
            forward(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
