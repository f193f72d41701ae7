"""Frozen networks have one result: no sign depends on threads, memory layout or batch, whatever method, template, operation."""

import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.method import METHODS, Method
from nas_service.binarization.network import binary_network
from nas_service.export import runtime
from nas_service.export.packed import freeze_network
from nas_service.export.standalone import write_source
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, ZEROISE, SearchSpace, SpaceSettings
from search_spaces.template import TEMPLATES
from tests.contracts.test_methods import EVERY_METHOD
from tests.rounding import differing, pixels
from tests.samples import GREY_8, RGB_9, random_genotype

OPEN_SUMS = re.compile(r"nn\.(BatchNorm|Conv)|F\.conv|bmm|matmul|einsum|\.mean\(|\.sum\(|[^_]conv2d\(")


def _spaces() -> dict[str, SearchSpace]:
    """Return a small space in each template, every operation in one of them, and those whose networks are built otherwise."""
    names, templates = OPERATIONS.names(), TEMPLATES.names()
    spaces = {}
    for place, template in enumerate(templates):
        own = list(names[place :: len(templates)])
        spaces[template] = SPACES.get("tiny").configure(SpaceSettings(channels=8, template=template, operations=own))
    for name, cells in (("bnas", 5), ("nas-bnn", None), ("vgg-binarynet", None), ("resnet-20", None)):
        spaces[name] = SPACES.get(name).configure(SpaceSettings(channels=4, cells=cells))
    return spaces


def _genotype(space: SearchSpace) -> Genotype:
    """Return one with all operations of `tiny` in turn, none of which cuts off a node; of other spaces a random one."""
    if space.name != "tiny" or len(space.edges[0].operations) < 3:
        return random_genotype(space, 1)
    turn = itertools.cycle(space.edges[0].operations)
    return space.genotype({(cell.name, edge.name): next(turn) for cell in space.cell_types for edge in space.edges})


SPACE_CASES = _spaces()


@torch.no_grad()
def _network(space: SearchSpace, method: Method, image: ImageFormat = GREY_8) -> Network:
    """Return a random network whose batch norms have settled and whose factors are of both signs."""
    torch.manual_seed(0)
    network = binary_network(space, _genotype(space), method, image)
    for (
        parameter
    ) in network.parameters():  # a Gabor filter of phase pi / 2 sums to 0 on even ground, in the live network by chance
        parameter.add_(torch.randn(parameter.shape), alpha=0.01)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias, std=0.5)
        norm.momentum = None
    for module in network.modules():
        if isinstance(module, nn.PReLU):
            nn.init.normal_(module.weight)
    network(pixels(image, 64, seed=1))
    return network.eval()


@contextmanager
def _seen(frozen: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what every binary convolution, and the global pool or else the classifier, is given."""
    inputs = list[Tensor]()
    ends = [module for module in frozen.modules() if isinstance(module, runtime.BinaryConv2d | nn.AdaptiveAvgPool2d)]
    handles = [module.register_forward_pre_hook(lambda _, given: inputs.append(given[0])) for module in ends]
    yield inputs
    for handle in handles:
        handle.remove()


@torch.no_grad()
def _one_at_a_time(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    logits, seen = zip(*(_run(network, image[None]) for image in images), strict=True)
    return torch.cat(logits), [torch.cat(parts) for parts in zip(*seen, strict=True)]


@torch.no_grad()
def _run(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    with _seen(network) as inputs:
        return network(images), inputs


def _channels_last(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    form = torch.channels_last
    result = _run(network.to(memory_format=form), images.to(memory_format=form))  # type: ignore[call-overload]  # torch's stub
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # torch's stub
    return result


def _two_threads(network: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        return _run(network, images)
    finally:
        torch.set_num_threads(before)


WAYS: dict[str, Callable[[nn.Module, Tensor], tuple[Tensor, list[Tensor]]]] = {
    "channels last": _channels_last,
    "two threads": _two_threads,
    "one image at a time": _one_at_a_time,
}


@pytest.mark.few(8)
@pytest.mark.diagonal
@EVERY_METHOD
@pytest.mark.parametrize("case", SPACE_CASES)
def test_what_every_sign_sees_is_the_same_in_every_way_of_computing_it(name: str, settings: dict[str, Any], case: str) -> None:
    """To the last bit, and so are the inputs of the global pool. What follows has no sign: logits up to the order of its sums.

    The live network rounds in another way; of 28 images one may have a sign flipped.
    """
    method = METHODS.get(name).from_settings(settings)
    network = _network(SPACE_CASES[case], method)
    frozen, images = freeze_network(network, method), pixels(GREY_8, 28)
    logits, seen = _run(frozen, images[:7])
    assert seen
    for way, run in WAYS.items():
        others, theirs = run(frozen, images[:7])
        assert len(theirs) == len(seen)
        assert all(torch.equal(first, second) for first, second in zip(seen, theirs, strict=True)), way
        torch.testing.assert_close(others, logits, rtol=1e-5, atol=1e-5 * float(logits.abs().max()))
    with torch.no_grad():
        assert differing(frozen(images), network(images)) <= 1


def test_every_operation_and_template_is_in_one_of_these_spaces() -> None:
    genotypes = [_genotype(space) for space in SPACE_CASES.values()]
    used = {
        genotype.operation(cell.name, edge.name)
        for space, genotype in zip(SPACE_CASES.values(), genotypes, strict=True)
        for cell in space.cell_types
        for edge in space.edges
    }
    assert used == set(OPERATIONS.names())
    assert set(TEMPLATES.names()) <= {space.template for space in SPACE_CASES.values()}


@pytest.mark.diagonal
@pytest.mark.parametrize("name", OPERATIONS.names())
@pytest.mark.parametrize("template", TEMPLATES.names())
def test_no_sum_of_an_operation_is_left_to_torch(name: str, template: str) -> None:
    """What a trace computes beside layers of the run time is elementwise, moves values, or takes the largest."""
    operations = ["skip", name] if name == ZEROISE else [name]
    space = SPACES.get("tiny").configure(SpaceSettings(channels=4, template=template, operations=operations))
    method = METHODS.get("adabin").from_settings({})
    source = write_source(freeze_network(_network(space, method, RGB_9), method), "A test.")
    assert not OPEN_SUMS.findall(source[source.index("class Cell0") :])
