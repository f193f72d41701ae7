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
from tests.rounding import differing, pixels
from tests.samples import GREY_8

METHOD_AND_TEMPLATE = [(name, "double-norm") for name in METHODS.names()] + [("bnn", "plain"), ("mcn", "plain")]
METHOD_AND_TEMPLATE += [("react-net", "bi-real"), ("bnn", "bi-real-projection"), ("xnor-net", "shortcut")]


@pytest.mark.diagonal
@pytest.mark.parametrize("name", OPERATIONS.names())
@pytest.mark.parametrize(("method_name", "template"), METHOD_AND_TEMPLATE)
def test_the_written_source_computes_what_the_trained_network_does(name: str, method_name: str, template: str) -> None:
    """One operation everywhere (a cut needs another one beside it), at strides 1 and 2.

    The source equals the frozen network to the last bit. The live network rounds its real sums in another way, so a sign may
    flip: of 64 images in one at most. Parameters are nudged: a Gabor filter of phase pi / 2, as they are made, sums to 0 on even
    ground, where the live network's sign is that of its rounding.
    """
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
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)), alpha=0.01)
    images = pixels(GREY_8, 64)
    network(images)  # running statistics other than 0 and 1
    frozen = freeze_network(network, method)
    namespace: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
    exec(write_source(frozen, "Test."), namespace)  # noqa: S102 - our own text, written a moment ago
    written = namespace["Network"]().eval()
    written.load_state_dict(frozen_weights(frozen))
    assert torch.equal(written(images), frozen(images))
    assert differing(frozen(images), network.eval()(images)) <= 1
    assert measured_cost(frozen, GREY_8) == network_cost(space, genotype, GREY_8, method.facts.precision)
