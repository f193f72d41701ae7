"""Templates: the blocks around convolutions."""

import torch
from torch import nn

from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import ConvShape
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


def test_the_plain_block_has_no_shortcut() -> None:
    block = _block("plain", ConvShape(in_channels=4, out_channels=4, kernel_size=1))
    _silence(block)
    assert torch.count_nonzero(block(torch.randn(2, 4, 6, 6))) == 0
