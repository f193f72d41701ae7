"""Masks on filters: FISTA against its equations, exact zeros, counts."""

import math

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.pruning_masks import FilterMask, FilterPruning, Fista, gather_indices, prune_smallest
from nas_service.binarization.sign import clipped_sign
from search_spaces.cost import ConvShape


def _masks(*sizes: int, fista: Fista) -> list[FilterMask]:
    masks = [FilterMask(size) for size in sizes]
    fista.start(masks)
    return masks


def _gradients(masks: list[FilterMask], targets: list[Tensor]) -> list[Tensor]:
    """Of 0.5 ||y - target||^2."""
    return [mask.point - target for mask, target in zip(masks, targets, strict=True)]


def test_the_iterates_are_those_of_the_equations() -> None:
    """Three steps by hand in Python floats: a_1 = 1, y from M_k and M_{k-1}, then the prox."""
    eta, sparsity = 0.1, 0.5
    fista = Fista(eta, sparsity)
    (mask,) = _masks(2, fista=fista)
    target = [0.2, 3.0]
    previous, current, a = [1.0, 1.0], [1.0, 1.0], 1.0
    for _ in range(3):
        grown = (1 + math.sqrt(1 + 4 * a * a)) / 2
        y = [m + (a - 1) / grown * (m - before) for m, before in zip(current, previous, strict=True)]
        torch.testing.assert_close(mask(moves=True).detach(), torch.tensor(y))
        z = [value - eta * (value - goal) for value, goal in zip(y, target, strict=True)]
        previous, current = current, [math.copysign(max(abs(value) - eta * sparsity, 0), value) for value in z]
        a = grown
        fista.step([mask], _gradients([mask], [torch.tensor(target)]), allowed=2)
        torch.testing.assert_close(mask(), torch.tensor(current))


def test_iterates_become_exactly_zero_where_the_loss_does_not_object() -> None:
    fista = Fista(0.05, 0.5)
    masks = _masks(3, 4, fista=fista)
    targets = [torch.tensor([2.0, 0.0, 0.0]), torch.tensor([2.0, 0.0, 2.0, 2.0])]
    for _ in range(100):
        fista.step(masks, _gradients(masks, targets), allowed=3)
    for mask, target in zip(masks, targets, strict=True):
        assert torch.equal(mask() == 0, target == 0)


def test_no_more_filters_vanish_than_are_allowed() -> None:
    fista = Fista(0.05, 100.0)
    masks = _masks(4, 4, fista=fista)
    gradients = [torch.linspace(0, 1, 4), torch.linspace(0.1, 2, 4)]
    for allowed in (0, 1, 3):
        for _ in range(40):
            fista.step(masks, gradients, allowed)
            assert sum(int((mask() == 0).sum()) for mask in masks) <= allowed
    assert sum(int((mask() == 0).sum()) for mask in masks) == 3


def test_the_prox_spares_the_last_filter_of_a_layer() -> None:
    """Six of eight may go, and the first layer's four are the smallest."""
    fista = Fista(0.1, 100.0)
    masks = _masks(4, 4, fista=fista)
    gradients = [torch.tensor([6.0, 6.1, 6.2, 6.3]), torch.tensor([1.0, 1.1, 1.2, 1.3])]
    fista.step(masks, gradients, allowed=6)
    assert [int(torch.count_nonzero(mask())) for mask in masks] == [1, 2]


def test_the_smallest_masks_are_removed_for_good_over_all_layers() -> None:
    fista = Fista(0.1, 0.0)
    masks = _masks(3, 3, fista=fista)
    masks[0].values.copy_(torch.tensor([0.1, -0.9, 0.5]))
    masks[1].values.copy_(torch.tensor([-0.2, 0.8, 0.3]))
    prune_smallest(masks, 2)
    assert [mask.pruned.tolist() for mask in masks] == [[True, False, False], [True, False, False]]
    for _ in range(3):
        fista.step(masks, [torch.full((3,), -5.0)] * 2, allowed=2)
    assert [mask()[0].item() for mask in masks] == [mask.values[0].item() for mask in masks] == [0.0, 0.0]
    assert [mask(moves=True)[0].item() for mask in masks] == [0.0, 0.0]
    prune_smallest(masks, 3)
    assert sum(int(mask.pruned.sum()) for mask in masks) == 3


