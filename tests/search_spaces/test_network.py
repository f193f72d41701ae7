"""Networks and supernets: shapes, names, cost, sharing."""

from dataclasses import replace

import pytest
import torch

from nas_service.binarization.audit import audit
from nas_service.binarization.method import METHODS
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network, network_cost, supernet_cost
from search_spaces.space import SPACES
from search_spaces.supernet import Supernet
from search_spaces.template import TEMPLATES
from tests.samples import GREY_8, RGB_9, random_genotype

XNOR = METHODS.get("xnor-net").from_settings({})


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("image", [GREY_8, RGB_9], ids=["8x8", "9x11"])
def test_a_network_maps_pixels_to_logits(name: str, template: str, image: ImageFormat) -> None:
    """Odd sizes included: every operation must round a stride the same way."""
    space = replace(SPACES.get(name), template=template)
    network = Network(space, random_genotype(space), XNOR, image)
    assert network(torch.rand(2, image.channels, *image.size)).shape == (2, image.classes)


@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("seed", range(3))
def test_cost_equals_what_a_forward_pass_computes(name: str, template: str, seed: int) -> None:
    """BOPs and FLOPs as declared against the operands of every product that reaches torch's dispatcher."""
    space = replace(SPACES.get(name), template=template)
    genotype = random_genotype(space, seed)
    declared = network_cost(space, genotype, RGB_9, XNOR.precision)
    counted = audit(Network(space, genotype, XNOR, RGB_9), torch.rand(1, 3, *RGB_9.size))
    assert declared.bops == counted.bops
    assert declared.flops == counted.flops
    assert declared.binary_parameters == sum(product.weights for product in counted.binary)


def test_cost_counts_every_parameter() -> None:
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space)
    network = Network(space, genotype, FullPrecisionConv(), GREY_8)
    declared = network_cost(space, genotype, GREY_8, FULL_PRECISION)
    assert declared.float_parameters == sum(parameter.numel() for parameter in network.parameters())
    assert declared.bops == 0


def test_supernet_cost_counts_every_parameter_of_every_operation() -> None:
    space = SPACES.get("tiny")
    supernet = Supernet(space, FullPrecisionConv(), GREY_8)
    declared = supernet_cost(space, GREY_8, FULL_PRECISION)
    assert declared.float_parameters == sum(parameter.numel() for parameter in supernet.parameters())


def test_a_path_of_the_supernet_computes_what_the_network_with_its_weights_does() -> None:
    """Names are places, so a network takes over a path's weights by name."""
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space)
    supernet = Supernet(space, XNOR, GREY_8).eval()
    network = Network(space, genotype, XNOR, GREY_8).eval()
    shared = supernet.state_dict()
    network.load_state_dict({name: shared[name] for name in network.state_dict()})
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(network(images), supernet(images, genotype))


def test_path_parameters_are_exactly_those_that_get_gradients() -> None:
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space)
    supernet = Supernet(space, XNOR, GREY_8)
    supernet(torch.rand(4, 1, 8, 8), genotype).square().sum().backward()
    with_gradient = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
    assert set(supernet.path_parameters(genotype)) == with_gradient


def test_cells_of_one_type_have_weights_of_their_own() -> None:
    space = replace(SPACES.get("abandit-general"), cells=8)
    network = Network(space, random_genotype(space), XNOR, GREY_8)
    assert network.cell_types[3] == network.cell_types[4] == "d"
    assert {id(p) for p in network.cells[3].parameters()}.isdisjoint({id(p) for p in network.cells[4].parameters()})


def test_a_genotype_of_another_space_builds_nothing() -> None:
    with pytest.raises(ValueError, match=r"genotype\.space"):
        Network(SPACES.get("tiny"), Genotype("other", random_genotype(SPACES.get("tiny")).choices), XNOR, GREY_8)
