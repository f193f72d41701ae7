"""The extra losses of every method by discovery: their gradients against finite differences in float64."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, MethodState, Step
from nas_service.binarization.network import binary_network
from nas_service.binarization.taps import Taps
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, tiny_genotype

STEP = 1e-6
# Parameters whose published gradient is not the derivative of the published loss, each with a test of its own.
PRINTED: dict[str, set[str]] = {
    "bonn": {"weight", "stretch", "mode", "spread"},  # asynchronous: forward with the mean of w; divided by n
    "mcn": {"weight"},  # reaches C through C^
    "rbcn": {"weight"},  # reaches W through W^
    "rbonn": {"alpha"},  # the square of alpha that balances the loss is held constant
}


def _scene(name: str) -> tuple[Network, MethodState, Step]:
    """Return a network in float64, its state, and a step whose features, logits and taps are leaves."""
    torch.manual_seed(0)
    method = METHODS.get(name).from_settings({})
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8).double().train()
    state = method.start(network).double()
    images, labels = torch.rand(8, 1, 8, 8, dtype=torch.float64), torch.arange(8)
    with torch.no_grad(), Taps(network, state.taps) as taps:
        features = network.features(images)
        kept = {key: tap.clone().requires_grad_() for key, tap in taps.outputs.items()}
        other = {key: tap + 0.1 * torch.randn_like(tap) for key, tap in taps.outputs.items()}
    step = Step(
        layers=binary_layers([network]),
        images=images,
        labels=labels,
        features=features.requires_grad_(),
        logits=network.classifier(features).detach().requires_grad_(),
        taps=kept,
        teacher_taps=other,
    )
    return network, state, step


def _differences(value: Callable[[], float], tensor: Tensor, places: list[int]) -> list[float]:
    """Return central differences at some places of `tensor`, which is changed and put back."""
    flat, found = tensor.detach().view(-1), []
    for place in places:
        before = float(flat[place])
        values = []
        for sign in (1, -1):
            flat[place] = before + sign * STEP
            values.append(value())
        flat[place] = before
        found.append((values[0] - values[1]) / (2 * STEP))
    return found


def _checked(name: str, step: Step) -> dict[str, Tensor]:
    """Return what the losses are derived by: a layer's parameters, and what the network puts out."""
    layer: BinaryConv2d = max(step.layers, key=lambda entry: entry.weight.numel())
    own = {key: entry for key, entry in layer.named_parameters() if key not in PRINTED.get(name, set())}
    return {**own, "features": step.features, "logits": step.logits, **step.taps}


@pytest.mark.parametrize("name", METHODS.names())
def test_extra_losses_have_the_gradients_of_finite_differences(name: str) -> None:
    """In every phase. No sign lies within the step of a change; rounding leaves about 1e-16 / 1e-6 of the loss."""
    network, state, step = _scene(name)
    for phase in METHODS.get(name).from_settings({}).phases(10):
        state.start_phase(phase, network)
        state.losses(replace(step))  # centres and the like may be set by a first look
        total = sum(state.losses(step).values(), torch.zeros((), dtype=torch.float64))

        def value() -> float:
            return float(sum(float(loss.detach()) for loss in state.losses(step).values()))

        for key, tensor in _checked(name, step).items():
            gradient = None
            if total.requires_grad:
                (gradient,) = torch.autograd.grad(total, [tensor], retain_graph=True, allow_unused=True)
            places = torch.randperm(tensor.numel())[:5].tolist()
            expected = _differences(value, tensor, places)
            actual = [0.0] * len(places) if gradient is None else gradient.flatten()[places].tolist()
            assert actual == pytest.approx(expected, rel=1e-6, abs=1e-8 * max(1.0, abs(value()))), (phase.name, key)


def test_what_is_exempt_exists() -> None:
    """A renamed parameter must not stay exempt by accident."""
    for name, exempt in PRINTED.items():
        network, _, _ = _scene(name)
        layer = max(binary_layers([network]), key=lambda entry: entry.weight.numel())
        assert exempt <= {key for key, _ in layer.named_parameters()}, name
