"""Frozen layers whose operands take two values that do not lie about 0: exact with everything that a frozen form may have."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.frozen import FrozenConv, InputScale, pack_signs
from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.export import runtime
from nas_service.export.packed import deploy, freeze_network, shrink_layers
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import GREY_8, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=4, out_channels=8, kernel_size=3, padding=1, groups=2)
# Factors are sixteenths, so every sum is exact and its order does not matter.
FORMS: dict[str, dict[str, Any]] = {
    "plain": {},
    "padded with +1": {"pad_value": 1.0},
    "planes": {"planes": 2},
    "kernel scale": {"planes": 2, "kernel_scale": torch.tensor([[[0.5]], [[2.0]]])},
    "threshold": {"threshold": torch.tensor([0.5, -0.5, 0.0, 1.0])},
    "pruned": {"filters": 6, "gather": torch.tensor([5, 6, 0, 1, 6, 2, 3, 4])},
}


def _sixteenths(*size: int) -> Tensor:
    return torch.randint(-64, 64, size) / 16


def _frozen(form: dict[str, Any], signs: Tensor, factors: tuple[Tensor, Tensor, Tensor]) -> FrozenConv:
    scale, sum_scale, offset = factors
    return FrozenConv(SHAPE, pack_signs(signs), scale, **{"pad_value": -1.0, **form}, sum_scale=sum_scale, offset=offset)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_offsets_are_those_of_a_convolution_with_two_valued_operands(form: dict[str, Any]) -> None:
    """conv(a + d s, c + e t) = d e conv(s, t) + d c conv(s, 1) + a sum(c + e t), with factors inside the kernel on t alone."""
    torch.manual_seed(0)
    planes, computed = form.get("planes", 1), form.get("filters", 8)
    signs = torch.randint(0, 2, (computed // planes, 2, 3, 3)) * 2.0 - 1
    kernel = signs.repeat_interleave(planes, 0)
    kernel *= form.get("kernel_scale", torch.ones(planes, 1, 1)).repeat(len(signs), 1, 1).unsqueeze(1)
    centre, distance = 0.25, 0.5
    centres, distances = _sixteenths(computed), _sixteenths(computed).abs()
    real = kernel * distances.view(-1, 1, 1, 1) + centres.view(-1, 1, 1, 1)
    factors = (distance * distances, distance * centres, centre * real.sum((1, 2, 3)))
    inputs = values_with_zeros(2, 4, 6, 6)
    threshold = form.get("threshold", torch.zeros(4)).view(-1, 1, 1)
    values = centre + distance * torch.where(inputs + threshold >= 0, 1.0, -1.0)
    padded = F.pad(values, (1, 1, 1, 1), value=centre + distance * form.get("pad_value", -1.0))
    expected = F.conv2d(padded, real, groups=2)
    expected = torch.cat([expected, torch.zeros_like(expected[:, :1])], 1)[:, form.get("gather", torch.arange(8))]
    assert torch.equal(deploy(_frozen(form, signs, factors))(inputs), expected)


def test_a_run_time_factor_multiplies_the_offsets_too() -> None:
    torch.manual_seed(0)
    signs = torch.randint(0, 2, (8, 2, 3, 3)) * 2.0 - 1
    factors = _sixteenths(8), _sixteenths(8), _sixteenths(8)
    inputs = torch.randn(2, 4, 6, 6)
    bare, scaled = (deploy(_frozen({"input_scale": scale}, signs, factors)) for scale in InputScale)
    means = F.conv2d(inputs.abs().unflatten(1, (2, 2)).mean(2), torch.full((2, 1, 3, 3), 1 / 9), padding=1, groups=2)
    # One product of float32 numbers of magnitude up to 100, whose factors may differ in the last place.
    torch.testing.assert_close(scaled(inputs), bare(inputs) * means.repeat_interleave(4, 1), rtol=1e-6, atol=1e-5)


def test_a_layer_that_is_shrunk_keeps_room_for_its_offsets() -> None:
    method = METHODS.get("adabin").from_settings({})
    frozen = freeze_network(binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8), method)
    name = next(name for name, module in frozen.named_modules() if isinstance(module, runtime.BinaryConv2d))
    shrink_layers(frozen, {name: 3})
    layer = frozen.get_submodule(name)
    assert isinstance(layer, runtime.BinaryConv2d)
    assert [tuple(layer.get_buffer(each).shape) for each in ("scale", "sum_scale", "offset")] == [(3,)] * 3


@pytest.mark.parametrize("name", METHODS.names())
def test_only_a_method_with_offsets_has_room_for_them(name: str) -> None:
    """So the weights of bundles of before fit, and nobody pays for terms that are 0."""
    method = METHODS.get(name).from_settings({})
    layers = freeze_network(binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8), method).modules()
    seen = {layer.offsets: set(layer.state_dict()) for layer in layers if isinstance(layer, runtime.BinaryConv2d)}
    assert all(
        {"sum_scale", "offset"} <= names if offsets else not {"sum_scale", "offset"} & names for offsets, names in seen.items()
    )
