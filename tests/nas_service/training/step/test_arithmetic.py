"""The type and the order of activations, seen at every edge of a network."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.training.fast.regions import running
from nas_service.training.step.arithmetic import Arithmetic
from search_spaces.network import Network, run_module
from search_spaces.space import SPACES, SpaceSettings
from tests.contracts.test_methods import EVERY_METHOD
from tests.samples import RGB_9, random_genotype


def _network(name: str, settings: dict[str, Any], template: str) -> Network:
    space = SPACES.get("abandit-general").configure(SpaceSettings(template=template, channels=4))
    return binary_network(space, random_genotype(space, 1), METHODS.get(name).from_settings(settings), RGB_9)


def _seen(network: Network, arithmetic: Arithmetic) -> tuple[list[Tensor], tuple[Tensor, Tensor]]:
    """Return what stem, edges and last batch norm put out, and features and logits."""
    outputs: list[Tensor] = []

    def run(module: nn.Module, inputs: Tensor) -> Tensor:
        outputs.append(run_module(module, inputs))
        return outputs[-1]

    with running(network, run):
        return outputs, arithmetic.forward(network, torch.rand(2, 3, 9, 11))


@pytest.mark.diagonal
@EVERY_METHOD
@pytest.mark.parametrize("template", ["plain", "shortcut"])
def test_with_bf16_every_activation_is_bf16_and_losses_see_float32(name: str, settings: dict[str, Any], template: str) -> None:
    """A factor in float32 would widen all that follows it, and twice the bytes would move."""
    network = _network(name, settings, template)
    outputs, (features, logits) = _seen(network, Arithmetic(bf16=True))
    assert {output.dtype for output in outputs} == {torch.bfloat16}
    assert features.dtype == logits.dtype == torch.float32
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("template", ["plain", "shortcut"])
def test_with_channels_last_every_activation_is(template: str) -> None:
    network = _network("xnor-net", {}, template)
    outputs, _ = _seen(network, Arithmetic(channels_last=True))
    assert all(output.is_contiguous(memory_format=torch.channels_last) for output in outputs)


def test_without_either_the_network_runs_as_it_is() -> None:
    network = _network("xnor-net", {}, "shortcut").double()
    images = torch.rand(2, 3, 9, 11, dtype=torch.float64)
    features, logits = Arithmetic().forward(network, images)
    assert torch.equal(logits, network.classifier(features))
    assert logits.dtype == torch.float64
