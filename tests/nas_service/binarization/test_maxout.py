"""Maxout: a PReLU with two learnt slopes."""

import torch
from torch import fx, nn

from nas_service.binarization.maxout import Maxout
from nas_service.binarization.rprelu import replace_prelus


def test_it_starts_as_the_prelu_it_replaces_bit_for_bit() -> None:
    prelu = nn.PReLU(4)
    nn.init.normal_(prelu.weight)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), prelu, nn.Sequential(nn.PReLU(4)))
    inputs = torch.randn(2, 3, 6, 6)
    expected = network(inputs)
    replace_prelus(network, Maxout)
    assert torch.equal(network(inputs), expected)
    assert sum(isinstance(module, Maxout) for module in network.modules()) == 2
    assert not any(isinstance(module, nn.PReLU) for module in network.modules())


def test_each_side_has_the_slope_of_its_channel() -> None:
    module = Maxout(torch.tensor([0.5, -2.0]))
    with torch.no_grad():
        module.upper.copy_(torch.tensor([3.0, -1.0]))
    inputs = torch.tensor([[1.0, 0.0, -1.0], [2.0, -0.0, -4.0]]).view(1, 2, 1, 3)
    assert module(inputs).flatten().tolist() == [3, 0, -0.5, -2, 0, 8]


def test_gradients_are_those_of_the_two_sides_and_0_is_of_the_lower_one() -> None:
    """dL/dx = g gamma+ or g gamma-; dL/dgamma+ = sum g max(x, 0), dL/dgamma- = sum g min(x, 0) over images and positions."""
    torch.manual_seed(0)
    module = Maxout(torch.randn(3)).double()
    nn.init.normal_(module.upper)
    inputs = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    inputs[0, :, 0, 0] = 0
    inputs.requires_grad_()
    upstream = torch.randn_like(inputs)
    module(inputs).backward(upstream)
    values, upper, lower = inputs.detach(), module.upper.detach().view(-1, 1, 1), module.lower.detach().view(-1, 1, 1)
    assert inputs.grad is not None
    assert module.upper.grad is not None
    assert module.lower.grad is not None
    torch.testing.assert_close(inputs.grad, upstream * torch.where(values > 0, upper, lower), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module.upper.grad, (upstream * values * (values > 0)).sum((0, 2, 3)), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module.lower.grad, (upstream * values * (values < 0)).sum((0, 2, 3)), rtol=1e-12, atol=1e-12)


def test_it_is_traced_as_functions_of_torch() -> None:
    graph = fx.Tracer().trace(Maxout(torch.zeros(2)))
    assert {node.op for node in graph.nodes} == {"placeholder", "get_attr", "call_method", "call_function", "output"}
