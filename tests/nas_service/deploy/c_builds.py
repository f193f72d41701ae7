"""Builds of generated C: for this machine, as libraries; for other processors, as programs that QEMU runs."""

import ctypes
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource, write_c
from nas_service.deploy.program import Program

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")
Images = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Build:
    """How C is compiled for this machine.

    Attributes:
        compiler: A program's name.
        flags: Beside warnings and -std=c99.
        needs: What the processor has to have, as Linux names it.
    """

    compiler: str
    flags: tuple[str, ...]
    needs: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return the command."""
        return " ".join((self.compiler, *self.flags))

    @property
    def lacking(self) -> str:
        """Return what is not here, nothing if all is."""
        if shutil.which(self.compiler) is None:
            return f"there is no {self.compiler} here"
        missing = self.needs - processor_flags()
        return f"this processor has no {', '.join(sorted(missing))}" if missing else ""


SSE2 = frozenset({"sse2"})  # of every x86-64: what a compiler uses that is told nothing
AVX2 = SSE2 | {"popcnt", "avx2"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vpopcntdq"}
AVX512_FLAGS = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vpopcntdq", "-mpopcnt", "-mfma")
REFERENCE = Build("gcc", ("-O1", "-DNN_PORTABLE"))
BUILDS = [
    *(Build("gcc", (level, "-DNN_PORTABLE")) for level in ("-Os", "-O2", "-O3")),
    *(Build("clang", (level, "-DNN_PORTABLE")) for level in ("-Os", "-O2", "-O3")),
    *(Build(name, (level,), SSE2) for name, level in (("gcc", "-O2"), ("gcc", "-O3"), ("clang", "-O2"))),
    *(Build(name, ("-O3", "-mavx2", "-mpopcnt", "-mfma"), AVX2 | {"fma"}) for name in ("gcc", "clang")),
    Build("gcc", ("-O2", "-mavx2"), AVX2),
    *(Build(name, ("-O3", *AVX512_FLAGS), AVX512 | {"fma"}) for name in ("gcc", "clang")),
]
BY_INSTRUCTIONS = [build for build in BUILDS if build.compiler == "gcc" and build.flags[0] == "-O3"]  # each once


def processor_flags() -> frozenset[str]:
    """Return what this processor has, as Linux names it; nothing elsewhere."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return frozenset(next((line.split(":")[1].split() for line in lines if line.startswith("flags")), []))


def write_source(folder: Path, program: Program) -> CSource:
    """Write a program's C into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    code = write_c(program, "0" * 64, "1.2.3")
    (folder / "network.c").write_text(code.source, encoding="utf-8")
    (folder / "network.h").write_text(code.header, encoding="utf-8")
    return code


def compile_c(command: list[str]) -> None:
    """Run a compiler; what it says is the error. Without it, the test is left out."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"there is no {command[0]} here")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:4000]


def run_build(build: Build, folder: Path, code: CSource, images: Images) -> NDArray[np.uint32]:
    """Return the logits of images (N, H, W, C), as their bits, (N, classes)."""
    library = folder / f"{abs(hash(build)):x}.so"
    source = str(folder / "network.c")
    compile_c([build.compiler, *WARNINGS, *build.flags, "-shared", "-fPIC", "-o", str(library), source])
    run = ctypes.CDLL(str(library)).nn_run
    arena = np.zeros(code.arena_bytes // 8 + 1)
    logits = np.zeros((len(images), header_number(code, "CLASSES")), np.uint32)
    for image, row in zip(images, logits, strict=True):
        assert run(_at(arena), _at(np.ascontiguousarray(image)), _at(row)) == 0
    return logits


def header_number(code: CSource, name: str) -> int:
    """Return a number that the header defines."""
    (line,) = [line for line in code.header.splitlines() if line.startswith(f"#define NN_{name} ")]
    return int(line.split()[2])


def _at(array: np.ndarray[Any, Any]) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def images_in_c(images: Images) -> str:
    """Return the definitions of `image_count` and `images`."""
    values = ",".join(map(str, images.reshape(-1)))
    return f"const unsigned image_count = {len(images)};\nconst unsigned char images[] = {{{values}}};\n"
