"""Groups of filters that are alike."""

import torch

from nas_service.binarization.filter_groups import group_filters, group_means


def test_groups_are_those_of_k_means() -> None:
    """Planted far apart, found again; and no Lloyd step improves what random filters are put into."""
    drawn = torch.Generator().manual_seed(5)
    planted = torch.randn(4, 3, 3, 3, generator=drawn)[[0, 1, 2, 3, 2, 1, 0, 0]] + 0.01 * torch.randn(8, 3, 3, 3, generator=drawn)
    groups = group_filters(planted, 4)
    assert groups[0] == groups[6] == groups[7]
    assert groups[1] == groups[5]
    assert groups[2] == groups[4]
    assert len(groups.unique()) == 4
    filters = torch.randn(200, 1, 1, 2, generator=drawn)  # more than one round from the start
    groups = group_filters(filters, 7)
    centres = torch.stack([filters[groups == group].flatten(1).double().mean(0) for group in range(7)])
    assert torch.equal(torch.cdist(filters.flatten(1).double(), centres).argmin(1), groups)


def test_no_group_is_empty_even_among_equal_filters() -> None:
    filters = torch.ones(6, 1, 1, 1)
    filters[0] = 2
    assert group_filters(filters, 4).unique().tolist() == [0, 1, 2, 3]


def test_group_means_are_exact_for_groups_of_one() -> None:
    filters = torch.randn(5, 2, 3, 3)
    assert torch.equal(group_means(filters, torch.arange(5)), filters)
