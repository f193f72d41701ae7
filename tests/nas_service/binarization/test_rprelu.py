"""RPReLU: a PReLU with a movable corner."""

import torch
from torch import fx, nn

from nas_service.binarization.rprelu import RPReLU, replace_prelus


def test_it_starts_as_the_prelu_it_replaces_bit_for_bit() -> None:
    prelu = nn.PReLU(4)
    nn.init.normal_(prelu.weight)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), prelu, nn.Sequential(nn.PReLU(4)))
    inputs = torch.randn(2, 3, 6, 6)
    expected = network(inputs)
    replace_prelus(network, RPReLU)
    assert torch.equal(network(inputs), expected)
    assert sum(isinstance(module, RPReLU) for module in network.modules()) == 2
    assert not any(isinstance(module, nn.PReLU) for module in network.modules())


def test_the_corner_lies_at_the_shifts_and_the_slopes_are_those_of_the_channels() -> None:
    """Above gamma x - gamma + zeta, below it beta (x - gamma) + zeta."""
    module = RPReLU(torch.tensor([0.5, -2.0]))
    with torch.no_grad():
        module.shift_in.copy_(torch.tensor([1.0, -1.0]))
        module.shift_out.copy_(torch.tensor([3.0, 10.0]))
    inputs = torch.tensor([[1.0, 2.0, -1.0], [-1.0, 4.0, -2.0]]).view(1, 2, 1, 3)
    assert module(inputs).flatten().tolist() == [3, 4, 2, 10, 15, 12]


def test_slope_and_shifts_get_gradients() -> None:
    module = RPReLU(torch.full((2,), 0.25))
    module(torch.randn(3, 2, 4, 4)).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.ne(0).all()) for parameter in module.parameters())


def test_it_is_traced_as_functions_of_torch() -> None:
    graph = fx.Tracer().trace(RPReLU(torch.zeros(2)))
    assert {node.op for node in graph.nodes} == {"placeholder", "get_attr", "call_method", "call_function", "output"}
