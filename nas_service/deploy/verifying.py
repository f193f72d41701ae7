"""Showing that a bundle's C computes what its network computes: every build, every validation and test image."""

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.apart import Apart
from nas_service.deploy.loader import FASTEST, SHARED, Command, PackedError, compile_c, find_compiler, predefined
from nas_service.deploy.pointwise import Floats
from nas_service.errors import ExportError
from nas_service.reports import Beat, no_beat

TOLERANCE = 1e-5  # of the largest logit, or of 1: what the order of the classifier's sum does
NO_COMPILER = "no C compiler (cc, gcc or clang, with its headers) is on PATH where this bundle was made"
PORTABLE = ("-O1", "-DNN_PORTABLE")
_CROSS = "arm-none-eabi-"
_M4 = ("-Os", "-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
_FLASH = (".text", ".rodata", ".data")  # sections of an object that lie in flash ...
_TEST_ONLY = (".nn_checksum", ".nn_tables", ".nn_facts")  # ... but for what a program that does no self-test leaves out
_CHUNK = 32  # images between two signs of life
_INSTRUCTIONS = {b"__AVX512VPOPCNTDQ__": "AVX-512 VPOPCNTDQ", b"__AVX2__": "AVX2", b"__ARM_NEON": "NEON", b"__SSE2__": "SSE2"}


class Build(NamedTuple):
    """One compiled form of a network.

    Attributes:
        flags: It was compiled with.
        instructions: It counts bits with.
        library: To call, in a process of its own.
    """

    flags: tuple[str, ...]
    instructions: str
    library: Apart


class Verification:
    """The builds of one network on this machine, each compared image by image with what is expected; a context."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        beat: Beat = no_beat,
        choose: Callable[[], Command | None] = find_compiler,
        tolerance: float = TOLERANCE,
    ) -> None:
        """Keep the files of a bundle, by name; nothing is compiled yet.

        Args:
            files: By name.
            beat: Called now and then.
            choose: Finds the compiler.
            tolerance: By how much a logit may differ from what is expected, of the largest or of 1; 0: in nothing.
        """
        self._files, self._beat, self._choose, self._tolerance = files, beat, choose, tolerance
        self._compiler: Command = ()
        self._reason = NO_COMPILER
        self._folder = Path()
        self._made = ExitStack()
        self._builds: list[Build] = []
        self._images = self._near = 0

    def __enter__(self) -> Self:
        """Compile; what cannot be compiled or loaded here is not run, and `facts` says why: the network is none the worse.

        Raises:
            ExportError: If the self-test fails, or the C ends the process that runs it.
        """
        try:
            self._compile()
            self._run_selftest()
        except (PackedError, OSError) as error:
            self.__exit__()
            self._builds = []
            self._reason = f"the C cannot be run where this bundle was made: {error}".replace(str(self._folder), ".")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes that run what was compiled, and remove it."""
        self._made.close()

    def _compile(self) -> None:
        if compiler := self._choose():
            self._compiler = compiler
            self._folder = Path(self._made.enter_context(tempfile.TemporaryDirectory(prefix="nas-c-")))
            self._write()
            for flags in (PORTABLE, next((flags for flags in FASTEST if predefined(compiler, flags) is not None), ())):
                self._builds.append(self._build(flags))

    def _write(self) -> None:
        for name, content in self._files.items():
            if name.startswith("c/"):
                path = self._folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)

    def _build(self, flags: Command) -> Build:
        """Compile network.c with its self-test as a shared library."""
        source = self._folder / "c"
        output = self._folder / f"{len(list(source.parent.glob('*.so')))}.so"
        macros = predefined(self._compiler, flags) or b""
        scalar = "scalar C"
        found = (name for macro, name in _INSTRUCTIONS.items() if macro in macros)
        compile_c(self._compiler, (*flags, "-DNN_NO_MAIN", *SHARED), (source / "network.c", source / "selftest.c"), output)
        library = Apart(output, source / "network.h", f"the network's C with {' '.join(flags)}")
        self._made.callback(library.close)
        self._beat()
        return Build(flags, scalar if "-DNN_PORTABLE" in flags else next(found, scalar), library)

    def _run_selftest(self) -> None:
        for build in self._builds:
            if wrong := build.library.selftest():
                raise ExportError(f"the self-test of the network's C returns {wrong} with {' '.join(build.flags)}")

    def see(self, name: str, start: int, images: NDArray[np.uint8], expected: Floats) -> None:
        """Run every build on images (N, C, H, W) of a part, the first of which is number `start`.

        Args:
            name: Of the part.
            start: Place of the first image.
            images: uint8.
            expected: Logits of the frozen network, (N, classes).

        Raises:
            ExportError: If two builds differ in a bit, or a build from the frozen network by more than the tolerance, or in a
                class that is no near-tie; the image and both logits are named. Or if the C ends the process that runs it.
        """
        for first in range(0, len(images) if self._builds else 0, _CHUNK):
            self._beat()
            chosen = slice(first, first + _CHUNK)
            results = [build.library.logits(images[chosen]) for build in self._builds]
            self._compare(f"{name} image", start + first, results, expected[chosen])
        self._images += len(images)

    def _compare(self, what: str, start: int, results: list[Floats], expected: Floats) -> None:
        portable = results[0]
        for build, other in zip(self._builds[1:], results[1:], strict=True):
            is_other = (portable.view(np.uint32) != other.view(np.uint32)).any(1)
            _refuse(is_other, f"the C's logits with {' '.join(build.flags)} of {what}", start, other, portable)
        self._near += refuse_others(f"the C's logits of {what}", start, portable, expected, self._tolerance)

    def facts(self) -> dict[str, Any]:
        """Return what was seen, for the manifest: `verified`, and how or why not."""
        if not self._builds:
            return {"verified": False, "reason": self._reason}
        builds = [{"flags": " ".join(build.flags), "instructions": build.instructions} for build in self._builds]
        return {
            "verified": True,
            "images": self._images,
            "other_class": self._near,
            "tolerance": self._tolerance,
            "compiler": _version(self._compiler),
            "builds": builds,
            **self._size(),
        }

    def _size(self) -> dict[str, Any]:
        """Return the flash that the network takes: on a Cortex-M4 if there is a compiler for it, else here; {} if none tells."""
        cross = shutil.which(f"{_CROSS}gcc")
        compiler, flags = ((cross,), _M4) if cross else (self._compiler, ("-Os", "-DNN_PORTABLE"))
        found = shutil.which(f"{_CROSS}size" if cross else "size")
        if found is None:
            return {}
        output = self._folder / "size.o"
        try:
            sections = ("-ffunction-sections", "-fdata-sections", "-c")
            compile_c(compiler, (*flags, *sections), (self._folder / "c" / "network.c",), output)
            told = subprocess.run([found, "-A", str(output)], capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603 - binutils
        except (PackedError, OSError, subprocess.SubprocessError):
            return {}
        sizes = {name: int(size) for name, size in re.findall(r"^(\.[\w.]+) +(\d+)", told, re.MULTILINE)}
        whole = {name: size for name, size in sizes.items() if name.startswith(_FLASH)}
        flash = sum(size for name, size in whole.items() if not name.endswith(_TEST_ONLY))
        known = {"flash_bytes": flash, "flash_with_checksum_bytes": sum(whole.values()), "flash_of": _named(compiler, flags)}
        return known if flash else {}


def refuse_others(what: str, start: int, given: Floats, expected: Floats, tolerance: float = TOLERANCE) -> int:
    """See that logits (N, classes) are those of the network, and count near-ties that got their other class.

    Raises:
        ExportError: If a logit differs by more than `tolerance`, or the class while the network's own logits of the two lie
            further apart than that: `what`, with its number from `start`, and both logits.
    """
    allowed = tolerance * np.maximum(1, np.abs(expected).max(1))
    rows, classes, own = np.arange(len(given)), given.argmax(1), expected.argmax(1)
    is_near = np.abs(given - expected).max(1) <= allowed  # NaN is not
    is_tie = expected[rows, own] - expected[rows, classes] <= allowed
    _refuse(~(is_near & is_tie), what, start, given, expected)
    return int((classes != own).sum())


def _refuse(wrong: NDArray[np.bool_], what: str, start: int, given: Floats, expected: Floats) -> None:
    if wrong.any():
        row = int(wrong.argmax())
        raise ExportError(f"{what} {start + row} are {given[row].tolist()} instead of {expected[row].tolist()}")


def _named(compiler: Command, flags: Command) -> str:
    return shlex.join((Path(compiler[0]).name, *compiler[1:], *flags))


def _version(compiler: Command) -> str:
    try:
        said = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout  # noqa: S603 - a compiler
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    return next(iter(said.splitlines()), _named(compiler, ()))
