"""Networks that nobody would train, as C: they are the frozen network all the same, or are refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch

from nas_service.catalogue import build_space
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.real_layers import BatchNorm2d
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat, Network
from tests.nas_service.deploy.c_builds import REFERENCE, run_build, write_source
from tests.nas_service.deploy.given import frozen_network, random_pixels

TOLERANCE = 1e-5  # behind the last sign, float32 sums of up to a hundred terms are rounded in another order


def _image(height: int, width: int, channels: int = 1, classes: int = 2) -> ImageFormat:
    return ImageFormat(channels, Size(height, width), classes, (0.4,) * channels, (0.3,) * channels)


def _assert_runs_the_same(frozen: Network, image: ImageFormat, folder: Path) -> None:
    program = trace_network(frozen, [str(number) for number in range(image.classes)])
    code = write_source(folder, program)
    pixels = random_pixels(image, 5)
    levels = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    with torch.no_grad():
        expected = frozen(pixels).numpy()
    logits = run_build(REFERENCE, folder, code, levels).view(np.float32)
    assert np.isfinite(expected).all()
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert (np.abs(logits - expected).max(1) <= TOLERANCE * np.maximum(np.abs(expected).max(1), 1)).all()


def _frozen(image: ImageFormat, method: str = "bnn", space: str = "tiny", **settings: object) -> Network:
    return frozen_network(build_space(Component(name=space, settings=settings)), method, image)


@pytest.mark.diagonal
@pytest.mark.parametrize(("height", "width", "channels", "classes"), [(7, 5, 1, 2), (8, 8, 4, 2), (33, 9, 3, 101), (6, 31, 2, 3)])
@pytest.mark.parametrize("method", ["adabin", "rbcn", "xnor-net"])
def test_odd_sizes_of_images(method: str, height: int, width: int, channels: int, classes: int, tmp_path: Path) -> None:
    image = _image(height, width, channels, classes)
    _assert_runs_the_same(_frozen(image, method, "abandit-general", channels=6), image, tmp_path)


@pytest.mark.diagonal
@pytest.mark.parametrize("template", ["plain", "shortcut", "double-norm"])
@pytest.mark.parametrize("channels", [2, 7, 12, 30, 33])
def test_channels_that_fill_no_byte(channels: int, template: str, tmp_path: Path) -> None:
    image = _image(7, 5)
    _assert_runs_the_same(_frozen(image, "react-net", channels=channels, template=template), image, tmp_path)


@pytest.mark.diagonal
@pytest.mark.parametrize("factor", [0.0, -0.0, 1e-30, -1e-30, 1e-42, 1e15, -1e15, 1e30])
@pytest.mark.parametrize("template", ["plain", "shortcut"])
def test_norms_of_any_size(factor: float, template: str, tmp_path: Path) -> None:
    """One norm in two has such factors, denormal ones too; the others keep numbers within float32."""
    image = _image(7, 5)
    frozen = _frozen(image, template=template, channels=9)
    norms = [module for module in frozen.modules() if isinstance(module, BatchNorm2d)]
    with torch.no_grad():
        for norm in norms[:-1:2]:
            norm.alpha[::2] = factor
            norm.beta[::4] = factor
    _assert_runs_the_same(frozen, image, tmp_path)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf], ids=str)
def test_a_constant_that_is_no_number_is_refused_by_the_name_of_its_layer(wrong: float) -> None:
    frozen = _frozen(_image(7, 5))
    name, norm = [(name, module) for name, module in frozen.named_modules() if isinstance(module, BatchNorm2d)][1]
    with torch.no_grad():
        norm.alpha.view(-1)[3] = wrong
    with pytest.raises(ExportError, match=f"{name}: a constant that is not finite"):
        trace_network(frozen)
