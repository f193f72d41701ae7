"""Templates: the blocks around convolutions."""

import pytest
import torch
from torch import Tensor, nn

from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import ConvShape
from search_spaces.residual import FreeShortcut
from search_spaces.template import TEMPLATES


def _block(template: str, shape: ConvShape) -> nn.Module:
    return TEMPLATES.get(template)().wrap(FullPrecisionConv())(shape)


def _silence(block: nn.Module) -> None:
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)


def test_the_shortcut_is_the_identity_where_channels_agree() -> None:
    """With the convolution at zero the block hands on its input unchanged: a real-valued path around every sign."""
    block = _block("shortcut", ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=2, dilation=2))
    _silence(block)
    inputs = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(inputs), inputs)


def test_the_shortcut_averages_groups_where_channels_shrink() -> None:
    block = _block("shortcut", ConvShape(in_channels=6, out_channels=2, kernel_size=1))
    _silence(block)
    inputs = torch.randn(2, 6, 3, 3)
    assert torch.allclose(block(inputs), (inputs[:, 0:2] + inputs[:, 2:4] + inputs[:, 4:6]) / 3, atol=1e-6)


def test_there_is_no_shortcut_across_a_stride_or_to_channels_that_do_not_divide() -> None:
    for shape in (
        ConvShape(in_channels=4, out_channels=4, kernel_size=3, stride=2, padding=1),
        ConvShape(in_channels=4, out_channels=3, kernel_size=1),
    ):
        block = _block("shortcut", shape)
        _silence(block)
        assert torch.count_nonzero(block(torch.randn(2, 4, 6, 6))) == 0


def test_the_shortcut_block_normalises_before_the_convolution_and_the_plain_one_after() -> None:
    shape = ConvShape(in_channels=4, out_channels=4, kernel_size=1)
    kinds = {name: [type(m) for m in _block(name, shape).modules() if not list(m.children())] for name in TEMPLATES.names()}
    assert kinds["shortcut"] == [nn.BatchNorm2d, nn.Conv2d, nn.PReLU]
    assert kinds["plain"] == [nn.Conv2d, nn.BatchNorm2d]
    assert kinds["plain-hardtanh"] == [nn.Conv2d, nn.BatchNorm2d, nn.Hardtanh]
    assert [kind for kind in kinds["bi-real"] if kind.__module__.startswith("torch")] == [nn.Conv2d, nn.BatchNorm2d, nn.PReLU]
    both = [nn.BatchNorm2d, nn.Conv2d, nn.BatchNorm2d, nn.PReLU]
    assert [kind for kind in kinds["double-norm"] if kind.__module__.startswith("torch")] == both


AUTHORS = pytest.mark.parametrize("template", ["bi-real", "double-norm"])


def _order(block: nn.Module, inputs: Tensor) -> list[type[nn.Module]]:
    """Return the kinds of layers in the order in which a forward pass comes to their ends."""
    seen: list[type[nn.Module]] = []
    for module in block.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda module, _, __: seen.append(type(module)))
    block(inputs)
    return seen


def test_in_the_authors_order_the_sum_is_taken_after_the_norm_and_before_the_activation() -> None:
    shape = ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1)
    expected = [nn.Conv2d, nn.BatchNorm2d, FreeShortcut, nn.PReLU]
    assert _order(_block("bi-real", shape), torch.randn(2, 4, 6, 6)) == expected
    assert _order(_block("double-norm", shape), torch.randn(2, 4, 6, 6)) == [nn.BatchNorm2d, *expected]


@AUTHORS
def test_the_activation_comes_after_the_shortcut(template: str) -> None:
    """With the convolution at zero the block is its activation of the shortcut: a PReLU of slope 1/4."""
    block = _block(template, ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1))
    _silence(block)
    inputs = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(inputs), torch.where(inputs >= 0, inputs, inputs * 0.25))


@AUTHORS
def test_a_shortcut_without_weights_crosses_a_stride_as_means_and_a_wider_output_as_copies(template: str) -> None:
    block = _block(template, ConvShape(in_channels=3, out_channels=6, kernel_size=3, stride=2, padding=1))
    _silence(block)
    inputs = torch.rand(2, 3, 6, 8)
    means = inputs.unflatten(2, (3, 2)).unflatten(4, (4, 2)).mean((3, 5))
    torch.testing.assert_close(block(inputs), torch.cat([means, means], 1))


@AUTHORS
def test_a_shortcut_without_weights_averages_groups_where_channels_shrink_and_is_left_out_where_none_divides(
    template: str,
) -> None:
    inputs = torch.rand(2, 6, 3, 3)
    block = _block(template, ConvShape(in_channels=6, out_channels=2, kernel_size=1))
    _silence(block)
    torch.testing.assert_close(block(inputs), (inputs[:, 0:2] + inputs[:, 2:4] + inputs[:, 4:6]) / 3)
    block = _block(template, ConvShape(in_channels=6, out_channels=4, kernel_size=1))
    _silence(block)
    assert torch.count_nonzero(block(inputs)) == 0


@pytest.mark.parametrize(("out_channels", "stride", "is_real"), [(4, 1, False), (4, 2, True), (8, 1, True), (8, 2, True)])
def test_a_projection_stands_only_where_size_or_width_changes(out_channels: int, stride: int, *, is_real: bool) -> None:
    shape = ConvShape(in_channels=4, out_channels=out_channels, kernel_size=3, stride=stride, padding=1)
    block = _block("bi-real-projection", shape)
    block.get_submodule("conv").weight.data.zero_()  # type: ignore[operator]  # a convolution's
    inputs = torch.rand(2, 4, 6, 6)
    outputs = block(inputs)
    assert outputs.shape == (2, out_channels, 6 // stride, 6 // stride)
    real = [module for module in block.modules() if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)]
    assert len(real) == is_real
    if not is_real:
        assert torch.equal(outputs, inputs)
    else:  # normalised: 0 on average, of every channel over the batch, before the activation
        shortcut = block.get_submodule("shortcut")(torch.zeros_like(outputs), inputs)
        torch.testing.assert_close(shortcut.mean((0, 2, 3)), torch.zeros(out_channels), rtol=0, atol=1e-5)


def test_the_plain_block_has_no_shortcut() -> None:
    block = _block("plain", ConvShape(in_channels=4, out_channels=4, kernel_size=1))
    _silence(block)
    assert torch.count_nonzero(block(torch.randn(2, 4, 6, 6))) == 0
