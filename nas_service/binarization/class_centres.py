"""Class centres of features, as centre losses use them (Wen et al., ECCV 2016): a distance, and how they follow.

Shape legend: N images, F features, M classes.
"""

import torch
from torch import Tensor, nn


def classifier_of(network: nn.Module) -> nn.Linear:
    """Return the layer that maps features to classes.

    Raises:
        TypeError: If the network's `classifier` is not a linear layer.
    """
    classifier = network.get_submodule("classifier")
    if not isinstance(classifier, nn.Linear):
        message = f"class centres are of a linear classifier's inputs, and this is a {type(classifier).__name__}"
        raise TypeError(message)
    return classifier


def centre_distance(features: Tensor, labels: Tensor, centres: Tensor) -> Tensor:
    """Return the mean over images of ||f - c_y||^2, a scalar: features (N, F), labels (N,), centres (M, F)."""
    return (features - centres[labels]).square().sum(1).mean()


def follow(centres: Tensor, features: Tensor, labels: Tensor, rate: float) -> None:
    """Move each centre in place: c_m <- c_m + rate * sum over its images of (f - c_m) / (1 + their number)."""
    member = (labels.unsqueeze(1) == torch.arange(len(centres), device=labels.device)).to(features.dtype)
    counts = member.sum(0).unsqueeze(1)
    centres += rate * (member.T @ features - counts * centres) / (1 + counts)
