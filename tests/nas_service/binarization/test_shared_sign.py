"""Shared signs: taken once where that is the same thing, never where it is not."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.react_net import ReactConv2d
from nas_service.binarization.network import binary_network
from nas_service.binarization.shared_sign import SharedSigns, sharing_signs
from search_spaces.cost import ConvShape
from search_spaces.network import Network
from search_spaces.space import SPACES, SpaceSettings
from search_spaces.template import TEMPLATES
from tests.contracts.test_methods import EVERY_METHOD
from tests.samples import GREY_8, random_genotype, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1)


def _layer(name: str, settings: dict[str, object], seed: int) -> BinaryConv2d:
    """Return a layer whose parameters are all its own."""
    layer = METHODS.get(name).from_settings(settings)(SHAPE)
    assert isinstance(layer, BinaryConv2d)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator))
    return layer


def _sign(layer: BinaryConv2d) -> tuple[Tensor, Tensor]:
    inputs = values_with_zeros(2, 4, 5, 5).requires_grad_()
    outputs = layer.binary_input(inputs)
    (gradient,) = torch.autograd.grad((outputs * values_with_zeros(2, 4, 5, 5, seed=1)).sum(), inputs)
    return outputs, gradient


@EVERY_METHOD
@pytest.mark.parametrize("training", [True, False])
def test_layers_with_equal_keys_take_the_same_sign_with_the_same_gradient(
    name: str, settings: dict[str, object], *, training: bool
) -> None:
    one, other = (_layer(name, settings, seed).train(training) for seed in (0, 1))
    if one.sign_key() is None:
        return
    assert one.sign_key() == other.sign_key()
    assert all(torch.equal(*pair) for pair in zip(_sign(one), _sign(other), strict=True))


def test_random_signs_and_signs_with_thresholds_of_their_own_are_not_shared() -> None:
    assert _layer("bnn", {"stochastic_activations": True}, 0).sign_key() is None
    assert _layer("bnn", {}, 0).sign_key() is not None
    assert isinstance(thresholded := _layer("react-net", {}, 0), ReactConv2d)
    assert thresholded.sign_key() is None


def test_estimators_of_different_sharpness_have_different_keys() -> None:
    sharp, blunt = (METHODS.get("ir-net").from_settings({"first_sharpness": value})(SHAPE) for value in (0.5, 0.1))
    assert isinstance(sharp, BinaryConv2d)
    assert isinstance(blunt, BinaryConv2d)
    assert sharp.sign_key() != blunt.sign_key()


def test_one_sign_is_taken_of_one_tensor_and_forgotten_after_the_cell() -> None:
    signs, layer = SharedSigns(), _layer("xnor-net", {}, 0)
    inputs = torch.randn(2, 4, 5, 5)
    first = signs(layer, inputs)
    assert signs(_layer("xnor-net", {}, 1), inputs) is first
    assert signs(layer, inputs.clone()) is not first
    signs.forget()
    assert signs(layer, inputs) is not first


def test_layers_outside_of_the_cells_share_nothing_which_nobody_would_drop() -> None:
    space = SPACES.get("vgg-binarynet").configure(SpaceSettings(channels=4))
    network = binary_network(space, random_genotype(space), METHODS.get("xnor-net").from_settings({}), GREY_8)
    with sharing_signs(network.cells, binary_layers([network])):
        assert all(layer.shared_signs is not None for layer in binary_layers(network.cells))
        assert [layer.shared_signs for layer in binary_layers(network.hidden)] == [None, None]


def _network(template: str, method: str) -> Network:
    space = SPACES.get("abandit-general").configure(SpaceSettings(template=template, channels=8))
    torch.manual_seed(0)
    return binary_network(space, random_genotype(space, 3), METHODS.get(method).from_settings({}), GREY_8).double()


def _run(network: Network, *, shared: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """Return logits and gradients."""
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with sharing_signs(network.cells, binary_layers([network]) if shared else []):
        logits = network(images)
        logits.square().sum().backward()
    return logits.detach(), {name: value.grad for name, value in network.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("method", ["xnor-net", "bi-real", "recu"])
def test_sharing_changes_no_output_and_gradients_only_in_the_rounding_of_sums(template: str, method: str) -> None:
    """A node's gradient is a sum over at most 4 edges, in another order: each addition rounds to 2^-53 of its size. Batch
    norms divide by small deviations on the way back, and where one follows a scale the scale's gradient is a difference of
    large sums: both magnify that. 1e-11 of the largest gradient is far above.
    """
    expected, gradients = _run(_network(template, method), shared=False)
    logits, ours = _run(_network(template, method), shared=True)
    assert torch.equal(logits, expected)
    assert set(ours) == set(gradients)
    largest = max(1.0, *(float(gradient.abs().max()) for gradient in gradients.values()))
    for name, gradient in gradients.items():
        assert (ours[name] - gradient).abs().max() <= 1e-11 * largest, name


class _Comparisons(TorchDispatchMode):
    """Counts comparisons with 0: one a sign."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's own signature
        del types
        self.count += func is torch.ops.aten.ge.Scalar_out
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("template", "signs"),
    [
        ("plain", 2 * (1 + 2)),
        ("plain-hardtanh", 2 * (1 + 2)),
        ("bi-real", 2 * (1 + 2)),
        ("shortcut", 2 * (1 + 3)),
        ("double-norm", 2 * (1 + 3)),
    ],
)
def test_a_node_s_sign_is_taken_once_but_once_an_edge_where_the_edge_norms_it_first(template: str, signs: int) -> None:
    """Two cells of `tiny`, each with a convolution before it and three edges, which begin with node 0, 0 and 1."""
    space = SPACES.get("tiny").configure(SpaceSettings(template=template))
    network = binary_network(space, tiny_genotype(), METHODS.get("xnor-net").from_settings({}), GREY_8)
    layers = binary_layers([network])
    with sharing_signs(network.cells, layers), _Comparisons() as comparisons:
        network(torch.rand(2, 1, 8, 8))
    assert comparisons.count == signs + len(layers)  # every layer takes the sign of its own weights
    assert all(layer.shared_signs is None for layer in layers)
