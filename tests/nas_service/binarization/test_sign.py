"""Signs and their gradients."""

import pytest
import torch

from nas_service.binarization.sign import (
    SurrogateSign,
    clipped_sign,
    draw_sign,
    identity_sign,
    sign,
    stochastic_clipped_sign,
    stochastic_identity_sign,
    tent,
    tent_sign,
)

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_zero_and_minus_zero_binarize_to_plus_one(dtype: torch.dtype) -> None:
    assert sign(torch.tensor([0.0, -0.0], dtype=dtype)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_smallest_numbers_keep_their_sign(dtype: torch.dtype) -> None:
    tiny = torch.finfo(dtype).tiny
    assert sign(torch.tensor([tiny, -tiny], dtype=dtype)).tolist() == [1.0, -1.0]


def test_memory_format_is_kept() -> None:
    inputs = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    assert sign(inputs).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_clipped_gradient_is_zero_exactly_where_the_magnitude_exceeds_one(dtype: torch.dtype) -> None:
    """The next numbers beside 1 on either side are told apart."""
    step = torch.finfo(dtype).eps
    values = [-2.0, -1 - step, -1.0, -1 + step, 0.0, 1 - step, 1.0, 1 + step, 2.0]
    inputs = torch.tensor(values, dtype=dtype, requires_grad=True)
    clipped_sign(inputs).backward(torch.full_like(inputs, 3.0))
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [0, 0, 3, 3, 3, 3, 3, 0, 0]


def test_the_identity_gradient_passes_everything() -> None:
    inputs = torch.tensor([-5.0, 0.0, 5.0], requires_grad=True)
    identity_sign(inputs).backward(torch.tensor([1.0, 2.0, 3.0]))
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [1, 2, 3]


@pytest.mark.parametrize("value", [-1.5, -1.0, -0.5, 0.0, 0.3, 1.0, 2.0])
def test_the_mean_of_random_signs_is_the_clipped_value(value: float) -> None:
    """Within 4 standard errors: about 6 false alarms in 100,000 runs, and the seed is fixed."""
    count = 20_000
    torch.manual_seed(1)
    drawn = draw_sign(torch.full((count,), value))
    expected = min(1.0, max(-1.0, value))
    standard_error = ((1 - expected**2) / count) ** 0.5
    assert set(drawn.unique().tolist()) <= {-1.0, 1.0}
    assert abs(drawn.mean().item() - expected) <= 4 * standard_error


def test_random_signs_have_the_gradient_of_their_mean() -> None:
    inputs = torch.tensor([-1.5, -0.5, 0.5, 1.5], requires_grad=True)
    stochastic_clipped_sign(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [0, 1, 1, 0]


def test_random_weight_signs_pass_their_gradient_unchanged() -> None:
    inputs = torch.tensor([-1.5, 1.5], requires_grad=True)
    stochastic_identity_sign(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [1, 1]


def test_a_surrogate_sign_has_the_gradient_of_its_slope_and_is_equal_where_the_slope_is() -> None:
    def slope(inputs: torch.Tensor) -> torch.Tensor:
        return inputs.square() + 1

    inputs = torch.tensor([-3.0, -0.0, 0.5], requires_grad=True)
    outputs = SurrogateSign(slope)(inputs)
    outputs.backward(torch.tensor([1.0, 2.0, -4.0]))
    assert outputs.tolist() == [-1.0, 1.0, 1.0]
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [10.0, 2.0, -5.0]
    assert SurrogateSign(tent) == tent_sign != SurrogateSign(slope)
    assert hash(SurrogateSign(tent)) == hash(tent_sign)
