"""Gabor filters: the equation, the start, what they cost."""

import math

import pytest
import torch

from search_spaces.operations.gabor_conv_3x3 import GaborBank


def _gabor(x: float, y: float, theta: float, sigma: float, wavelength: float, phase: float, aspect: float) -> float:  # noqa: PLR0913, PLR0917 - the equation's symbols
    along, across = x * math.cos(theta) + y * math.sin(theta), -x * math.sin(theta) + y * math.cos(theta)
    return math.exp(-(along**2 + aspect**2 * across**2) / (2 * sigma**2)) * math.cos(2 * math.pi * along / wavelength + phase)


def test_the_kernel_is_gabor_s_equation_at_every_pixel() -> None:
    bank = GaborBank(1, 1)
    with torch.no_grad():
        for parameter, value in zip(bank.parameters(), (0.7, math.log(0.8), math.log(1.5), 0.3, math.log(0.6)), strict=True):
            parameter.fill_(value)
    kernel = bank.kernel()
    assert kernel.shape == (1, 1, 3, 3)
    for row, column in ((r, c) for r in range(3) for c in range(3)):
        expected = _gabor(column - 1, row - 1, 0.7, 0.8, 3.5, 0.3, 0.6)
        assert kernel[0, 0, row, column].item() == pytest.approx(expected, abs=1e-6)  # float32, values up to 1


def test_channels_start_in_pairs_of_phase_with_orientations_that_divide_the_half_circle() -> None:
    bank = GaborBank(8, 1)
    assert bank.orientation.tolist() == pytest.approx([math.pi / 4 * (c // 2) for c in range(8)])
    assert bank.phase.tolist() == pytest.approx([0, math.pi / 2] * 4)
    kernels = bank.kernel().flatten(1)
    assert torch.cdist(kernels, kernels).fill_diagonal_(1).min() > 0.1  # no two filters alike


def test_no_step_makes_a_scale_a_wavelength_or_an_aspect_impossible() -> None:
    bank = GaborBank(4, 1)
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.fill_(-20.0)  # sigma = 2e-9: only the centre is left
    kernel = bank.kernel()
    assert torch.isfinite(kernel).all()
    assert torch.count_nonzero(kernel) == 4


def test_a_filter_answers_its_own_wave_most() -> None:
    """A wave of 3 pixels along x: the filter across it answers more than the one along it."""
    wave = torch.cos(2 * math.pi * torch.arange(9.0) / 3).repeat(9, 1).expand(1, 4, 9, 9)
    bank = GaborBank(4, 1)  # orientations 0, 0, pi / 2, pi / 2
    energy = bank(wave)[:, :, 1:-1, 1:-1].square().mean((0, 2, 3))
    assert energy[0] > 2 * energy[2]
