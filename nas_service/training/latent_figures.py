"""Figures of latent weights that tell whether binary training is healthy."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.sign import sign


def signs(layers: Sequence[BinaryConv2d]) -> list[Tensor]:
    """Return sign(W) of every layer."""
    return [sign(layer.weight) for layer in layers]


def flip_ratio(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Return the share of signs that differ, in [0, 1]."""
    flipped = torch.stack([(old != new).sum() for old, new in zip(before, after, strict=True)]).sum()
    return float(flipped) / max(1, sum(old.numel() for old in before))


def sign_balance(after: Sequence[Tensor]) -> float:
    """Return the share of +1 among all binary weights; 0.5 carries the most information."""
    positive = torch.stack([(values > 0).sum() for values in after]).sum()
    return float(positive) / max(1, sum(values.numel() for values in after))


def bimodality(layers: Sequence[BinaryConv2d]) -> float:
    """Return Sarle's bimodality coefficient of the latent weights, the mean over layers.

    (skewness^2 + 1) / kurtosis, in (0, 1]: 0.33 for a normal distribution, 0.56 for a uniform one, 1 for two points.
    Binary training that goes well leaves two modes: weights that sit near zero flip back and forth.
    """
    coefficients = []
    for layer in layers:
        values = layer.weight.detach().flatten().double()
        centred = values - values.mean()
        variance = centred.square().mean()
        skewness = centred.pow(3).mean() / variance.pow(1.5)
        kurtosis = centred.pow(4).mean() / variance.square()
        coefficients.append((skewness.square() + 1) / kurtosis)
    return float(torch.stack(coefficients).nan_to_num(0).mean())