def test_every_layer_keeps_its_largest_filter() -> None:
    masks = _masks(3, 3, fista=Fista(0.1, 0.0))
    masks[0].values.copy_(torch.tensor([0.1, -0.2, 0.05]))
    masks[1].values.copy_(torch.tensor([0.9, 1.0, 0.8]))
    prune_smallest(masks, 3)
    assert [mask.pruned.tolist() for mask in masks] == [[True, False, True], [False, False, True]]
    prune_smallest(masks, 6)
    assert [mask.pruned.tolist() for mask in masks] == [[True, False, True], [True, False, True]]


def test_equal_masks_are_removed_in_order() -> None:
    masks = _masks(4, fista=Fista(0.1, 0.0))
    prune_smallest(masks, 2)
    assert int(masks[0].pruned.sum()) == 2


def test_a_mask_is_a_leaf_only_where_it_is_learnt() -> None:
    mask = FilterMask(2)
    assert not mask(moves=True).requires_grad
    Fista(0.1, 0.1).start([mask])
    assert mask(moves=True).requires_grad
    assert mask(moves=True) is mask.leaf
    assert not mask().requires_grad


def test_starting_anew_forgets_everything() -> None:
    fista = Fista(0.1, 0.1)
    masks = _masks(3, fista=fista)
    fista.step(masks, [torch.ones(3)], 1)
    prune_smallest(masks, 2)
    fista.start(masks)
    assert float(fista.momentum) == 1
    assert masks[0]().tolist() == masks[0].point.tolist() == [1, 1, 1]


def test_gather_indices_count_kept_filters_and_point_past_them_for_the_others() -> None:
    kept = torch.tensor([True, False, True, True, False])
    assert gather_indices(kept).tolist() == [0, 3, 1, 2, 3]
    assert gather_indices(kept).dtype == torch.int64


def _masked(filters: int) -> BinaryConv2d:
    shape = ConvShape(in_channels=2, out_channels=filters, kernel_size=1)
    layer = BinaryConv2d(shape, weight_sign=clipped_sign, activation_sign=clipped_sign)
    layer.mask = FilterMask(filters)
    return layer


@pytest.mark.parametrize(("epochs", "expected"), [(1, [6]), (2, [6, 6]), (3, [6, 6, 6]), (5, [3, 6, 6, 6, 6])])
def test_the_share_is_whole_after_the_first_half_of_the_epochs(epochs: int, expected: list[int]) -> None:
    network = nn.Sequential(_masked(8), _masked(4))
    pruning = FilterPruning(network, Fista(0.1, 0.1), share=0.5)
    assert not pruning.runs
    pruning.start(network, epochs)
    removed = []
    for left in range(epochs, 0, -1):
        pruning.allow(left)
        pruning.remove(network)
        removed.append(pruning.removed)
    assert pruning.runs
    assert removed == expected


def test_the_baseline_is_a_copy_in_evaluation_without_gradients() -> None:
    layer = _masked(8)
    network = nn.Sequential(layer, nn.BatchNorm2d(8))
    pruning = FilterPruning(network, Fista(0.1, 0.1), share=0.5)
    assert not pruning.baseline.training
    assert not any(parameter.requires_grad for parameter in pruning.baseline.parameters())
    assert network.training
    with torch.no_grad():
        layer.weight.add_(1)
    pruning.start(network, 2)
    images = torch.randn(3, 2, 4, 4)
    seen = pruning.watch(images, ("0",))
    network.eval()
    with torch.no_grad():
        assert torch.equal(seen["0"], layer(images))
        # (1 / 2n) times the sum of squares: of a distance of one in every one of 8 * 16 outputs, 64.
        assert float(pruning.distance(network(images) + 1)) == pytest.approx(64, rel=1e-5)
