"""What ReBNN's reconstruction loss does to the histogram of a layer that trains with it."""

import torch
from torch import nn

from nas_service.binarization.method import METHODS, Step
from nas_service.binarization.methods.rebnn import RebnnConv2d
from nas_service.training.scoring.latent_figures import bimodality
from search_spaces.cost import ConvShape


def _trained_bimodality(gamma: float) -> tuple[float, float]:
    """Return the bimodality of normal latent weights before and after 200 steps against a noisy gradient."""
    torch.manual_seed(0)
    method = METHODS.get("rebnn").from_settings({"gamma": "constant", "constant_gamma": gamma})
    layer = method(ConvShape(in_channels=8, out_channels=8, kernel_size=3, padding=1))
    assert isinstance(layer, RebnnConv2d)
    nn.init.normal_(layer.weight)
    layer.fit_alpha()
    state, before = method.start(layer), bimodality([layer])
    optimizer = torch.optim.SGD([layer.weight], lr=0.1)  # alpha stays where it fits the weights
    empty = torch.empty(0)
    for _ in range(200):
        noise = 0.01 * (torch.randn_like(layer.weight) * layer.weight).sum()
        loss = state.losses(Step([layer], empty, empty, empty, empty))["reconstruction"] + noise
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        state.end_step([layer])
    return before, bimodality([layer])


def test_the_reconstruction_loss_makes_the_latent_weights_bimodal() -> None:
    """From one normal mode (1/3) towards two points (1); without the loss the one mode stays."""
    before, after = _trained_bimodality(0.5)
    assert before < 0.4
    assert after > 0.9
    assert _trained_bimodality(0.0)[1] < 0.4
