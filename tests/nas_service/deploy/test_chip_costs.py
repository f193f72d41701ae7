"""What a network costs on a Cortex-M4: instructions of a layer, what it imports, flash and RAM."""

from pathlib import Path

import pytest

from benchmarks.chip_instructions import BARS, Network, layer_instructions, network_program
from nas_service.catalogue import build_space
from nas_service.deploy.program import Magnitude, NonLocalMean, Program, RealConv
from nas_service.deploy.tracing import trace_network
from nas_service.specs import Component
from tests.nas_service.deploy.c_builds import write_source
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, M7, footprint, lacking
from tests.nas_service.deploy.given import frozen_network
from tests.nas_service.deploy.programs import bits_program, conv_chain, floats_program
from tests.samples import GREY_8

MEMORY = {"memcpy", "memset"}
WHOLE_TO_FLOAT = "__aeabi_l2f"  # libgcc's: the stem's sums have 64 bits

pytestmark = pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))


@pytest.mark.parametrize("channels", BARS)
def test_a_binary_convolution_takes_no_more_instructions_than_allowed(channels: int) -> None:
    assert layer_instructions(channels, "-O2") <= BARS[channels]


def _imports(program: Program, folder: Path, optimised: str) -> set[str]:
    return set(footprint(M4, folder, write_source(folder, program), optimised).imports)


@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("make", [bits_program, lambda: conv_chain(33, 2), lambda: network_program(Network("tiny"))])
def test_a_network_imports_copying_and_one_conversion(make, optimised: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    assert _imports(make(), tmp_path, optimised) <= MEMORY | {WHOLE_TO_FLOAT}
