"""Bi-Real Net (Liu et al. 2018), rule by rule."""

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.bi_real import BiReal, BiRealConv2d
from nas_service.recipes.recipe import Recipe
from search_spaces.cost import ConvShape
from search_spaces.templates.shortcut import ShortcutBlock

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)


def _layer(shape: ConvShape = SHAPE, **settings: bool) -> BiRealConv2d:
    layer = METHODS.get("bi-real").from_settings(settings)(shape)
    assert isinstance(layer, BiRealConv2d)
    return layer


def _wide_layer(**settings: bool) -> BiRealConv2d:
    """A float64 layer with weights on both sides of the window's ends."""
    layer = _layer(SHAPE, **settings).to(torch.float64)
    nn.init.normal_(layer.weight)
    assert (layer.weight.abs() > 1).any()
    return layer


def _signs(values: Tensor) -> Tensor:
    return torch.where(values >= 0, 1.0, -1.0).to(values.dtype)


def _gradients_of_real_kernel(layer: BiRealConv2d, inputs: Tensor, out_gradient: Tensor) -> tuple[Tensor, Tensor]:
    """dL/dW^ and dL/d(padded signs of x), by autograd, of an ordinary convolution with W^ = mean|W| sign(W)."""
    weight = layer.weight.detach()
    kernel = (weight.abs().mean((1, 2, 3), keepdim=True) * _signs(weight)).requires_grad_()
    signs = _signs(inputs.detach()).requires_grad_()
    F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), kernel).backward(out_gradient)
    assert kernel.grad is not None
    assert signs.grad is not None
    return kernel.grad, signs.grad


def test_the_activation_gradient_is_a_tent_of_height_2_and_area_2() -> None:
    layer = _layer()
    inputs = torch.linspace(-2, 2, 4001, dtype=torch.float64).round(decimals=3).requires_grad_()
    layer.binary_input(inputs).sum().backward()
    gradient = inputs.grad
    assert gradient is not None
    assert float(gradient.max()) == float(gradient[2000]) == 2
    assert torch.count_nonzero(gradient[(inputs.abs() >= 1).detach()]) == 0
    # The trapezoidal rule is exact for a function that is linear between the grid's points.
    assert abs(float(torch.trapezoid(gradient, inputs.detach())) - 2) < 1e-9


def test_every_block_has_a_real_valued_identity_path() -> None:
    """With a convolution of zeros the output is the input, also where the channels halve: then their mean."""
    for inputs_channels in (4, 8):
        shape = ConvShape(in_channels=inputs_channels, out_channels=4, kernel_size=3, padding=1)
        block = ShortcutBlock(shape, _layer(shape)).train()
        nn.init.zeros_(block.conv.weight)  # type: ignore[arg-type]  # a parameter
        inputs = torch.randn(2, inputs_channels, 5, 5)
        expected = inputs if inputs_channels == 4 else inputs.unflatten(1, (2, -1)).mean(1)
        assert torch.equal(block(inputs), expected)


def test_the_weight_gradient_is_that_of_the_clipped_latent_weight_and_alpha_is_a_constant() -> None:
    """dL/dW = dL/dW^ 1[|W| <= 1], with no factor alpha and no derivative of alpha."""
    layer = _wide_layer()
    inputs, out_gradient = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)
    kernel_gradient, _ = _gradients_of_real_kernel(layer, inputs, out_gradient)
    assert layer.weight.grad is not None
    expected = kernel_gradient * (layer.weight.detach().abs() <= 1)
    # float64; the product and quotient with alpha round twice: a few times 1e-16.
    torch.testing.assert_close(layer.weight.grad, expected, rtol=1e-12, atol=1e-12)


def test_the_paper_s_own_weight_gradient_keeps_alpha() -> None:
    layer = _wide_layer(magnitude_aware_gradient=True)
    inputs, out_gradient = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)
    kernel_gradient, _ = _gradients_of_real_kernel(layer, inputs, out_gradient)
    alpha = layer.weight.detach().abs().mean((1, 2, 3), keepdim=True)
    assert layer.weight.grad is not None
    torch.testing.assert_close(
        layer.weight.grad, alpha * kernel_gradient * (layer.weight.detach().abs() <= 1), rtol=1e-12, atol=1e-12
    )


def test_the_input_gradient_goes_through_the_scaled_kernel_and_the_tent() -> None:
    layer = _wide_layer()
    inputs = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    out_gradient = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)
    _, sign_gradient = _gradients_of_real_kernel(layer, inputs, out_gradient)
    assert inputs.grad is not None
    tent = (2 - 2 * inputs.detach().abs()).clamp_min(0)
    torch.testing.assert_close(inputs.grad, sign_gradient * tent, rtol=1e-12, atol=1e-12)


def test_outputs_are_alpha_times_integers() -> None:
    layer = _layer()
    integers = layer(torch.randn(2, 3, 5, 5)) / layer.weight.detach().abs().mean((1, 2, 3)).view(-1, 1, 1)
    # Integers up to 27 times and over a float32: relative error 2 * 2^-24.
    torch.testing.assert_close(integers, integers.round(), rtol=0, atol=1e-5)
    assert int(integers.abs().max()) > 1


def test_the_forward_pass_is_xnor_net_s_bit_for_bit() -> None:
    """The baseline with the same latent weights; only gradients and updates differ."""
    baseline, layer = METHODS.get("xnor-net").from_settings({})(SHAPE), _layer()
    baseline.load_state_dict(layer.state_dict())
    inputs = torch.randn(2, 3, 5, 5)
    assert torch.equal(layer(inputs), baseline(inputs))


def test_a_filter_of_zeros_gets_no_gradient_rather_than_nan() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.weight[0].zero_()
    layer(torch.randn(2, 3, 5, 5)).sum().backward()
    assert layer.weight.grad is not None
    assert torch.count_nonzero(layer.weight.grad[0]) == 0
    assert bool(layer.weight.grad.isfinite().all())
    assert torch.count_nonzero(layer.weight.grad[1]) > 0


def test_the_paper_s_recipe_is_a_recipe() -> None:
    recipe = Recipe.model_validate(BiReal.paper_recipe)
    assert (recipe.schedule, recipe.label_smoothing, recipe.epochs) == ("linear", 0.1, 256)
