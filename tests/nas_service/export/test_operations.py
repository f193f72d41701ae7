"""Every operation with every method: frozen, written as source and run, it computes what the trained network does."""

from typing import Any

import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.export.measured_cost import measured_cost
from nas_service.export.packed import freeze_network
from nas_service.export.standalone import frozen_weights, write_source
from search_spaces.network import network_cost
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, ZEROISE, SpaceSettings
from tests.samples import GREY_8

METHOD_AND_TEMPLATE = [(name, "double-norm") for name in METHODS.names()] + [("bnn", "plain"), ("mcn", "plain")]
METHOD_AND_TEMPLATE += [("react-net", "bi-real"), ("bnn", "bi-real-projection"), ("xnor-net", "shortcut")]


@pytest.mark.parametrize("name", OPERATIONS.names())
@pytest.mark.parametrize(("method_name", "template"), METHOD_AND_TEMPLATE)
def test_the_written_source_computes_what_the_trained_network_does(name: str, method_name: str, template: str) -> None:
    """One operation everywhere (a cut needs another one beside it), at strides 1 and 2; equal to the last bit."""
    method = METHODS.get(method_name).from_settings({})
    operations = ["skip", name] if name == ZEROISE else [name]
    space = SPACES.get("tiny").configure(SpaceSettings(channels=4, template=template, operations=operations))
    last = {
        (cell.name, edge.name): operations[-1 if edge.target > 1 and edge.source else 0]
        for cell in space.cell_types
        for edge in space.edges
    }
    genotype = space.genotype(last)
    network = binary_network(space, genotype, method, GREY_8)
    images = torch.rand(32, 1, 8, 8)
    network(images)  # running statistics other than 0 and 1
    frozen = freeze_network(network, method)
    namespace: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
    exec(write_source(frozen, "Test."), namespace)  # noqa: S102 - our own text, written a moment ago
    written = namespace["Network"]().eval()
    written.load_state_dict(frozen_weights(frozen))
    expected = network.eval()(images)
    assert torch.equal(written(images), frozen(images))
    if method.facts.precision.activation_bits == 1 and method.facts.precision.scales_per_position == 0:
        assert torch.equal(frozen(images), expected)
    else:  # the order of float sums may differ, as in tests/contracts/test_methods.py
        torch.testing.assert_close(frozen(images), expected, rtol=1e-4, atol=1e-4)
    assert measured_cost(frozen, GREY_8) == network_cost(space, genotype, GREY_8, method.facts.precision)
