"""ReActNet's own parameters in every template: where they are parameters of their own, and where the order makes them void.

Float64 and one backward pass: what is redundant differs by rounding alone (2^-53 of the largest terms, of which a sum here has a
few thousand), so 1e-9 parts the two kinds by orders of magnitude on both sides.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.react_net import ReactConv2d
from nas_service.binarization.network import binary_network
from nas_service.binarization.rprelu import RPReLU
from search_spaces.network import Cell, Network
from search_spaces.space import SPACES
from tests.samples import GREY_8

ROUNDING = 1e-9
CELLS, EDGES = 4, 3
BLOCKS = CELLS * (1 + EDGES)


def _after_a_backward_pass(template: str, space_name: str = "abandit-mini", cells: int = CELLS) -> Network:
    """Cells that are blocks before and on every edge (in `abandit-mini` three), with thresholds and shifts that are not 0.

    On the edges of a reference network, which has no other blocks, stands its own convolution.
    """
    space = replace(SPACES.get(space_name), template=template, cells=cells, channels=8)
    operation = "dilated-conv-3x3" if space.chain is None else "conv-3x3"
    genotype = space.genotype({(cell.name, edge.name): operation for cell in space.cell_types for edge in space.edges})
    torch.manual_seed(0)
    network = binary_network(space, genotype, METHODS.get("react-net").from_settings({}), GREY_8).double()
    for module in network.modules():
        if isinstance(module, ReactConv2d):
            nn.init.normal_(module.threshold, std=0.1)
        elif isinstance(module, RPReLU):
            nn.init.normal_(module.shift_in, std=0.1)
            nn.init.normal_(module.shift_out, std=0.1)
    images, labels = torch.rand(16, 1, 8, 8, dtype=torch.float64), torch.arange(16) % 10
    nn.functional.cross_entropy(network(images), labels).backward()
    return network


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _thresholds(network: Network) -> dict[str, Tensor]:
    return {name: _gradient(layer.threshold) for name, layer in network.named_modules() if isinstance(layer, ReactConv2d)}


def _norm_shifts(network: Network) -> dict[str, Tensor]:
    return {name: _gradient(norm.bias) for name, norm in network.named_modules() if isinstance(norm, nn.BatchNorm2d)}


def _outer_shifts(network: Network) -> dict[str, tuple[float, float]]:
    """Return the largest gradient of every outer shift and of the inner shift beside it."""
    found = {name: part for name, part in network.named_modules() if isinstance(part, RPReLU)}
    return {
        name: (float(_gradient(part.shift_out).abs().max()), float(_gradient(part.shift_in).abs().max()))
        for name, part in found.items()
    }


def _ends_at_the_head(name: str) -> bool:
    """Whether a block's output is a term of the last node of the last cell, which nothing but the head's batch norm reads."""
    return name.startswith((f"cells.{CELLS - 1}.edges.0-2.", f"cells.{CELLS - 1}.edges.1-2."))


def _distance(one: Tensor, other: Tensor) -> float:
    """Return how far two gradients of one shape are apart, relative to the larger."""
    return float((one - other).norm() / torch.maximum(one.norm(), other.norm()))


def test_in_the_authors_order_no_threshold_s_gradient_is_a_copy_of_a_norm_s() -> None:
    network = _after_a_backward_pass("bi-real")
    thresholds, shifts = _thresholds(network), _norm_shifts(network)
    assert len(thresholds) == BLOCKS
    for name, gradient in thresholds.items():
        assert gradient.abs().max() > 0, name
        for norm, shift in shifts.items():
            assert shift.shape != gradient.shape or _distance(gradient, shift) > 0.01, (name, norm)


@pytest.mark.parametrize("template", ["shortcut", "double-norm"])
def test_behind_a_norm_every_threshold_s_gradient_is_that_of_the_norm_s_shift(template: str) -> None:
    """sign(BN(x) + t) = sign(g x^ + b + t): the threshold is the shift once more."""
    network = _after_a_backward_pass(template)
    shifts = _norm_shifts(network)
    for name, gradient in _thresholds(network).items():
        assert _distance(gradient, shifts[f"{name.removesuffix('conv')}norm"]) < ROUNDING, name


@pytest.mark.parametrize("template", ["bi-real", "double-norm"])
def test_in_the_authors_order_every_outer_shift_is_felt_unless_the_head_s_norm_alone_reads_it(template: str) -> None:
    """What the head's norm alone reads it frees of any constant: the two edges into the last node are void in any order."""
    found = _outer_shifts(_after_a_backward_pass(template))
    void = {name for name, (outer, inner) in found.items() if outer <= ROUNDING * inner}
    assert len(found) == BLOCKS
    assert void == {name for name in found if _ends_at_the_head(name)}
    assert all(outer > 1e-3 * inner for name, (outer, inner) in found.items() if name not in void)


def test_in_the_template_shortcut_no_outer_shift_is_felt() -> None:
    """A constant of a channel passes the sums and shortcuts unchanged, up to a norm, which takes it out."""
    found = _outer_shifts(_after_a_backward_pass("shortcut"))
    assert len(found) == BLOCKS
    assert all(outer <= ROUNDING * inner for outer, inner in found.values())


@pytest.mark.parametrize(("template", "passes"), [("bi-real", False), ("double-norm", True)])
def test_in_deep_cells_that_add_up_many_edges_the_authors_order_outgrows_the_window_of_the_gradient(
    template: str, *, passes: bool
) -> None:
    """As the template's text says of sixty edges that convolve; a norm before the sign keeps the window."""
    network = _after_a_backward_pass(template, "abandit-general", 6)
    last = network.cells[-1]
    assert isinstance(last, Cell)
    gradients = [_gradient(layer.threshold) for layer in last.edges.modules() if isinstance(layer, ReactConv2d)]
    assert len(gradients) == 10
    assert all(bool(gradient.any()) == passes for gradient in gradients)


@pytest.mark.parametrize("template", ["bi-real", "bi-real-projection"])
@pytest.mark.parametrize(("name", "blocks"), [("resnet-20", 18), ("resnet-18", 16)])
def test_in_a_residual_network_every_threshold_and_every_shift_is_a_parameter_of_its_own(
    name: str, blocks: int, template: str
) -> None:
    """The authors' networks, whose classifier has no norm before it: no block is left out."""
    network = _after_a_backward_pass(template, name, blocks)
    thresholds, norms, found = _thresholds(network), _norm_shifts(network), _outer_shifts(network)
    assert len(thresholds) == len(found) == blocks
    assert all(outer > 1e-3 * inner > 0 for outer, inner in found.values())
    for gradient in thresholds.values():
        assert gradient.abs().max() > 0
        assert all(shift.shape != gradient.shape or _distance(gradient, shift) > 0.01 for shift in norms.values())
