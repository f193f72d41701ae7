"""Shift-based batch norm: every multiplier is a power of two, and otherwise it is batch norm."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from nas_service.binarization.shift_norm import ShiftBatchNorm2d, power_of_two, shift, shift_norms

_PRODUCTS = {torch.ops.aten.mul.Tensor, torch.ops.aten.mul_.Tensor, torch.ops.aten.addcmul.default}


class _Products(TorchDispatchMode):
    """Keeps the two factors of every product that torch computes; batch norm's scale counts as one."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.factors: list[tuple[Tensor, ...]] = []

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        if func in _PRODUCTS:
            self.factors.append(tuple(factor.clone() for factor in args[-2:]))
        elif func is torch.ops.aten.native_batch_norm.default:
            _, weight, _, _, variance, _, _, eps = args
            self.factors.append((weight / (variance + eps).sqrt(),))
        return func(*args, **(kwargs or {}))


def _is_power(values: Tensor) -> bool:
    return bool(((values.frexp().mantissa.abs() == 0.5) | (values == 0)).all())


def _used(seed: int = 0) -> tuple[ShiftBatchNorm2d, Tensor]:
    """Return a layer with unlike scales and shifts, after two batches, and a third."""
    drawn = torch.Generator().manual_seed(seed)
    norm = ShiftBatchNorm2d(4)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.3, -1.4, 1.0, 5.0]))
        norm.bias.copy_(torch.randn(4, generator=drawn))
    for _ in range(2):
        norm(torch.randn(8, 4, 5, 5, generator=drawn) * 3 + 1)
    return norm, torch.randn(8, 4, 5, 5, generator=drawn) * 3 + 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_power_is_the_nearest_in_the_logarithm(dtype: torch.dtype) -> None:
    values = torch.randn(2000, generator=torch.Generator().manual_seed(0)).to(dtype).mul_(40)
    powers = power_of_two(values)
    assert powers.dtype == dtype
    assert torch.equal(powers.double(), values.double().sign() * values.double().abs().log2().round().exp2())


def test_powers_stay_and_the_square_root_of_two_is_the_border() -> None:
    """float32(sqrt 2) is below sqrt 2, the next number above it."""
    below = torch.tensor(2.0).sqrt()
    above = torch.nextafter(below, torch.tensor(2.0))
    values = torch.stack([below, above, -below, -above, torch.tensor(8.0), torch.tensor(0.0), torch.tensor(3e38)])
    assert power_of_two(values).tolist() == [1, 2, -1, -2, 8, 0, float("inf")]


@pytest.mark.parametrize("training", [True, False])
def test_every_multiplier_is_an_exact_power_of_two(*, training: bool) -> None:
    norm, inputs = _used()
    norm.train(training)
    with torch.no_grad(), _Products() as seen:
        norm(inputs)
    assert len(seen.factors) >= (3 if training else 2)  # c AP2(c), the division, the scale; or the product of two scales
    assert all(any(_is_power(factor) for factor in factors) for factors in seen.factors)


def test_a_plain_batch_norm_multiplies_with_other_numbers() -> None:
    """The check above can fail."""
    norm, inputs = _used()
    plain = nn.BatchNorm2d(4).eval()
    plain.load_state_dict(norm.state_dict())
    with torch.no_grad(), _Products() as seen:
        plain(inputs)
    assert not any(_is_power(factor) for factors in seen.factors for factor in factors)


def test_the_output_is_the_published_formula() -> None:
    norm, inputs = _used()
    x = inputs.double()
    centred = x - x.mean((0, 2, 3), keepdim=True)
    variance = (centred * power_of_two(centred)).mean((0, 2, 3), keepdim=True)
    scale = power_of_two(norm.weight.double()).view(1, -1, 1, 1)
    expected = scale * (centred * power_of_two((variance + norm.eps).rsqrt())) + norm.bias.double().view(1, -1, 1, 1)
    # In float32 a value next to sqrt(2) 2^i may be shifted by one place more or less: none is in this draw.
    torch.testing.assert_close(norm(inputs), expected.float(), rtol=1e-5, atol=1e-5)


