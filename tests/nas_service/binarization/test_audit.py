"""The audit is not fooled by names."""

import torch
from torch import nn

from nas_service.binarization.audit import audit
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.sign import clipped_sign
from search_spaces.cost import ConvShape

SHAPE = ConvShape(in_channels=2, out_channels=3, kernel_size=3, padding=1)


class _Pretender(BinaryConv2d):
    """Calls itself binary and convolves real weights."""

    def binary_weight(self) -> torch.Tensor:
        return self.weight


class _ZeroPadder(BinaryConv2d):
    """Pads with zeros, as much released code does."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return nn.functional.conv2d(self.binary_input(inputs), self.binary_weight(), padding=1)


def test_real_weights_in_a_binary_class_are_found() -> None:
    layer = _Pretender(SHAPE, weight_sign=clipped_sign, activation_sign=clipped_sign)
    assert [(p.binary_input, p.binary_weight) for p in audit(layer, torch.randn(1, 2, 5, 5)).products] == [(True, False)]


def test_zero_padding_makes_an_input_ternary_and_is_found() -> None:
    layer = _ZeroPadder(SHAPE, weight_sign=clipped_sign, activation_sign=clipped_sign)
    assert [(p.binary_input, p.binary_weight) for p in audit(layer, torch.randn(1, 2, 5, 5)).products] == [(False, True)]


def test_linear_layers_are_counted() -> None:
    (product,) = audit(nn.Linear(6, 4), torch.randn(3, 6)).products
    assert (product.macs, product.weights, product.binary_weight) == (24, 24, False)


class _Unfolded(nn.Module):
    """A 3x3 convolution of 2 channels to 4, written as a product of patches."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        patches = nn.functional.unfold(inputs, 3)
        return torch.bmm(torch.rand(len(inputs), 4, 18), patches)


def test_a_convolution_that_is_written_as_a_product_is_counted() -> None:
    (product,) = audit(_Unfolded(), torch.randn(3, 2, 5, 5)).real
    assert product.macs == 4 * 18 * 9


def test_the_mode_of_the_network_is_put_back() -> None:
    layer = BinaryConv2d(SHAPE, weight_sign=clipped_sign, activation_sign=clipped_sign).train()
    audit(layer, torch.randn(1, 2, 5, 5))
    assert layer.training
