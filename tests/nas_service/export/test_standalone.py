"""Writing a network as source."""

import operator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_service.errors import ExportError
from nas_service.export.standalone import _constructor, _function_name, _write_class, weight_name


def test_layers_are_written_with_the_arguments_that_differ_from_the_defaults() -> None:
    pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    assert _constructor(pool) == "nn.AvgPool2d(kernel_size=3, stride=1, padding=1, count_include_pad=False)"
    convolution = _constructor(nn.Conv2d(1, 2, 3, bias=False))
    assert "bias=False" in convolution
    assert "padding_mode" not in convolution
    assert _constructor(nn.Identity()) == "nn.Identity()"


def test_a_layer_that_forgets_its_arguments_cannot_be_written() -> None:
    class Forgetful(nn.Module):
        def __init__(self, size: int) -> None:
            super().__init__()
            del size

    with pytest.raises(ExportError, match="Forgetful does not keep its argument 'size'"):
        _constructor(Forgetful(3))


def test_functions_of_torch_are_named_and_others_refused() -> None:
    assert _function_name(torch.cat) == "torch.cat"
    assert _function_name(nn.functional.pad) == "F.pad"
    with pytest.raises(ExportError, match="not a function of torch"):
        _function_name(operator.matmul)


def test_weights_in_a_cell_are_flat_and_cells_stay_modules() -> None:
    assert weight_name("cells.0.edges.0-1.skip.norm.weight") == "cells.0.edges_0_1_skip_norm.weight"
    assert weight_name("stem.0.weight") == "stem_0.weight"
    assert weight_name("classifier.bias") == "classifier.bias"


class _Shift(nn.Module):
    """Reads a parameter and a buffer of its own."""

    factor: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(3, 1, 1))
        self.register_buffer("factor", torch.randn(3, 1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.factor + self.shift


class _Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.own = _Shift()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.own(self.norm(inputs))
        return outputs


def test_parameters_and_buffers_that_a_module_reads_itself_are_written() -> None:
    root = _Shifted().eval()
    namespace: dict[str, Any] = {"nn": nn, "torch": torch, "Tensor": Tensor}
    exec("\n".join(_write_class("Written", "A test.", root)), namespace)  # noqa: S102 - our own text, written a moment ago
    written = namespace["Written"]()
    assert isinstance(written, nn.Module)
    written.load_state_dict(root.state_dict())
    inputs = torch.randn(2, 3, 4, 4)
    assert torch.equal(written.eval()(inputs), root(inputs))


class _Grid(nn.Module):
    """Keeps a constant that is no weight."""

    offsets: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offsets", torch.tensor([-1.0, 0.0, 1.0]), persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, :, ::2] * self.offsets.view(1, 3, 1, 1)


class _Gridded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.grid = _Grid()

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.grid(inputs)
        return outputs


def test_a_buffer_that_is_not_saved_is_written_with_its_values() -> None:
    """No file of weights has it; indexing is written as well."""
    root = _Gridded().eval()
    source = "\n".join(_write_class("Written", "A test.", root))
    assert "torch.tensor([-1.0, 0.0, 1.0]), persistent=False" in source
    namespace: dict[str, Any] = {"nn": nn, "torch": torch, "Tensor": Tensor}
    exec(source, namespace)  # noqa: S102 - our own text, written a moment ago
    written = namespace["Written"]()
    assert isinstance(written, nn.Module)
    assert not written.state_dict()
    inputs = torch.randn(2, 3, 4, 4)
    assert torch.equal(written(inputs), root(inputs))
