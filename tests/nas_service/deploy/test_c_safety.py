"""Generated C keeps to its memory, has no undefined behaviour, is the same every time, and refuses what would change its bits."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource
from nas_service.deploy.int16.reference import run_network
from tests.nas_service.deploy.c_builds import WARNINGS, Images, compile_c, write_source
from tests.nas_service.deploy.chips import ARM_GCC, M4
from tests.nas_service.deploy.int16.planned import WHOLE, flat, plan, whole_program, write_int16
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import PROGRAMS, conv_chain, random_images
from tests.nas_service.deploy.watchers import CLANG, GCC, MEMORY, TRAPS, Fault, Watcher, watch

GUARDED = """
#include <stdlib.h>
#include <string.h>
#include "network.h"
#define GUARD 4096
static struct {
  unsigned char before[GUARD];
  uint64_t arena[(NN_ARENA_BYTES + 7) / 8];
  unsigned char after[GUARD];
} room;
static struct {
  unsigned char before[GUARD];
  float logits[NN_CLASSES];
  unsigned char after[GUARD];
} result;
int main(void)
{
  static unsigned char image[NN_IMAGE_BYTES], seen[NN_IMAGE_BYTES];
  unsigned round, byte;
  for (round = 0; round < 200; round++) {
    memset(&room, (int)round, sizeof(room));
    memset(&result, (int)round, sizeof(result));
    for (byte = 0; byte < NN_IMAGE_BYTES; byte++)
      seen[byte] = image[byte] = (unsigned char)rand();
    if (nn_run(room.arena, image, result.logits) != NN_OK || memcmp(seen, image, sizeof(image)) != 0)
      return 1;
    for (byte = 0; byte < GUARD; byte++)
      if (room.before[byte] != (unsigned char)round || room.after[byte] != (unsigned char)round ||
          result.before[byte] != (unsigned char)round || result.after[byte] != (unsigned char)round)
        return 2;
    for (byte = (unsigned)NN_ARENA_BYTES; byte < sizeof(room.arena); byte++)
      if (((unsigned char *)room.arena)[byte] != (unsigned char)round)
        return 3;
  }
  return 0;
}
"""
BY_DIGEST = """
from tests.nas_service.deploy.test_c_safety import digests
print(*digests())
"""
ACTIVATIONS = ("float32", "int16")
BUILDS = ("-DNN_PORTABLE", "-O1", "-march=native")  # as a chip, as a plain compiler makes it, and with all that this machine has
SANITIZERS = (GCC, CLANG, TRAPS, MEMORY)


class Given(NamedTuple):
    """A network's C in a folder, images (N, H, W, C), and their logits as bits, (N, classes)."""

    code: CSource
    images: Images
    logits: NDArray[np.uint32]


def _given(name: str, activations: str, folder: Path, narrower: float = 1.0) -> Given:
    if activations == "int16":
        program = whole_program(name)
        images = random_images(program, 4)
        stages = plan(program, images, narrower)
        return Given(write_int16(folder, program, stages), images, flat(run_network(stages, images)))
    program = WHOLE[name]()
    images = random_images(program, 4)
    logits = np.stack([run_program(program, image)[-1].reshape(-1) for image in images])
    return Given(write_source(folder, program), images, flat(logits))


