"""Every operation by discovery: shape, gradient, cost. A new file is tested by being there."""

from functools import partial

import pytest
import torch

from nas_service.binarization.audit import audit
from nas_service.binarization.method import METHODS
from search_spaces.cost import Size
from search_spaces.operation import OPERATIONS
from search_spaces.space import ZEROISE
from search_spaces.template import TEMPLATES

BNN = METHODS.get("bnn").from_settings({})
EVERY_OPERATION = pytest.mark.parametrize("name", OPERATIONS.names())
EVERY_TEMPLATE = pytest.mark.parametrize("template", TEMPLATES.names())
STRIDES = pytest.mark.parametrize("stride", [1, 2])


@pytest.mark.diagonal
@EVERY_OPERATION
@EVERY_TEMPLATE
@STRIDES
@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_the_output_has_the_size_over_the_stride_rounded_up(name: str, template: str, stride: int, size: tuple[int, int]) -> None:
    module = OPERATIONS.get(name)()(TEMPLATES.get(template)().wrap(BNN), 6, stride)
    height, width = Size(*size).strided(stride)
    assert module(torch.randn(2, 6, *size)).shape == (2, 6, height, width)


@pytest.mark.diagonal
@EVERY_OPERATION
@EVERY_TEMPLATE
@STRIDES
def test_gradient_reaches_the_input_and_every_parameter(name: str, template: str, stride: int) -> None:
    torch.manual_seed(0)
    module = OPERATIONS.get(name)()(TEMPLATES.get(template)().wrap(BNN), 6, stride)
    inputs = torch.randn(4, 6, 8, 8, requires_grad=True)
    outputs = module(inputs)
    if name == ZEROISE:
        assert not outputs.any()
        assert not outputs.requires_grad  # nothing flows through a cut
        return
    outputs.backward(torch.randn_like(outputs))
    assert inputs.grad is not None
    assert torch.count_nonzero(inputs.grad) > 0
    for parameter_name, parameter in module.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.count_nonzero(parameter.grad) > 0, parameter_name


@pytest.mark.diagonal
@EVERY_OPERATION
@EVERY_TEMPLATE
@STRIDES
def test_declared_cost_equals_counted_cost(name: str, template: str, stride: int) -> None:
    wrapped = TEMPLATES.get(template)()
    operation = OPERATIONS.get(name)()
    module = operation(wrapped.wrap(BNN), 6, stride)
    declared = operation.cost(partial(wrapped.cost, BNN.facts.precision), 6, stride, Size(8, 10))
    counted = audit(module, torch.randn(1, 6, 8, 10))
    assert (declared.bops, declared.flops) == (counted.bops, counted.flops)
    assert declared.binary_parameters + declared.float_parameters == sum(p.numel() for p in module.parameters())


@EVERY_OPERATION
def test_it_has_a_summary(name: str) -> None:
    assert OPERATIONS.get(name).summary
