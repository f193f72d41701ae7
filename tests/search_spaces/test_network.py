"""Networks and supernets: shapes, names, cost, sharing."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from nas_service.binarization.audit import audit
from nas_service.binarization.method import METHODS
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network, network_cost, supernet_cost
from search_spaces.operations.zeroise import Zero
from search_spaces.space import SPACES, ZEROISE, connect_all
from search_spaces.supernet import Supernet
from search_spaces.template import TEMPLATES
from tests.samples import GREY_8, RGB_9, random_genotype, tiny_genotype
from tests.search_spaces.cells import two_inputs

XNOR = METHODS.get("xnor-net").from_settings({})


@pytest.mark.diagonal
@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("image", [GREY_8, RGB_9], ids=["8x8", "9x11"])
def test_a_network_maps_pixels_to_logits(name: str, template: str, image: ImageFormat) -> None:
    """Odd sizes included: every operation must round a stride the same way."""
    space = replace(SPACES.get(name), template=template)
    network = Network(space, random_genotype(space), XNOR, image)
    assert network(torch.rand(2, image.channels, *image.size)).shape == (2, image.classes)


@pytest.mark.diagonal
@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("seed", range(3))
def test_cost_equals_what_a_forward_pass_computes(name: str, template: str, seed: int) -> None:
    """BOPs and FLOPs as declared against the operands of every product that reaches torch's dispatcher."""
    space = replace(SPACES.get(name), template=template)
    genotype = random_genotype(space, seed)
    declared = network_cost(space, genotype, RGB_9, XNOR.facts.precision)
    counted = audit(Network(space, genotype, XNOR, RGB_9), torch.rand(1, 3, *RGB_9.size))
    assert declared.bops == counted.bops
    assert declared.flops == counted.flops
    assert declared.binary_parameters == sum(product.weights for product in counted.binary)


@pytest.mark.parametrize("name", SPACES.names())
def test_cost_counts_every_parameter(name: str) -> None:
    space = replace(SPACES.get(name), channels=4)
    genotype = random_genotype(space)
    network = Network(space, genotype, FullPrecisionConv(), GREY_8)
    declared = network_cost(space, genotype, GREY_8, FULL_PRECISION)
    assert declared.float_parameters == sum(parameter.numel() for parameter in network.parameters())
    assert declared.bops == 0


@pytest.mark.parametrize("name", SPACES.names())
def test_supernet_cost_counts_every_parameter_of_every_operation(name: str) -> None:
    space = replace(SPACES.get(name), channels=4)
    supernet = Supernet(space, FullPrecisionConv(), GREY_8)
    declared = supernet_cost(space, GREY_8, FULL_PRECISION)
    assert declared.float_parameters == sum(parameter.numel() for parameter in supernet.parameters())


@pytest.mark.parametrize("name", SPACES.names())
def test_a_path_of_the_supernet_computes_what_the_network_with_its_weights_does(name: str) -> None:
    """Names are places, so a network takes over a path's weights by name."""
    space = replace(SPACES.get(name), channels=4)
    genotype = random_genotype(space)
    supernet = Supernet(space, XNOR, GREY_8).eval()
    network = Network(space, genotype, XNOR, GREY_8).eval()
    shared = supernet.state_dict()
    network.load_state_dict({name: shared[name] for name in network.state_dict()})
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(network(images), supernet(images, genotype))


@pytest.mark.parametrize("name", SPACES.names())
def test_path_parameters_are_exactly_those_that_get_gradients(name: str) -> None:
    space = replace(SPACES.get(name), channels=4)
    genotype = random_genotype(space)
    supernet = Supernet(space, XNOR, GREY_8)
    supernet(torch.rand(4, 1, 8, 8), genotype).square().sum().backward()
    with_gradient = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert set(supernet.path_parameters(genotype)) == with_gradient


def test_a_space_of_cells_may_have_fully_connected_layers_behind_its_mean() -> None:
    space = replace(SPACES.get("tiny"), channels=4, hidden_multipliers=(3, 2))
    genotype = random_genotype(space)
    network, precision = Network(space, genotype, XNOR, GREY_8), XNOR.facts.precision
    assert network.head_norm.num_features == network.hidden[0].get_submodule("norm").num_features == 16
    assert (space.hidden_widths, network.classifier.in_features) == ((12, 8), 8)
    declared, counted = network_cost(space, genotype, GREY_8, precision), audit(network, torch.rand(1, 1, 8, 8))
    assert (declared.bops, declared.flops) == (counted.bops, counted.flops)


