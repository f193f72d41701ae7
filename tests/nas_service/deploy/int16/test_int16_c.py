"""C of int16 activations and its reference in Python's integers: the same bits, on every build and on a Cortex-M4."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.deploy.int16.planning import IntStage
from nas_service.deploy.int16.reference import run_network, run_stages
from nas_service.deploy.int16.steps import LEAST, MOST, Plus
from nas_service.deploy.program import Concat, Program
from tests.nas_service.deploy.c_builds import BUILDS, SSE2, Build, Images, run_build
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, footprint, lacking, run_on_chip
from tests.nas_service.deploy.int16.planned import WHOLE, flat, plan, whole_program, write_int16
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import random_images

IMAGES = 6
CUT = 3.0  # so many times as small as they are are peaks said to be, so that maps are cut off at both ends
SCALAR, FASTEST = Build("gcc", ("-O1", "-DNN_PORTABLE")), Build("clang", ("-O1", *BUILDS[-1].flags[1:]), BUILDS[-1].needs)
RUNS = [(SCALAR, 1.0), (SCALAR, CUT), (Build("gcc", ("-O2",), SSE2), 1.0), (FASTEST, CUT)]


class Given(NamedTuple):
    """A program, images, its stages and logits as bits."""

    program: Program
    images: Images
    stages: list[IntStage]
    logits: NDArray[np.uint32]


@cache
def _given(name: str, narrower: float) -> Given:
    program = whole_program(name)
    images = random_images(program, IMAGES)
    stages = plan(program, images, narrower)
    logits = flat(run_network(stages, images))
    assert len({row.tobytes() for row in logits}) == IMAGES  # else nothing that is wrong on the way could be seen
    return Given(program, images, stages, logits)


@pytest.mark.few(12)
@pytest.mark.parametrize(("build", "narrower"), RUNS, ids=str)
@pytest.mark.parametrize("name", WHOLE)
def test_builds_for_this_machine_make_the_bits_of_the_reference(name: str, narrower: float, build: Build, tmp_path: Path) -> None:
    if build.lacking:
        pytest.skip(build.lacking)
    given = _given(name, narrower)
    code = write_int16(tmp_path, given.program, given.stages)
    assert np.array_equal(run_build(build, tmp_path, code, given.images), given.logits)


@pytest.mark.parametrize("narrower", [np.inf, 1e30, 1e-30])
def test_exponents_at_their_ends_make_the_bits_of_the_reference(narrower: float, tmp_path: Path) -> None:
    """Peaks of 0, and so small and so large that an exponent is bounded, or nothing is left of a map."""
    program = whole_program("floats")
    images = random_images(program, IMAGES)
    stages = plan(program, images, narrower)
    code = write_int16(tmp_path, program, stages)
    assert np.array_equal(run_build(SCALAR, tmp_path, code, images), flat(run_network(stages, images)))


@pytest.mark.few(2)
@pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))
@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("name", ["floats", "depthwise"])
def test_a_cortex_m4_makes_them_and_imports_what_copies_alone(name: str, optimised: str, tmp_path: Path) -> None:
    given = _given(name, CUT)
    code = write_int16(tmp_path, given.program, given.stages)
    assert np.array_equal(run_on_chip(M4, tmp_path, given.images, optimised).logits, given.logits)
    assert set(footprint(M4, tmp_path, code, optimised).imports) <= {"memcpy", "memset"}


@pytest.mark.parametrize("name", WHOLE)
def test_the_reference_is_near_the_float_network(name: str) -> None:
    """What was planned stands for what the program computes: but for signs that flip where a rounding is between them."""
    given = _given(name, 1.0)
    maps = [run_program(given.program, image) for image in given.images]
    made = run_stages(given.stages, given.images, keep=True)
    seen = 0
    for stage in given.stages[:-1]:
        if stage.stage.bits is not None:
            continue
        expected = np.stack([each[stage.stage.output] for each in maps])
        error = np.abs(made[stage.stage.output] * 2.0**-stage.exponent - expected) / np.abs(expected).max()
        most = 2.0**-7 if name == "shrinking" else 2.0**-9  # behind eight layers whose signs flip now and then
        assert np.median(error) <= most, stage.stage.name
        assert seen or error.max() <= 2.0**-12
        seen += 1
    assert seen


def test_copies_are_read_and_not_made() -> None:
    given = _given("copies", 1.0)
    concatenations = [stage.stage for stage in given.stages if isinstance(stage.stage.head, Concat)]
    assert [stage.shape.channels for stage in concatenations] == [192]  # which a pool reads too
    assert sum(isinstance(step, Plus) and step.repeats for stage in given.stages for step in stage.steps) == 2


def test_what_is_larger_than_was_foreseen_is_cut_off() -> None:
    for name in ("depthwise", "copies"):
        given = _given(name, CUT)
        maps = run_stages(given.stages, given.images, keep=True)
        stored = [maps[stage.stage.output] for stage in given.stages[:-1] if stage.stage.bits is None]
        assert min(int(values.min()) for values in stored) == LEAST
        assert max(int(values.max()) for values in stored) == MOST