def test_the_output_is_batch_norm_s_up_to_powers_of_two_near_its_factors() -> None:
    """Here v is within a factor sqrt 2 of the variance, and each AP2 within one of its argument: together below 2^(1/4 + 1)."""
    norm, inputs = _used()
    plain = nn.BatchNorm2d(4)
    plain.load_state_dict(norm.state_dict())
    moved = norm.bias.view(1, -1, 1, 1)
    ratio = ((norm(inputs) - moved) / (plain(inputs) - moved)).detach()
    assert float(ratio.min()) > 2**-1.25
    assert float(ratio.max()) < 2**1.25


def test_gradients_are_those_of_the_straight_through_formula() -> None:
    """The closed form against autograd through the definition, in float64: sums of 200 products, 1e-12."""
    norm, inputs = _used()
    norm.double()
    x = inputs.double().requires_grad_()
    direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (norm(x) * direction).sum().backward()
    actual = (x.grad, norm.weight.grad, norm.bias.grad)
    again, weight, bias = (value.detach().clone().requires_grad_() for value in (x, norm.weight, norm.bias))
    centred = again - again.mean((0, 2, 3), keepdim=True)
    variance = (centred * shift(centred)).mean((0, 2, 3), keepdim=True)
    outputs = shift(weight).view(1, -1, 1, 1) * (centred * shift((variance + norm.eps).rsqrt())) + bias.view(1, -1, 1, 1)
    (outputs * direction).sum().backward()
    for found, expected in zip(actual, (again.grad, weight.grad, bias.grad), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_the_gradient_does_not_change_the_mean_of_the_input() -> None:
    norm, inputs = _used()
    norm.double()
    x = inputs.double().requires_grad_()
    norm(x).pow(3).sum().backward()
    assert x.grad is not None
    assert float(x.grad.abs().max()) > 1e-3
    assert float(x.grad.mean((0, 2, 3)).abs().max()) < 1e-12


def test_running_statistics_are_averaged_as_batch_norm_does_and_plainly_without_momentum() -> None:
    batches = [torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(seed)) + 2 for seed in range(3)]
    means = [batch.mean((0, 2, 3)) for batch in batches]
    norm, plain = ShiftBatchNorm2d(4), ShiftBatchNorm2d(4, momentum=None)
    reference = nn.BatchNorm2d(4)
    for batch in batches:
        norm(batch)
        plain(batch)
        reference(batch)
    assert reference.running_mean is not None
    torch.testing.assert_close(norm.running_mean, reference.running_mean)
    torch.testing.assert_close(plain.running_mean, torch.stack(means).mean(0))
    assert int(norm.num_batches_tracked) == 3
    centred = [batch - mean.view(1, -1, 1, 1) for batch, mean in zip(batches, means, strict=True)]
    variances = [(values * power_of_two(values)).mean((0, 2, 3)) for values in centred]
    torch.testing.assert_close(plain.running_var, torch.stack(variances).mean(0))
    torch.testing.assert_close(norm.running_var, 0.729 + 0.081 * variances[0] + 0.09 * variances[1] + 0.1 * variances[2])


def test_evaluation_uses_the_running_statistics_alone() -> None:
    norm, inputs = _used()
    norm.eval()
    assert torch.equal(norm(inputs)[:2], norm(inputs[:2]))


def test_the_deployed_layer_is_torch_s_own_and_equal_bit_for_bit() -> None:
    norm, inputs = _used()
    norm.eval()
    deployed = norm.deployed()
    assert type(deployed) is nn.BatchNorm2d
    assert _is_power(deployed.weight)
    assert torch.equal(deployed(inputs), norm(inputs))


def test_every_batch_norm_of_a_network_is_replaced_with_its_state() -> None:
    inner = nn.BatchNorm2d(3, eps=1e-3, momentum=0.2)
    inner(torch.randn(4, 3, 2, 2))
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(inner, nn.ReLU()))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shift_norms(network)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert [type(norm) for norm in norms] == [ShiftBatchNorm2d] * 2
    assert (norms[1].eps, norms[1].momentum) == (1e-3, 0.2)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
