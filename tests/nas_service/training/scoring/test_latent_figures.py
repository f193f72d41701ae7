"""Figures of latent weights, against those worked out by hand."""

import pytest
import torch

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.sign import clipped_sign, stochastic_identity_sign
from nas_service.training.scoring.latent_figures import bimodality, flip_ratio, sign_balance, signs
from search_spaces.cost import ConvShape


def _layer(*weights: float, weight_sign: object = clipped_sign) -> BinaryConv2d:
    shape = ConvShape(in_channels=len(weights), out_channels=1, kernel_size=1)
    layer = BinaryConv2d(shape, weight_sign=weight_sign, activation_sign=clipped_sign)  # type: ignore[arg-type]  # an estimator
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weights).view(1, -1, 1, 1))
    return layer


def test_the_flip_ratio_is_the_share_of_signs_that_differ() -> None:
    """One of four, over two layers."""
    before, after = signs([_layer(1, -1), _layer(0.5, 0.0)]), signs([_layer(1, 1), _layer(2, 0.1)])
    assert flip_ratio(before, after) == 0.25
    assert flip_ratio([], []) == 0


def test_the_sign_balance_is_the_share_of_plus_one() -> None:
    """Zero counts as +1."""
    assert sign_balance(signs([_layer(1, -1, -2, 0.0), _layer(-1, -1, -1, -1)])) == 0.25


def test_bimodality_is_one_for_two_points_and_a_third_for_a_normal_distribution() -> None:
    """Sarle: (skewness^2 + 1) / kurtosis; two equal points have kurtosis 1, a normal has 3, a uniform 1.8."""
    assert bimodality([_layer(-1, 1, -1, 1)]) == pytest.approx(1)
    torch.manual_seed(0)
    assert bimodality([_layer(*torch.randn(20_000).tolist())]) == pytest.approx(1 / 3, abs=0.02)
    assert bimodality([_layer(*torch.rand(20_000).tolist())]) == pytest.approx(1 / 1.8, abs=0.02)


def test_stochastic_signs_are_counted_as_they_would_be_deployed() -> None:
    layer = _layer(0.01, -0.01, weight_sign=stochastic_identity_sign).train()
    assert all(torch.equal(signs([layer])[0].flatten(), torch.tensor([1.0, -1.0])) for _ in range(20))
    assert layer.training
