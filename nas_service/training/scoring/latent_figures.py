"""Figures of latent weights that tell whether binary training is healthy."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d


@torch.no_grad()
def signs(layers: Sequence[BinaryConv2d]) -> list[Tensor]:
    """Return the binary weights of every layer as they would be deployed now."""
    found = []
    for layer in layers:
        was_training = layer.training
        layer.training = False  # so that a stochastic sign draws nothing
        found.append(layer.binary_weight())
        layer.training = was_training
    return found


def flip_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the share of signs that differ, in [0, 1]; 0 without binary layers."""
    if not before:
        return 0.0
    flipped = torch.stack([(old != new).sum() for old, new in zip(before, after, strict=True)]).sum()
    return float(flipped) / sum(old.numel() for old in before)


def sign_balance(after: Sequence[Tensor]) -> float:
    """Return the share of +1 among all binary weights; 0.5 carries the most information."""
    if not after:
        return 0.0
    positive = torch.stack([(values > 0).sum() for values in after]).sum()
    return float(positive) / sum(values.numel() for values in after)


def bimodality(layers: Sequence[BinaryConv2d]) -> float:
    """Return Sarle's bimodality coefficient of the latent weights, the mean over layers.

    (skewness^2 + 1) / kurtosis, in (0, 1]: 0.33 for a normal distribution, 0.56 for a uniform one, 1 for two points.
    0 without binary layers. Binary training that goes well leaves two modes: weights that sit near zero flip back and forth.
    """
    if not layers:
        return 0.0
    coefficients = []
    for layer in layers:
        values = layer.weight.detach().flatten().double()
        centred = values - values.mean()
        variance = centred.square().mean()
        skewness = centred.pow(3).mean() / variance.pow(1.5)
        kurtosis = centred.pow(4).mean() / variance.square()
        coefficients.append((skewness.square() + 1) / kurtosis)
    return float(torch.stack(coefficients).nan_to_num(0).mean())
