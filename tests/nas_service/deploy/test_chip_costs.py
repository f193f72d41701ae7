"""What a network costs on a Cortex-M4: instructions of a layer, what it imports, flash and RAM."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.chip_instructions import BARS, Network, layer_instructions, network_program
from benchmarks.peer_kernels import Case, run
from benchmarks.peer_sources import OURS
from nas_service.deploy.program import Program
from nas_service.deploy.tracing import trace_network
from search_spaces.space import SPACES, SpaceSettings
from tests.nas_service.deploy.c_builds import write_source
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, M7, Chip, footprint, lacking
from tests.nas_service.deploy.given import frozen_network
from tests.nas_service.deploy.programs import bits_program, conv_chain
from tests.samples import GREY_8

COPIES = {"memcpy", "memset"}
DOUBLES = {"__aeabi_d2f", "__aeabi_dadd", "__aeabi_dmul", "__aeabi_f2d"}

pytestmark = pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))


@pytest.mark.parametrize("channels", BARS)
def test_a_binary_convolution_takes_no_more_instructions_than_allowed(channels: int) -> None:
    assert layer_instructions(channels, "-O2") <= BARS[channels]


@pytest.mark.parametrize("padding", [0, 1])
def test_a_stage_called_alone_makes_the_bits_of_whole_numbers_in_no_more_instructions(padding: int, tmp_path: Path) -> None:
    """As it is put beside the open peers, which are not here."""
    outcome = run(Case(OURS, padding, 32, "-O2"), tmp_path)
    assert (outcome.error, outcome.wrong, outcome.bits) == ("", 0, 8 * 8 * 32)
    assert outcome.instructions <= BARS[32]


def _imports(program: Program, folder: Path, optimised: str, chip: Chip = M4) -> set[str]:
    return set(footprint(chip, folder, write_source(folder, program), optimised).imports)


PLAIN = {"bits": bits_program, "odd": lambda: conv_chain(33, 2), "digits": lambda: network_program(Network("tiny"))}


@pytest.mark.parametrize("optimised", ["-Os", "-O2", "-O3"])
@pytest.mark.parametrize("make", PLAIN.values(), ids=PLAIN)
def test_a_network_imports_what_copies_and_nothing_else(make: Callable[[], Program], optimised: str, tmp_path: Path) -> None:
    assert _imports(make(), tmp_path, optimised) <= COPIES


SPACE_SETTINGS = {"operations": ["gabor-conv-3x3"]}, {"operations": ["denoise"]}, {"template": "bi-real-projection"}
IN_DOUBLE = [*(("bnn", given, {}) for given in SPACE_SETTINGS), ("rbcn", {}, {}), ("xnor-net", {}, {"input_scale": "kmap"})]


@pytest.mark.parametrize(("method", "given", "settings"), IN_DOUBLE, ids=str)
def test_sums_in_float64_take_functions_of_the_compiler_where_the_chip_has_none(
    method: str, given: dict[str, object], settings: dict[str, object], tmp_path: Path
) -> None:
    space = SPACES.get("tiny").configure(SpaceSettings.model_validate(given))
    program = trace_network(frozen_network(space, method, GREY_8, settings=settings), "0123456789")
    imports = _imports(program, tmp_path, "-Os")
    assert imports >= DOUBLES
    assert all(name.startswith("__aeabi_") for name in imports - COPIES)
    assert _imports(program, tmp_path, "-Os", M7) <= COPIES


@pytest.mark.parametrize("template", ["shortcut", "double-norm"])
def test_a_network_for_digits_fits(template: str, tmp_path: Path) -> None:
    size = footprint(M4, tmp_path, write_source(tmp_path, network_program(Network("abandit-general", template))))
    assert size.code <= 12_000
    assert size.flash <= 160_000
    assert size.ram <= 42_000
