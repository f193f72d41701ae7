"""The denoising block: what its mean is, and that it takes noise away."""

import torch
from torch import nn

from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.operations.denoise import Denoise, NonLocalMean


def test_the_mean_is_the_sum_over_all_pairs_of_positions() -> None:
    """y_i = sum_j (x_i . x_j) x_j / sum_j |x_j|^2, written out; the order of multiplication is no part of the result."""
    inputs = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    flat = inputs.flatten(2)
    likeness = torch.einsum("ncp,ncq->npq", flat, flat)
    expected = torch.einsum("npq,ncq->ncp", likeness, flat) / flat.square().sum((1, 2)).view(-1, 1, 1)
    torch.testing.assert_close(NonLocalMean()(inputs).flatten(2), expected, rtol=1e-12, atol=1e-12)


def test_the_mean_keeps_what_recurs_and_drops_what_does_not() -> None:
    """Every position holds one signal plus noise of its own: the mean is nearer to the signal's direction than the input."""
    torch.manual_seed(0)
    signal = torch.randn(1, 8, 1, 1)
    noisy = signal + 0.5 * torch.randn(1, 8, 16, 16)
    cosine = nn.CosineSimilarity(dim=1)
    assert cosine(noisy, signal).mean() < 0.95
    assert cosine(NonLocalMean()(noisy), signal).mean() > 0.99


def test_the_mean_has_the_scale_of_its_input_and_is_never_longer() -> None:
    inputs = torch.randn(3, 6, 5, 5, dtype=torch.float64)
    outputs = NonLocalMean()(inputs)
    torch.testing.assert_close(NonLocalMean()(1e3 * inputs), 1e3 * outputs)
    assert (outputs.square().sum((1, 2, 3)) <= inputs.square().sum((1, 2, 3))).all()
    assert torch.equal(NonLocalMean()(torch.zeros(1, 2, 3, 3)), torch.zeros(1, 2, 3, 3))


def test_with_its_norm_at_zero_the_block_is_the_identity_or_the_2x2_mean() -> None:
    inputs = torch.randn(2, 4, 6, 6)
    for stride, expected in ((1, inputs), (2, nn.functional.avg_pool2d(inputs, 2))):
        block = Denoise()(FullPrecisionConv(), 4, stride)
        assert isinstance(block.norm, nn.BatchNorm2d)
        nn.init.zeros_(block.norm.weight)
        assert torch.equal(block(inputs), expected)
