"""Frozen networks as C: every method, space, template and operation; `python -m benchmarks.deploy_table` tries them together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.deploy.program import Magnitude
from nas_service.deploy.tracing import trace_network
from search_spaces.network import ImageFormat, Network
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES, ZEROISE, SpaceSettings
from search_spaces.template import TEMPLATES
from tests.nas_service.deploy.c_builds import Build, run_build, write_source
from tests.nas_service.deploy.given import frozen_network, random_pixels
from tests.samples import GREY_8, RGB_9

REAL_INPUTS = {"mcn"}  # refused by name: test_onnx_file.py
PACKED = [name for name in METHODS.names() if name not in REAL_INPUTS]
SOON = Build("gcc", ("-O0", "-DNN_PORTABLE"))
TOLERANCE = 1e-5  # behind the last sign, float32 sums of up to a hundred terms are rounded in another order


def _assert_runs_the_same(frozen: Network, image: ImageFormat, folder: Path) -> None:
    code = write_source(folder, trace_network(frozen, [str(number) for number in range(image.classes)]))
    pixels = random_pixels(image, 4)
    levels = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    with torch.no_grad():
        expected = frozen(pixels).numpy()
    logits = run_build(SOON, folder, code, levels).view(np.float32)
    assert np.isfinite(expected).all()
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert (np.abs(logits - expected).max(1) <= TOLERANCE * np.maximum(np.abs(expected).max(1), 1)).all()


@pytest.mark.parametrize("name", PACKED)
def test_every_method_runs_the_same(name: str, tmp_path: Path) -> None:
    _assert_runs_the_same(frozen_network(replace(SPACES.get("abandit-mini"), channels=12), name, RGB_9), RGB_9, tmp_path)


@pytest.mark.parametrize("name", SPACES.names())
def test_every_space_runs_the_same(name: str, tmp_path: Path) -> None:
    method = PACKED[SPACES.names().index(name) % len(PACKED)]
    _assert_runs_the_same(frozen_network(replace(SPACES.get(name), channels=4), method, RGB_9), RGB_9, tmp_path)


@pytest.mark.parametrize("name", TEMPLATES.names())
def test_every_template_runs_the_same(name: str, tmp_path: Path) -> None:
    space = SPACES.get("tiny").configure(SpaceSettings(channels=12, template=name))
    _assert_runs_the_same(frozen_network(space, "react-net", RGB_9), RGB_9, tmp_path)


@pytest.mark.parametrize("name", OPERATIONS.names())
def test_every_operation_runs_the_same(name: str, tmp_path: Path) -> None:
    """One operation everywhere (a cut needs another one beside it), at strides 1 and 2, where sizes are odd."""
    operations = ["skip", name] if name == ZEROISE else [name]
    method, template = [("bnn", "plain"), ("rbcn", "shortcut"), ("adabin", "double-norm")][OPERATIONS.names().index(name) % 3]
    space = SPACES.get("tiny").configure(SpaceSettings(channels=12, template=template, operations=operations))
    edges = [(cell.name, edge) for cell in space.cell_types for edge in space.edges]
    genotype = space.genotype({(c, e.name): operations[-1 if e.target > 1 and e.source else 0] for c, e in edges})
    _assert_runs_the_same(frozen_network(space, method, RGB_9, genotype), RGB_9, tmp_path)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("xnor-net", {"input_scale": "kmap"}),
        ("rbcn", {"prune": 0.5, "scale": "spatial"}),
        ("rbcn", {"prune": 0.5, "scale": "scalar"}),
    ],
    ids=str,
)
def test_settings_that_add_steps_run_the_same(name: str, settings: dict[str, object], tmp_path: Path) -> None:
    frozen = frozen_network(SPACES.get("tiny"), name, GREY_8, settings=settings)
    if "input_scale" in settings:
        assert any(isinstance(step.operation, Magnitude) for step in trace_network(frozen).steps)
    _assert_runs_the_same(frozen, GREY_8, tmp_path)
