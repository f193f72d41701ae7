"""Programs that no network of today is: C computes them, or they are refused by the name of their layer; ONNX computes all."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from nas_service.deploy.c_source import write_c
from nas_service.deploy.onnx_file import Origin, write_onnx
from nas_service.deploy.program import Gather, GroupMean, Program, Shape, Window
from nas_service.errors import ExportError
from tests.nas_service.deploy.c_builds import REFERENCE, run_build, write_source
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import Maker, random_images

IMAGES = 5


def _mean_program(groups: int) -> Program:
    """A mean of groups, of which one group is the map itself, in front of a sign and in front of the end."""
    maker = Maker(Shape(5, 7, 1), groups)
    first = maker.norm(maker.stem(12))
    mean = maker.add(GroupMean(groups), (first,), Shape(5, 7, 12 // groups))
    at = maker.norm(maker.conv(maker.norm(mean), 12))
    at = maker.add(GroupMean(groups), (maker.join(at, first),), Shape(5, 7, 12 // groups))
    return maker.finish(at, classes=3)


def _expected(program: Program) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    images = random_images(program, IMAGES)
    logits = np.stack([run_program(program, image)[-1].reshape(-1) for image in images])
    assert len({each.tobytes() for each in logits}) == IMAGES
    return images, logits


def _assert_onnx_agrees(program: Program, images: NDArray[np.uint8], expected: NDArray[np.float32]) -> None:
    session = onnxruntime.InferenceSession(write_onnx(program, Origin("0" * 64, "1")), providers=["CPUExecutionProvider"])
    pixels = images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    logits = np.asarray(session.run(None, {"pixels": pixels})[0])
    assert np.abs(logits - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_means_of_any_number_of_groups_are_the_interpreter_s(groups: int, tmp_path: Path) -> None:
    """Also of one: what lies behind its channels is another map."""
    program = _mean_program(groups)
    images, expected = _expected(program)
    logits = run_build(REFERENCE, tmp_path, write_source(tmp_path, program), images)
    assert np.array_equal(logits, np.ascontiguousarray(expected).view(np.uint32))
    _assert_onnx_agrees(program, images, expected)


@pytest.mark.parametrize("planes", [1, 4])
def test_factors_of_positions_together_with_sums_of_signs_have_onnx_and_no_c(planes: int) -> None:
    maker = Maker(Shape(5, 7, 1), planes)
    at = maker.norm(maker.conv(maker.norm(maker.stem(8)), 12, Window(3, 1, 1), planes=planes, sums=True))
    program = maker.finish(at)
    name = program.steps[2].name
    with pytest.raises(ExportError, match=rf"^{name}: factors of positions together with sums of signs cannot be written as C$"):
        write_c(program, "0" * 64, "1")
    _assert_onnx_agrees(program, *_expected(program))


def test_more_channels_in_another_order_than_a_record_can_name_are_refused() -> None:
    maker = Maker(Shape(1, 1, 1))
    at = maker.add(Gather(np.zeros(4, np.int64) + 2**15), (maker.stem(2**15 + 1, Window(1, 1, 0)),), Shape(1, 1, 4))
    program = maker.finish(at)
    with pytest.raises(ExportError, match=r"4 channels put in order cannot be written as C; allowed: up to 32,768$"):
        write_c(program, "0" * 64, "1")
