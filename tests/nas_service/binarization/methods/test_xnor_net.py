"""XNOR-Net (Rastegari et al. 2016), rule by rule."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.xnor_net import XnorConv2d, centre_and_clamp
from search_spaces.cost import ConvShape
from search_spaces.templates.shortcut import ShortcutBlock

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)


def _layer(shape: ConvShape = SHAPE, **settings: str) -> XnorConv2d:
    layer = METHODS.get("xnor-net").from_settings(settings)(shape)
    assert isinstance(layer, XnorConv2d)
    return layer


def test_alpha_is_the_mean_magnitude_of_a_filter_and_no_other_scale_or_sign_fits_better() -> None:
    layer = _layer()
    weight, signs, alpha = layer.weight.detach(), layer.binary_weight().detach(), layer.alpha().detach().view(-1, 1, 1, 1)
    assert torch.allclose(alpha.flatten(), weight.abs().flatten(1).mean(1))
    best = (weight - alpha * signs).square().sum()
    for change in (1e-2, -1e-2):
        assert (weight - (alpha + change) * signs).square().sum() > best
    for place in range(0, weight.numel(), 5):
        flipped = signs.clone()
        flipped.view(-1)[place] *= -1
        assert (weight - alpha * flipped).square().sum() > best


def test_the_weight_gradient_is_the_exact_derivative() -> None:
    """(1/n) sign(W_i) sum_j g_j sign(W_j) + g_i alpha 1[|W_i| <= 1], from g = dL/dW~ of an ordinary convolution."""
    layer = _layer().to(torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
    inputs = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    out_gradient = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)

    weight = layer.weight.detach()
    signs = torch.where(weight >= 0, 1.0, -1.0).to(torch.float64)
    alpha = weight.abs().mean((1, 2, 3), keepdim=True)
    approximated = (alpha * signs).requires_grad_()
    padded = F.pad(torch.where(inputs >= 0, 1.0, -1.0).to(torch.float64), (1, 1, 1, 1), value=-1.0)
    F.conv2d(padded, approximated).backward(out_gradient)
    g = approximated.grad
    assert g is not None
    expected = signs * (g * signs).mean((1, 2, 3), keepdim=True) + g * alpha * (weight.abs() <= 1)
    assert (weight.abs() > 1).any()
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, expected, rtol=1e-12, atol=1e-12)


def test_the_alpha_term_agrees_with_finite_differences() -> None:
    """Signs do not change for a small step, so what the output changes by is alpha's doing alone."""
    layer = _layer().to(torch.float64)
    inputs = torch.randn(1, 3, 4, 4, dtype=torch.float64)
    direction = torch.randn(1, 4, 4, 4, dtype=torch.float64)
    signs = layer.binary_weight().detach()
    unscaled = F.conv2d(F.pad(layer.binary_input(inputs), (1,) * 4, value=-1.0), signs)
    alpha_gradient = (unscaled * direction).sum((0, 2, 3)).view(-1, 1, 1, 1) * signs / SHAPE.fan_in
    step = 1e-6
    for place in (0, 30, 77):
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(place), layer.weight.shape))
        values = []
        for change in (step, -step):
            with torch.no_grad():
                layer.weight[index] += change
                values.append((layer(inputs) * direction).sum())
                layer.weight[index] -= change
        # Central differences of a linear function: exact up to rounding, about 1e-16 / 1e-6.
        assert torch.allclose((values[0] - values[1]) / (2 * step), alpha_gradient[index], rtol=1e-6, atol=1e-8)


def test_forward_leaves_the_latent_weights_bit_for_bit() -> None:
    layer = _layer()
    before = layer.weight.detach().clone()
    layer(torch.randn(2, 3, 5, 5)).sum().backward()
    assert torch.equal(layer.weight, before)


def test_latent_weights_are_centred_over_the_input_channels_and_clamped() -> None:
    """Centred first, then clamped: the mean is zero where nothing was clamped."""
    weight = torch.randn(4, 3, 3, 3) * 0.2
    centre_and_clamp(weight)
    assert weight.mean(1).abs().max() < 1e-6
    large = torch.randn(4, 3, 3, 3) * 10
    centre_and_clamp(large)
    assert large.abs().max() == 1


def test_depthwise_weights_are_not_centred_to_nothing() -> None:
    """The mean over one input channel is the weight itself."""
    layer = _layer(ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4))
    assert torch.count_nonzero(layer.weight) == layer.weight.numel()


@pytest.mark.parametrize(("groups", "factor"), [(1, 36 * (1 - 1 / 4)), (2, 18 * (1 - 1 / 2)), (4, 9)])
def test_the_gradient_has_the_authors_factor_and_a_depthwise_one_does_not_vanish(groups: int, factor: float) -> None:
    """It is n (1 - 1 / Ci) with Ci the channels that a filter sees; n alone where there is one."""
    layer = _layer(ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=groups))
    assert METHODS.get("xnor-net").from_settings({}).rules(layer)["weight"].gradient_factor == pytest.approx(factor)


def test_the_map_of_a_constant_magnitude_is_that_constant_in_the_interior() -> None:
    """At the borders the window hangs over the padding and the mean is smaller."""
    layer = _layer(input_scale="kmap")
    inputs = 0.7 * torch.where(torch.randn(2, 3, 6, 6) >= 0, 1.0, -1.0)
    kmap = layer.kmap(inputs)
    assert torch.allclose(kmap[:, :, 1:-1, 1:-1], torch.full((2, 4, 4, 4), 0.7))
    assert torch.allclose(kmap[:, :, 0, 0], torch.full((2, 4), 0.7 * 4 / 9))


def test_a_grouped_map_averages_the_channels_of_its_own_group() -> None:
    layer = _layer(ConvShape(in_channels=4, out_channels=4, kernel_size=1, groups=2), input_scale="kmap")
    inputs = torch.tensor([1.0, 3.0, 10.0, 30.0]).view(1, 4, 1, 1)
    assert layer.kmap(inputs).flatten().tolist() == [2, 2, 20, 20]


def test_k_maps_multiply_the_output() -> None:
    plain, mapped = _layer(), _layer(input_scale="kmap")
    mapped.load_state_dict(plain.state_dict())
    inputs = torch.randn(2, 3, 5, 5)
    assert torch.allclose(mapped(inputs), plain(inputs) * mapped.kmap(inputs))


def test_batch_norm_comes_before_the_sign() -> None:
    """What batch norm centres is what is binarized: all signs of the inputs are +1, and half of the block's are not."""
    block = ShortcutBlock(SHAPE, _layer()).train()
    inputs = torch.rand(4, 3, 5, 5) + 2
    seen: list[torch.Tensor] = []
    block.conv.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    outputs = block(inputs)
    assert block.shortcut_groups == 0
    assert torch.equal(outputs, block.activation(block.conv(block.norm(inputs))))
    assert 0.3 < float((seen[0] >= 0).float().mean()) < 0.7
    assert not torch.allclose(outputs, block.activation(F.batch_norm(block.conv(inputs), None, None, training=True)))
