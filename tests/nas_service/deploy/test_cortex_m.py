"""The self-test on a Cortex-M4, as QEMU has one: the bits of this machine, on another processor, by another compiler."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.nas_service.deploy.folders import c_files, write_bundle

GCC, QEMU = shutil.which("arm-none-eabi-gcc") or "", shutil.which("qemu-system-arm") or ""
BOARD = Path(__file__).parent / "board"
M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
MATHS = ["-std=c99", "-ffp-contract=off"]


def _object(name: str) -> str:
    """Return the path of one of the compiler's own objects."""
    return subprocess.run([GCC, *M4, f"-print-file-name={name}"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(
    not (GCC and QEMU),
    reason="no compiler for Cortex-M here (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi), or no qemu-system-arm",
)
@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize(("space", "method", "template"), [("tiny", "bnn", "shortcut"), ("tiny", "xnor-net", "plain")])
def test_the_self_test_passes_on_a_cortex_m4(space: str, method: str, template: str, optimised: str, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, c_files(space, method, template)) / "c"
    sources = [str(folder / "network.c"), str(folder / "selftest.c"), str(BOARD / "start.c")]
    start = [_object(name) for name in ("crti.o", "rdimon-crt0.o", "crtn.o")]
    layout = ["--specs=rdimon.specs", "-nostartfiles", "-T", str(BOARD / "layout.ld"), "-Wl,--gc-sections", f"-I{folder}"]
    program = str(tmp_path / "program.elf")
    subprocess.run([GCC, *MATHS, *M4, optimised, *layout, *sources, *start, "-o", program], check=True, capture_output=True)
    machine = [QEMU, "-M", "mps2-an386", "-nographic", "-semihosting", "-kernel", program]
    ran = subprocess.run(machine, check=False, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith("self-test passed: 8 images, the same bits of all 10 logits")