def test_cells_of_one_type_have_weights_of_their_own() -> None:
    space = replace(SPACES.get("abandit-general"), cells=8)
    network = Network(space, random_genotype(space), XNOR, GREY_8)
    assert network.cell_types[3] == network.cell_types[4] == "d"
    assert {id(p) for p in network.cells[3].parameters()}.isdisjoint({id(p) for p in network.cells[4].parameters()})


def test_a_genotype_of_another_space_builds_nothing() -> None:
    with pytest.raises(ValueError, match=r"genotype\.space"):
        Network(SPACES.get("tiny"), Genotype("other", random_genotype(SPACES.get("tiny")).choices), XNOR, GREY_8)


@pytest.mark.parametrize("template", ["shortcut", "double-norm"])
def test_the_names_in_a_network_with_one_input_are_those_of_bundles_already_saved(template: str) -> None:
    """Written down once: a name that changed would make every stored bundle unreadable, whatever its template."""
    block = ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"]
    behind = [f"conv_{name}" for name in block] if template == "double-norm" else []
    block += ["conv.weight", *behind, "activation.weight"]
    network = Network(replace(SPACES.get("tiny"), template=template), tiny_genotype(), XNOR, GREY_8)
    edges = [f"edges.{edge}.dilated-conv-3x3" for edge in ("0-1", "0-2", "1-2")]
    in_cells = [f"cells.{cell}.{part}.{name}" for cell in (0, 1) for part in ("preprocess", *edges) for name in block]
    stem = ["stem.0.weight", *(f"stem.1.{name.removeprefix('norm.')}" for name in block[:5])]
    head = [f"head_{name}" for name in block[:5]]
    expected = ["normalize.mean", "normalize.std", *stem, *in_cells, *head, "classifier.weight", "classifier.bias"]
    assert list(network.state_dict()) == expected


def test_a_cell_with_two_inputs_gets_the_outputs_of_the_two_cells_before_it() -> None:
    space = two_inputs("skip")
    network = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8)
    outputs: list[Tensor] = []
    seen: list[tuple[Tensor, Tensor]] = []
    for module in (network.stem, *network.cells):
        module.register_forward_hook(lambda _, __, output: outputs.append(output))
    for cell in network.cells:
        cell.register_forward_pre_hook(lambda _, given, named: seen.append((given[0], named["older"])), with_kwargs=True)
    network(torch.rand(2, 1, 8, 8))
    assert len(seen) == 6
    assert seen[0][0] is seen[0][1] is outputs[0]
    for index in range(1, 6):
        assert seen[index][0] is outputs[index]
        assert seen[index][1] is outputs[index - 1]


def test_nodes_of_a_reduction_sum_both_inputs_at_half_the_size() -> None:
    """Skips everywhere: node 2 is the sum of both halved inputs, node 3 of those and of node 2."""
    space = two_inputs("skip")
    network = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8)
    cell = network.cells[2]
    previous, older = torch.randn(2, 8, 8, 8), torch.randn(2, 8, 8, 8)
    half = avg_pool2d(cell.get_submodule("older.1")(older), 2) + avg_pool2d(cell.get_submodule("preprocess")(previous), 2)
    torch.testing.assert_close(cell(previous, older=older), torch.cat([half, half + half], 1))


def test_an_older_output_that_is_larger_is_halved_first() -> None:
    space = two_inputs("skip")
    cell = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8).cells[3]
    previous, older = torch.randn(2, 16, 4, 4), torch.randn(2, 8, 8, 8)
    total = cell.get_submodule("older.1")(avg_pool2d(older, 2)) + cell.get_submodule("preprocess")(previous)
    torch.testing.assert_close(cell(previous, older=older), torch.cat([total, total + total], 1))


def test_a_cut_edge_adds_nothing_and_costs_nothing() -> None:
    space = replace(SPACES.get("tiny"), edges=connect_all(nodes=2, operations=("dilated-conv-3x3", ZEROISE)))
    whole = dict.fromkeys(((cell, edge) for cell in "ab" for edge in ("0-1", "0-2", "1-2")), "dilated-conv-3x3")
    cut = space.genotype({**whole, ("a", "0-2"): ZEROISE})
    network, full = (Network(space, genotype, XNOR, GREY_8).eval() for genotype in (cut, space.genotype(whole)))
    full.load_state_dict(network.state_dict(), strict=False)
    full.set_submodule("cells.0.edges.0-2.dilated-conv-3x3", Zero(1))
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(network(images), full(images))
    assert network_cost(space, cut, GREY_8, XNOR.facts.precision).bops == audit(full, images[:1]).bops
