"""Copies of a path's weights as one block."""

import torch
from torch import nn

from nas_service.training.state.path_weights import PathWeights, copy_all


def _parameters() -> dict[str, nn.Parameter]:
    kernel = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    return {"kernel": nn.Parameter(kernel), "scale": nn.Parameter(torch.randn(5)), "scalar": nn.Parameter(torch.randn(()))}


def test_a_copy_has_the_values_shapes_and_strides_and_is_one_block() -> None:
    parameters = _parameters()
    copied = PathWeights.of(parameters)
    for name, parameter in parameters.items():
        assert torch.equal(copied.named[name], parameter)
        assert copied.named[name].stride() == parameter.stride()
        assert copied.named[name].untyped_storage().data_ptr() == copied.values.untyped_storage().data_ptr()
    assert copied.values.numel() == 4 * 3 * 2 * 2 + 5 + 1


def test_a_copy_stays_when_the_weights_move_and_puts_them_back() -> None:
    parameters = _parameters()
    expected = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    copied = PathWeights.of(parameters)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(1)
    copy_all([parameter.detach() for parameter in parameters.values()], list(copied.named.values()))
    assert all(torch.equal(parameter, expected[name]) for name, parameter in parameters.items())


def test_one_value_that_is_not_finite_is_seen() -> None:
    parameters = _parameters()
    assert bool(PathWeights.of(parameters).finite())
    for bad in (float("nan"), float("inf")):
        with torch.no_grad():
            parameters["kernel"][1, 1, 1, 1] = bad
        assert not bool(PathWeights.of(parameters).finite())
