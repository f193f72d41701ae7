"""Other processors, as QEMU has them: Cortex-M with instructions counted, and aarch64."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.c_source import CSource
from tests.nas_service.deploy.c_builds import Images, compile_c, header_number, images_in_c

ARM_GCC, ARM_QEMU = "arm-none-eabi-gcc", "qemu-system-arm"
AARCH64_GCC, AARCH64_QEMU = "aarch64-linux-gnu-gcc", "qemu-aarch64"
CHIP = Path(__file__).parent / "chip"
CALIBRATION = 2_000_000  # instructions of the loop that start.c times
EXACT = ("-std=c99", "-ffp-contract=off")


@dataclass(frozen=True)
class Chip:
    """A processor of a board that QEMU has.

    Attributes:
        name: As its maker names it.
        board: As QEMU names it.
        flags: For the compiler.
    """

    name: str
    board: str
    flags: tuple[str, ...]


M4 = Chip("Cortex-M4", "mps2-an386", ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"))
M7 = Chip("Cortex-M7", "mps2-an500", ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"))


class ChipRun(NamedTuple):
    """What a chip did: logits as bits, (N, classes), and instructions an image, (N,)."""

    logits: NDArray[np.uint32]
    instructions: NDArray[np.float64]


class Footprint(NamedTuple):
    """What a network's object takes, in bytes, without the compiler's and the C library's own functions.

    Attributes:
        code: Instructions.
        flash: Instructions and constants, and what variables begin with.
        ram: The arena and variables; the stack comes on top.
        stack: The largest frame of a function.
        imports: Names that it leaves to others.
    """

    code: int
    flash: int
    ram: int
    stack: int
    imports: tuple[str, ...]


def lacking(*tools: str) -> str:
    """Return which programs are not here, nothing if all are."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    return f"not here: {', '.join(missing)} (.ci/run installs what it can)" if missing else ""


def run_on_chip(chip: Chip, folder: Path, images: Images, optimised: str) -> ChipRun:
    """Compile the network in a folder for a chip and run it on images (N, H, W, C)."""
    network = folder / "network.o"
    command = [ARM_GCC, *EXACT, *chip.flags, optimised]
    compile_c([*command, "-Wall", "-Wextra", "-Werror", "-c", str(folder / "network.c"), "-o", str(network)])
    return run_linked(chip, folder, [str(network)], images, optimised)


def run_linked(chip: Chip, folder: Path, parts: Sequence[str], images: Images, optimised: str) -> ChipRun:
    """Link objects and libraries that have `nn_run`, as the folder's `network.h` describes it; run it on images (N, H, W, C)."""
    (folder / "images.c").write_text(images_in_c(images), encoding="utf-8")
    program = folder / f"{chip.name}{optimised}.elf"
    whole = ["-std=gnu99", f"-I{folder}", str(CHIP / "start.c"), str(folder / "images.c"), *parts]
    layout = ["-nostartfiles", "--specs=nano.specs", "-T", str(CHIP / "layout.ld")]
    compile_c([ARM_GCC, *chip.flags, optimised, *whole, *layout, "-o", str(program)])
    machine = [ARM_QEMU, "-M", chip.board, "-nographic", "-monitor", "none", "-serial", "none"]
    counted = ["-semihosting-config", "enable=on,target=native", "-icount", "shift=4", "-kernel", str(program)]
    done = subprocess.run(
        [*machine, *counted], check=False, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL
    )
    lines = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    rows = [line[1:] for line in lines if line[:1] == ["image"]]
    assert done.returncode == 0, done
    assert len(rows) == len(images), done
    (ticks,) = [int(line[1], 16) for line in lines if line[:1] == ["calibration"]]
    numbers = np.array([[int(value, 16) for value in row] for row in rows], np.uint32)
    return ChipRun(numbers[:, 1:], numbers[:, 0].astype(np.float64) * CALIBRATION / ticks)


def footprint(chip: Chip, folder: Path, code: CSource, optimised: str = "-Os") -> Footprint:
    """Compile the network in a folder for a chip, and measure its object."""
    network = folder / "footprint.o"
    compile_c([ARM_GCC, *EXACT, *chip.flags, optimised, "-fstack-usage", "-c", str(folder / "network.c"), "-o", str(network)])
    sections = _said("arm-none-eabi-size", "-A", str(network))
    sizes = dict.fromkeys(("text", "rodata", "data", "bss"), 0)
    for kind, size in re.findall(r"^\.(text|rodata|data|bss)\S*\s+(\d+)", sections, re.MULTILINE):
        sizes[kind] += int(size)
    imports = re.findall(r"\bU (\S+)", _said("arm-none-eabi-nm", "-u", str(network)))
    frames = [int(line.split("\t")[1]) for line in network.with_suffix(".su").read_text(encoding="utf-8").splitlines()]
    flash = sizes["text"] + sizes["rodata"] + sizes["data"]
    ram = header_number(code, "ARENA_BYTES") + sizes["data"] + sizes["bss"]
    return Footprint(sizes["text"], flash, ram, max(frames), tuple(sorted(imports)))


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


_AARCH64_MAIN = """
#include <stdio.h>
#include <string.h>
#include "network.h"
extern const unsigned image_count;
extern const unsigned char images[];
static uint64_t arena[NN_ARENA_BYTES / 8 + 1];
int main(void)
{
  unsigned image, output;
  for (image = 0; image < image_count; image++) {
    float logits[NN_CLASSES];
    if (nn_run(arena, images + (size_t)image * NN_IMAGE_BYTES, logits) != NN_OK)
      return 1;
    for (output = 0; output < NN_CLASSES; output++) {
      uint32_t bits;
      memcpy(&bits, &logits[output], sizeof(bits));
      printf("%08x ", (unsigned)bits);
    }
    printf("\\n");
  }
  return 0;
}
"""


def run_on_aarch64(folder: Path, images: Images, *flags: str) -> NDArray[np.uint32]:
    """Compile the network in a folder for 64-bit Arm and return the logits of images (N, H, W, C) as bits."""
    (folder / "images.c").write_text(images_in_c(images), encoding="utf-8")
    (folder / "main.c").write_text(_AARCH64_MAIN, encoding="utf-8")
    program = str(folder / "aarch64")
    sources = [str(folder / name) for name in ("main.c", "images.c", "network.c")]
    compile_c([AARCH64_GCC, "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags, "-static", *sources, "-o", program])
    rows = [line.split() for line in _said(AARCH64_QEMU, program).splitlines()]
    return np.array([[int(value, 16) for value in row] for row in rows], np.uint32)
