"""Generated C keeps to its memory, has no undefined behaviour, is the same every time, and refuses what would change its bits."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nas_service.deploy.c_source import write_c
from tests.nas_service.deploy.c_builds import WARNINGS, compile_c, images_in_c, write_source
from tests.nas_service.deploy.chips import ARM_GCC, M4
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import PROGRAMS, conv_chain, random_images

SANITIZED = {  # what needs no library of the sanitizer's in clang, whose package is another
    "gcc": ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "clang": ("-g", "-O1", "-fsanitize=undefined", "-fsanitize-trap=all"),
}
HEAP_FUZZ = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "network.h"
extern const unsigned image_count;
extern const unsigned char images[];
int main(void)
{
  unsigned image, byte, output;
  for (image = 0; image < image_count + 20; image++) {
    unsigned char *pixels = malloc(NN_IMAGE_BYTES), *arena = malloc(NN_ARENA_BYTES);
    float *logits = malloc(NN_CLASSES * sizeof(float));
    if (!pixels || !arena || !logits)
      return 2;
    for (byte = 0; byte < NN_IMAGE_BYTES; byte++)
      pixels[byte] = image < image_count ? images[(size_t)image * NN_IMAGE_BYTES + byte] : (unsigned char)rand();
    memset(arena, image % 2 ? 255 : 0, NN_ARENA_BYTES); /* not a number, everywhere */
    if (nn_run(arena, pixels, logits) != NN_OK || nn_run(arena + 1, pixels, logits) != NN_MISALIGNED)
      return 1;
    for (output = 0; image < image_count && output < NN_CLASSES; output++) {
      unsigned bits;
      memcpy(&bits, &logits[output], sizeof(bits));
      printf("%08x\\n", bits);
    }
    free(pixels);
    free(arena);
    free(logits);
  }
  return 0;
}
"""
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
import hashlib
from nas_service.deploy.c_source import write_c
from tests.nas_service.deploy.programs import PROGRAMS
for name in PROGRAMS:
    code = write_c(PROGRAMS[name](), "0" * 64, "1.2.3")
    print(hashlib.sha256((code.source + code.header).encode()).hexdigest())
"""


def _missing(compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} here")


@pytest.mark.diagonal
@pytest.mark.parametrize("flags", ["-DNN_PORTABLE", "-march=native"])
@pytest.mark.parametrize("compiler", SANITIZED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_sanitizers_see_nothing_on_heaps_of_the_exact_size(name: str, compiler: str, flags: str, tmp_path: Path) -> None:
    _missing(compiler)
    program = PROGRAMS[name]()
    images = random_images(program, 4)
    write_source(tmp_path, program)
    (tmp_path / "main.c").write_text(HEAP_FUZZ, encoding="utf-8")
    (tmp_path / "images.c").write_text(images_in_c(images), encoding="utf-8")
    sources = [str(tmp_path / file) for file in ("main.c", "images.c", "network.c")]
    compile_c([compiler, *WARNINGS, *SANITIZED[compiler], flags, *sources, "-o", str(tmp_path / "fuzz")])
    done = subprocess.run([str(tmp_path / "fuzz")], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]
    logits = np.array([int(line, 16) for line in done.stdout.split()], np.uint32)
    expected = np.concatenate([run_program(program, image)[-1].reshape(-1) for image in images])
    assert np.array_equal(logits, expected.view(np.uint32))


@pytest.mark.diagonal
@pytest.mark.parametrize("flags", ["-DNN_PORTABLE", "-march=native"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_random_images_leave_every_byte_around_arena_and_logits(name: str, flags: str, tmp_path: Path) -> None:
    _missing("gcc")
    write_source(tmp_path, PROGRAMS[name]())
    (tmp_path / "main.c").write_text(GUARDED, encoding="utf-8")
    sources = [str(tmp_path / "main.c"), str(tmp_path / "network.c")]
    compile_c(["gcc", *WARNINGS, "-O2", flags, *sources, "-o", str(tmp_path / "guarded")])
    assert subprocess.run([str(tmp_path / "guarded")], check=False).returncode == 0


def test_the_same_network_is_the_same_bytes_in_every_process() -> None:
    here = [
        hashlib.sha256((code.source + code.header).encode()).hexdigest()
        for code in (write_c(make(), "0" * 64, "1.2.3") for make in PROGRAMS.values())
    ]
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