def _missing(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")


@pytest.mark.few(4)
@pytest.mark.diagonal
@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("sanitizer", SANITIZERS, ids=str)
@pytest.mark.parametrize("activations", ACTIVATIONS)
@pytest.mark.parametrize("name", WHOLE)
def test_sanitizers_see_nothing_on_heaps_of_the_exact_size(
    name: str, activations: str, sanitizer: Watcher, flags: str, tmp_path: Path
) -> None:
    if sanitizer.lacking:
        pytest.skip(sanitizer.lacking)
    given = _given(name, activations, tmp_path)
    seen = watch(sanitizer, tmp_path, given.code, given.images, (flags,))
    assert not seen.said
    assert np.array_equal(seen.logits, given.logits)


@pytest.mark.few(1)
@pytest.mark.diagonal
@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("narrower", [3.0, np.inf, 1e30, 1e-30])
def test_whole_numbers_overflow_nowhere_however_wrong_their_peaks_are(narrower: float, flags: str, tmp_path: Path) -> None:
    if GCC.lacking:
        pytest.skip(GCC.lacking)
    given = _given("floats", "int16", tmp_path, narrower)
    seen = watch(GCC, tmp_path, given.code, given.images, (flags,))
    assert not seen.said
    assert np.array_equal(seen.logits, given.logits)


@pytest.mark.parametrize(
    ("sanitizer", "fault"), [(sanitizer, fault) for sanitizer in SANITIZERS for fault in sanitizer.sees], ids=str
)
def test_sanitizers_see_what_is_wrong_on_purpose(sanitizer: Watcher, fault: Fault, tmp_path: Path) -> None:
    if sanitizer.lacking:
        pytest.skip(sanitizer.lacking)
    given = _given("chain with slopes", "float32", tmp_path)
    assert watch(sanitizer, tmp_path, given.code, given.images, ("-DNN_PORTABLE",), fault).said


@pytest.mark.few(4)
@pytest.mark.diagonal
@pytest.mark.parametrize("flags", BUILDS)
@pytest.mark.parametrize("activations", ACTIVATIONS)
@pytest.mark.parametrize("name", WHOLE)
def test_random_images_leave_every_byte_around_arena_and_logits(name: str, activations: str, flags: str, tmp_path: Path) -> None:
    _missing("gcc")
    _given(name, activations, tmp_path)
    (tmp_path / "main.c").write_text(GUARDED, encoding="utf-8")
    sources = [str(tmp_path / "main.c"), str(tmp_path / "network.c")]
    compile_c(["gcc", *WARNINGS, "-O2", flags, *sources, "-o", str(tmp_path / "guarded")])
    assert subprocess.run([str(tmp_path / "guarded")], check=False).returncode == 0


def digests() -> list[str]:
    """Return a digest of every program's C, with each kind of activations."""
    with tempfile.TemporaryDirectory() as folder:
        codes = [_given(name, activations, Path(folder)).code for name in WHOLE for activations in ACTIVATIONS]
    return [hashlib.sha256((code.source + code.header).encode()).hexdigest() for code in codes]


def test_the_same_network_is_the_same_bytes_in_every_process() -> None:
    here = digests()
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", BY_DIGEST],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        assert done.stdout.split() == here


REFUSED = [
    ("gcc", "-std=c99 -O2 -ffast-math", "must not be reordered"),
    ("clang", "-std=c99 -O2 -ffast-math", "must not be reordered"),
    ("gcc", "-std=c99 -Ofast", "must not be reordered"),
    ("gcc", "-std=c99 -O2 -funsafe-math-optimizations", "must not be reordered"),
    ("gcc", "-std=gnu99 -O2 -mfma", "must not be fused"),
    ("g++", "-x c++ -std=c++20 -O2 -mfma", "network.c is C"),
    ("gcc", "-std=c89", "network.c is C99"),
    ("gcc", "-std=gnu99 -O2 -mfpmath=387", "computed in float"),
    (ARM_GCC, f"-std=gnu99 -O2 {' '.join(M4.flags)}", "must not be fused"),
]


@pytest.mark.parametrize(("compiler", "flags", "why"), REFUSED)
def test_flags_that_change_bits_are_refused(compiler: str, flags: str, why: str, tmp_path: Path) -> None:
    _missing(compiler)
    write_source(tmp_path, conv_chain(16, 1))
    command = [compiler, *flags.split(), "-c", str(tmp_path / "network.c"), "-o", str(tmp_path / "network.o")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert why in done.stderr


ALLOWED = [
    ("gcc", "-std=gnu99 -mfma -ffp-contract=off -DNN_UNCONTRACTED"),
    ("clang", "-std=gnu99 -mfma"),
    ("gcc", "-std=c99 -mfma"),
]


@pytest.mark.parametrize(("compiler", "flags"), ALLOWED)
def test_flags_that_change_no_bits_are_not_refused(compiler: str, flags: str, tmp_path: Path) -> None:
    _missing(compiler)
    write_source(tmp_path, conv_chain(16, 1))
    compile_c([compiler, *flags.split(), "-c", str(tmp_path / "network.c"), "-o", str(tmp_path / "network.o")])


@pytest.mark.parametrize("level", ["-O0", "-O1", "-Oz"])
def test_clang_is_silent_where_it_does_not_vectorize(level: str, tmp_path: Path) -> None:
    _missing("clang")
    write_source(tmp_path, PROGRAMS["floats"]())
    compile_c(["clang", *WARNINGS, level, "-c", str(tmp_path / "network.c"), "-o", str(tmp_path / "network.o")])
