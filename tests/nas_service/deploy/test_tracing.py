"""Operations of one's own: they are written as what they are, or refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method
from nas_service.deploy.program import Add, GlobalMean, Linear, Program, RealConv, Shape, Stem, Step, Window
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.packed import freeze_network
from nas_service.export.runtime import BinaryConv2d
from nas_service.specs import Component
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.nas_service.deploy.c_builds import REFERENCE, run_build, write_source
from tests.nas_service.deploy.interpreter import run_program
from tests.samples import GREY_8, random_genotype


class _Own(nn.Module):
    """Calls a function of maps."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.register_buffer("columns", torch.ones(8))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.function(inputs)


def _network(layer: nn.Module) -> Network:
    space, method = SPACES.get("tiny"), build_method(Component(name="bnn"))
    frozen = freeze_network(binary_network(space, random_genotype(space), method, GREY_8).eval(), method)
    frozen.set_submodule("head_norm", layer)
    return frozen


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.mean((2, 3), keepdim=True),
        lambda x: x * x,
        lambda x: torch.add(x, x, alpha=2),
        lambda x: torch.sub(x, 1, alpha=3),
        lambda x: torch.add(input=x, other=x),
        lambda x: torch.cat([x, x], 2),
        lambda x: torch.cat([x, x], dim=3),
        lambda x: x + torch.ones(8),
        lambda x: x / 2,
    ],
)
def test_what_has_no_step_is_refused(function: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ExportError, match="cannot be written as C or ONNX"):
        trace_network(_network(_Own(function)))


@pytest.mark.parametrize("layer", [nn.AdaptiveAvgPool2d(2), nn.Flatten(2), nn.Softmax(1)])
def test_a_layer_in_another_setting_is_refused(layer: nn.Module) -> None:
    with pytest.raises(ExportError, match="cannot be written as C or ONNX"):
        trace_network(_network(layer))


@pytest.mark.parametrize("pad_value", [0.0, 0.5])
def test_a_padding_that_is_no_sign_is_refused_by_the_name_of_its_layer(pad_value: float) -> None:
    """No method pads signs with it; C would take it for -1."""
    frozen = _network(nn.Identity())
    layers = ((name, module) for name, module in frozen.named_modules() if isinstance(module, BinaryConv2d))
    name, layer = next((name, layer) for name, layer in layers if layer.padding)
    layer.pad_value = pad_value
    with pytest.raises(ExportError, match=f"^{name}: a padding of {pad_value:g} around signs"):
        trace_network(frozen)


def test_a_real_convolution_and_its_input_are_added_up(tmp_path: Path) -> None:
    """Its output may not lie where its input lies, which it reads window by window."""
    drawn = np.random.default_rng(0)
    shape = Shape(6, 6, 16)
    weight, step = drawn.integers(-(2**20), 2**20, (16, 1, 1, 1)), np.full(16, 2.0**-30, np.float32)
    stem = Stem(weight, np.array([100 << 14]), step, 14, Window(1, 1, 0))
    conv = RealConv(drawn.normal(size=(16, 3, 3, 16)).astype(np.float32), 1, Window(3, 1, 1))
    linear = Linear(drawn.normal(size=(2, 16)).astype(np.float32), np.zeros(2, np.float32))
    steps = (
        Step(stem, (), shape, "stem"),
        Step(conv, (0,), shape, "conv"),
        Step(Add(), (1, 0), shape, "add"),
        Step(GlobalMean(), (2,), Shape(1, 1, 16), "pool"),
        Step(linear, (3,), Shape(1, 1, 2), "classifier"),
    )
    program = Program(Shape(6, 6, 1), steps, ("a", "b"))
    image = drawn.integers(0, 256, (1, 6, 6, 1), dtype=np.uint8)
    logits = run_build(REFERENCE, tmp_path, write_source(tmp_path, program), image).view(np.float32)
    assert np.array_equal(logits[0], run_program(program, image[0])[-1].reshape(-1))
