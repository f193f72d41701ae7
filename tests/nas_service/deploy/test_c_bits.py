"""Generated C makes the same bits with every compiler, flag and processor, at every sign layer and in all logits."""

import ctypes
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Program
from tests.nas_service.deploy.c_builds import BUILDS, BY_INSTRUCTIONS, WARNINGS, Build, Images, compile_c, write_source
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
from tests.nas_service.deploy.watching import checksum, watch, write_watched

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


@pytest.mark.few(3)
@pytest.mark.diagonal
@pytest.mark.skipif(bool(lacking(AARCH64_GCC, AARCH64_QEMU)), reason=lacking(AARCH64_GCC, AARCH64_QEMU))
@pytest.mark.parametrize("flags", ["-O3", "-O2 -DNN_PORTABLE"])
def test_neon_makes_the_bits_of_the_interpreter(given: Given, flags: str) -> None:
    assert np.array_equal(run_on_aarch64(given.folder, given.images, *flags.split()), given.logits)


@pytest.mark.few(4)
@pytest.mark.diagonal
@pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))
@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("chip", [M4, M7], ids=lambda chip: chip.name)
def test_microcontrollers_make_the_maps_of_the_interpreter(given: Given, chip: Chip, optimised: str, tmp_path: Path) -> None:
    """Every sign, and floats to the last bit, by a checksum of each map on the way and of the logits."""
    folder = tmp_path / "watched"
    watched = write_watched(folder, given.folder / "network.c", given.program, given.code)
    expected = [[checksum(each.expected(maps)) for each in watched] for maps in given.maps]
    assert np.array_equal(run_on_chip(chip, folder, given.images, optimised).logits, np.array(expected, np.uint32))


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


@pytest.mark.few(4)
@pytest.mark.diagonal
@pytest.mark.parametrize("build", [build for build in BUILDS if build not in BY_INSTRUCTIONS], ids=str)
def test_every_other_build_for_this_machine_makes_the_maps_of_the_interpreter(given: Given, build: Build) -> None:
    _make_the_maps(given, build)


@pytest.mark.few(4)
@pytest.mark.diagonal
@pytest.mark.parametrize("build", BY_INSTRUCTIONS, ids=str)
def test_every_set_of_instructions_makes_the_maps_of_every_program(given: Given, build: Build) -> None:
    _make_the_maps(given, build)


def _make_the_maps(given: Given, build: Build) -> None:
    """See all maps on the way, looked at between two stages: floats to the last bit, and every sign."""
    if build.lacking:
        pytest.skip(build.lacking)
    watched, stem = watch(given.program)
    (given.folder / "one.c").write_text(_ONE_BY_ONE.replace("@STEM@", stem), encoding="utf-8")
    library = str(given.folder / "one.so")
    compile_c([build.compiler, *WARNINGS, *build.flags, "-shared", "-fPIC", "-o", library, str(given.folder / "one.c")])
    loaded, arena = ctypes.CDLL(library), np.zeros(given.code.arena_bytes // 8 + 1)
    for image, maps in zip(given.images, given.maps, strict=True):
        record = 0
        for each in watched:
            for number in range(record, each.end):
                loaded.nn_run_one(_at(arena), _at(np.ascontiguousarray(image)), ctypes.c_size_t(number))
            record = each.end
            assert np.array_equal(each.seen(arena.view(np.uint8)), each.expected(maps)), each.name


def _at(array: NDArray[np.float64] | NDArray[np.uint8]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
