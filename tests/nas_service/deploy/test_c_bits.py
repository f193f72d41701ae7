"""Generated C makes the same bits with every compiler, flag and processor, at every sign layer and in all logits."""

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource
from nas_service.deploy.c_stages import write_stages
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import BinaryConv, Concat, MaxPool, Program
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import Stage, make_stages
from tests.nas_service.deploy.c_builds import BUILDS, WARNINGS, Build, Images, compile_c, write_source
from tests.nas_service.deploy.chips import (
    AARCH64_GCC,
    AARCH64_QEMU,
    ARM_GCC,
    ARM_QEMU,
    M4,
    M7,
    Chip,
    lacking,
    run_on_aarch64,
    run_on_chip,
)
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import PROGRAMS, random_images

IMAGES = 6


class Given(NamedTuple):
    """A program, its C in a folder, images, and of each all maps of the interpreter; its logits as bits."""

    program: Program
    folder: Path
    code: CSource
    images: Images
    maps: list[list[Floats]]
    logits: NDArray[np.uint32]


@cache
def _expected(name: str) -> tuple[Program, Images, list[list[Floats]]]:
    program = PROGRAMS[name]()
    images = random_images(program, IMAGES)
    maps = [run_program(program, image) for image in images]
    assert np.isfinite([each[-1] for each in maps]).all()
    assert len({each[-1].tobytes() for each in maps}) == IMAGES  # else nothing that is wrong on the way could be seen
    return program, images, maps


@pytest.fixture(params=PROGRAMS)
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Given:
    program, images, maps = _expected(request.param)
    logits = np.stack([each[-1].reshape(-1) for each in maps]).view(np.uint32)
    return Given(program, tmp_path, write_source(tmp_path, program), images, maps, logits)


@pytest.mark.diagonal
@pytest.mark.skipif(bool(lacking(AARCH64_GCC, AARCH64_QEMU)), reason=lacking(AARCH64_GCC, AARCH64_QEMU))
@pytest.mark.parametrize("flags", ["-O3", "-O2 -DNN_PORTABLE"])
def test_neon_makes_the_bits_of_the_interpreter(given: Given, flags: str) -> None:
    assert np.array_equal(run_on_aarch64(given.folder, given.images, *flags.split()), given.logits)


@pytest.mark.diagonal
@pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))
@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("chip", [M4, M7], ids=lambda chip: chip.name)
def test_microcontrollers_make_the_bits_of_the_interpreter(given: Given, chip: Chip, optimised: str) -> None:
    assert np.array_equal(run_on_chip(chip, given.folder, given.images, optimised).logits, given.logits)


_ONE_BY_ONE = """
#include "network.c"
void nn_run_one(void *arena, const uint8_t *image, size_t stage);
void nn_run_one(void *arena, const uint8_t *image, size_t stage)
{
  if (stage)
    nn_stages[stage].run(&nn_stages[stage], (float *)arena);
  else
    @STEM@(&nn_stages[0], (float *)arena, image);
}
"""


@pytest.mark.diagonal
@pytest.mark.parametrize("build", BUILDS, ids=str)
def test_every_build_for_this_machine_makes_the_maps_of_the_interpreter(given: Given, build: Build) -> None:
    """All maps on the way, looked at between two stages: floats to the last bit, and every sign."""
    if build.lacking:
        pytest.skip(build.lacking)
    stages = store_signs(make_stages(given.program))
    code = write_stages(stages, given.program.image, Tables())
    (given.folder / "one.c").write_text(_ONE_BY_ONE.replace("@STEM@", code.stem), encoding="utf-8")
    library = str(given.folder / "one.so")
    compile_c([build.compiler, *WARNINGS, *build.flags, "-shared", "-fPIC", "-o", library, str(given.folder / "one.c")])
    loaded, arena = ctypes.CDLL(library), np.zeros(given.code.arena_bytes // 8 + 1)
    looked_at = set()
    for image, maps in zip(given.images, given.maps, strict=True):
        record = 0
        for stage in stages:
            for _ in range(code.room.copies[stage.output].count(False) if isinstance(stage.head, Concat) else 1):
                loaded.nn_run_one(_at(arena), _at(np.ascontiguousarray(image)), ctypes.c_size_t(record))
                record += 1
            place = code.room.places[stage.output]
            expected = _signs(given.program, stages, stage, maps) if stage.bits else maps[stage.output]
            if expected is not None:
                made = _stored(arena.view(np.uint8)[place.offset :], stage, place.stride)
                assert np.array_equal(made, expected.reshape(made.shape)), stage.name
                looked_at.add((stage.output, stage.bits is None))
    assert len(looked_at) >= len(stages) - sum(isinstance(stage.head, MaxPool) for stage in stages)


def _stored(memory: NDArray[np.uint8], stage: Stage, stride: int) -> NDArray[np.float32] | NDArray[np.bool_]:
    """Return the map of a stage as it lies at the beginning of `memory`, (pixels, channels)."""
    channels, pixels = stage.shape.channels, stage.shape.pixels
    if stage.bits is None:
        floats = memory[: len(memory) // 4 * 4].view(np.float32)
        return np.stack([floats[pixel * stride : pixel * stride + channels] for pixel in range(pixels)])
    stored = memory[: pixels * -(-channels // 8)].reshape(pixels, -1)
    return np.unpackbits(stored, axis=1, bitorder="little")[:, :channels] > 0


def _signs(program: Program, stages: list[Stage], stage: Stage, maps: list[Floats]) -> NDArray[np.bool_] | None:
    """Return the signs that a stage's reader sees of it; None in front of a pool, whose own bits tell."""
    reader = next(other for other in stages if stage.output in other.inputs)
    if not isinstance(reader.head, BinaryConv):
        return None
    step = next(step for step in program.steps if step.operation is reader.head)
    return maps[step.inputs[0]] >= 0


def _at(array: NDArray[np.float64] | NDArray[np.uint8]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
