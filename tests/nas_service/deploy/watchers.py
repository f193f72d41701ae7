"""Tools that watch what generated C does with memory and numbers: sanitizers of gcc and clang, libFuzzer, and valgrind."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource
from tests.nas_service.deploy.c_builds import WARNINGS, Images, compile_c, header_number

HARNESS = Path(__file__).parent / "watched" / "main.c"
_STRICT = ("-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_UNDEFINED = "undefined,float-cast-overflow,float-divide-by-zero"
_ERROR = 99  # exit status of valgrind where it saw something
SAID = 4000  # characters of what a tool says


class Fault(StrEnum):
    """What the harness does wrong on purpose."""

    SHORT_ARENA = "SHORT_ARENA"
    UNSET_PIXEL = "UNSET_PIXEL"
    OVERFLOW = "OVERFLOW"


@dataclass(frozen=True)
class Watcher:
    """A tool.

    Attributes:
        name: For people.
        compiler: A program's name.
        flags: For the compiler.
        sees: Faults that it has to see.
        runs: What the program is run by; nothing: by itself.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    sees: tuple[Fault, ...]
    runs: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return its name."""
        return self.name

    @property
    def lacking(self) -> str:
        """Return what is not here, nothing if all is."""
        for tool in (self.compiler, *self.runs[:1]):
            if shutil.which(tool) is None:
                return f"there is no {tool} here"
        return "" if _links(self.compiler, self.flags) else f"{self.compiler} has no libraries for {self.flags[0]} here"


_FILLED = "-DFILLED"
GCC = Watcher(
    "gcc, address and undefined behaviour",
    "gcc",
    (f"-fsanitize=address,{_UNDEFINED}", *_STRICT, _FILLED),
    (Fault.SHORT_ARENA, Fault.OVERFLOW),
)
CLANG = Watcher(
    "clang, address and undefined behaviour",
    "clang",
    (f"-fsanitize=address,{_UNDEFINED}", *_STRICT, _FILLED),
    (Fault.SHORT_ARENA, Fault.OVERFLOW),
)
TRAPS = Watcher(  # needs no library, whose package is another
    "clang, undefined behaviour", "clang", (f"-fsanitize={_UNDEFINED}", "-fsanitize-trap=all", _FILLED), (Fault.OVERFLOW,)
)
MEMORY = Watcher("clang, uninitialised memory", "clang", ("-fsanitize=memory", *_STRICT), (Fault.UNSET_PIXEL,))
VALGRIND = Watcher(
    "valgrind",
    "gcc",
    (),
    (Fault.SHORT_ARENA, Fault.UNSET_PIXEL),
    ("valgrind", "--quiet", f"--error-exitcode={_ERROR}", "--leak-check=full", "--expensive-definedness-checks=yes"),
)
WATCHERS = (GCC, CLANG, TRAPS, MEMORY, VALGRIND)
FUZZER = Watcher(
    "clang, libFuzzer with address and undefined behaviour",
    "clang",
    (f"-fsanitize=fuzzer,address,{_UNDEFINED}", *_STRICT, "-DFUZZED", _FILLED),
    (Fault.SHORT_ARENA, Fault.OVERFLOW),
)
_LEAST = """
#ifdef FUZZED
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size) { return size > 1 && data == 0; }
#else
int main(void) { return 0; }
#endif
"""


@cache
def _links(compiler: str, flags: tuple[str, ...]) -> bool:
    """Return whether a program with such flags can be linked here."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "main.c"
        source.write_text(_LEAST, encoding="utf-8")
        command = [compiler, *flags, str(source), "-o", str(Path(folder) / "main")]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Seen(NamedTuple):
    """What came of a run.

    Attributes:
        said: What the tool complains of; nothing: it saw nothing wrong.
        logits: As bits, (N, classes), of the images up to there.
    """

    said: str
    logits: NDArray[np.uint32]


def watch(
    watcher: Watcher, folder: Path, code: CSource, images: Images, flags: tuple[str, ...] = (), fault: Fault | None = None
) -> Seen:
    """Compile the network in a folder, with `flags` beside the tool's, and run it on images (N, H, W, C)."""
    program = _compiled(watcher, folder, flags, fault)
    given = np.ascontiguousarray(images).tobytes()
    done = subprocess.run([*watcher.runs, str(program)], input=given, check=False, capture_output=True)
    said = done.stderr.decode(errors="replace")[:SAID]
    classes = header_number(code, "CLASSES")
    whole = len(done.stdout) // (4 * classes) * 4 * classes
    logits = np.frombuffer(done.stdout[:whole], np.uint32).reshape(-1, classes)
    return Seen(said if done.returncode == 0 else f"ends with {done.returncode}: {said}", logits)


def fuzz(folder: Path, images: Images, runs: int, flags: tuple[str, ...] = (), fault: Fault | None = None) -> str:
    """Compile the network in a folder, and run it on `runs` images that libFuzzer makes of some; return what it complains of."""
    program, begin = _compiled(FUZZER, folder, flags, fault), folder / "images"
    begin.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        (begin / str(number)).write_bytes(np.ascontiguousarray(image).tobytes())
    command = [str(program), f"-runs={runs}", "-seed=1", f"-max_len={images[0].size}", "-len_control=0", str(begin)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", cwd=folder)
    return "" if done.returncode == 0 else f"ends with {done.returncode}: {done.stderr[-SAID:]}"


def _compiled(watcher: Watcher, folder: Path, flags: tuple[str, ...], fault: Fault | None) -> Path:
    """Return the program of the network in a folder."""
    program = folder / "watched"
    planted = [] if fault is None else [f"-DFAULT={fault.value}"]
    command = [watcher.compiler, *WARNINGS, "-g", "-O1", *watcher.flags, *flags, *planted, f"-I{folder}"]
    compile_c([*command, str(HARNESS), str(folder / "network.c"), "-o", str(program)])
    return program
