"""Instructions, flash and RAM of networks on a Cortex-M4, as QEMU counts them.

    python -m benchmarks.chip_instructions

A layer is what one more of it adds: chains of two and of three 3x3 binary convolutions, bits to bits, 8x8. Whole networks have
random weights, norms and PReLUs that fall as well as rise. QEMU counts instructions, it has no clock of a real chip, so that a
count of cycles is another thing. Needs arm-none-eabi-gcc and qemu-system-arm (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi,
qemu-system-arm). Writes benchmarks/results/chip_instructions.md.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.conditions import conditions
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.program import Program
from nas_service.deploy.tracing import trace_network
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat
from tests.nas_service.deploy.c_builds import write_source
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, Footprint, footprint, lacking, run_on_chip
from tests.nas_service.deploy.given import frozen_network
from tests.nas_service.deploy.programs import conv_chain, random_images
from tests.samples import digits

PAGE = Path(__file__).parent / "results" / "chip_instructions.md"
LEVELS = ("-Os", "-O2", "-O3")
WIDTHS = (16, 24, 32, 48, 64, 96, 128)
SIZE = 8
BARS = {32: 0.28e6, 64: 0.93e6, 128: 3.3e6}  # instructions of a layer at -O2
RGB_32 = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26))


class Network(NamedTuple):
    """A network that is measured: a space, a template (none: its own), and whether for digits or for 32x32 colour images."""

    space: str
    template: str = ""
    digits: bool = True

    def __str__(self) -> str:
        """Return it for people."""
        images = "digits, 8x8x1" if self.digits else "32x32x3"
        return f"`{self.space}`{f', template `{self.template}`' if self.template else ''}, {images}"


NETWORKS = (
    Network("abandit-general", "shortcut"),
    Network("abandit-general", "double-norm"),
    Network("abandit-mini"),
    Network("resnet-20", digits=False),
    Network("vgg-small", digits=False),
)


class Measured(NamedTuple):
    """A network's instructions by flag, and what it takes at -Os."""

    network: Network
    instructions: dict[str, float]
    size: Footprint


def instructions(program: Program, optimised: str) -> float:
    """Return how many instructions one image takes."""
    with tempfile.TemporaryDirectory() as name:
        write_source(Path(name), program)
        images = random_images(program, 2)[:1]
        return float(run_on_chip(M4, Path(name), images, optimised).instructions[0])


def layer_instructions(channels: int, optimised: str, *, pads_plus: bool = False, prelu: bool = False) -> float:
    """Return what one 3x3 binary convolution with its norm adds, bits to bits, at 8x8."""
    two, three = (conv_chain(channels, layers, SIZE, pads_plus=pads_plus, prelu=prelu) for layers in (2, 3))
    return instructions(three, optimised) - instructions(two, optimised)


def network_program(network: Network) -> Program:
    """Return a network's program, with random weights."""
    settings = {"template": network.template} if network.template else {}
    image = digits().image_format if network.digits else RGB_32
    frozen = frozen_network(build_space(Component(name=network.space, settings=settings)), "bnn", image)
    return trace_network(frozen, [str(number) for number in range(image.classes)])


def measure(network: Network) -> Measured:
    """Compile and run a network."""
    program = network_program(network)
    with tempfile.TemporaryDirectory() as name:
        size = footprint(M4, Path(name), write_source(Path(name), program))
    return Measured(network, {level: instructions(program, level) for level in LEVELS}, size)


def page(layers: dict[tuple[int, str], float], networks: list[Measured]) -> str:
    """Return the page."""
    return "\n".join([*_head(), *_layer_table(layers), *_network_table(networks)]) + "\n"


def _head() -> Iterator[str]:
    version = subprocess.run([ARM_GCC, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    qemu = subprocess.run([ARM_QEMU, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
    yield from (
        "# Instructions, flash and RAM on a Cortex-M4",
        "",
        "`python -m benchmarks.chip_instructions`: counted by QEMU (mps2-an386, `-icount`), which knows",
        "instructions and no cycles. One image of noise, one run: the count does not vary.",
        "`-std=c99 -ffp-contract=off -mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16`.",
        "",
        conditions(),
        "",
        f"{version}, {qemu}",
    )


def _layer_table(layers: dict[tuple[int, str], float]) -> Iterator[str]:
    yield from (
        "",
        "## A 3x3 binary convolution, bits to bits, 8x8",
        "",
        "Million instructions; a binary multiply-add is one weight at one position. `make test` holds what is allowed.",
        "",
        "| channels | -Os | -O2 | -O3 | instructions a multiply-add, -O2 | allowed, -O2 |",
        "|---|---|---|---|---|---|",
    )
    for channels in dict.fromkeys(width for width, _ in layers):
        counts = [layers[channels, level] for level in LEVELS]
        adds = SIZE**2 * 9 * channels**2
        bar = f"{BARS[channels] / 1e6:.2f}" if channels in BARS else ""
        cells = [*(f"{count / 1e6:.3f}" for count in counts), f"{counts[1] / adds:.2f}", bar]
        yield f"| {channels} | " + " | ".join(cells) + " |"


def _network_table(networks: list[Measured]) -> Iterator[str]:
    yield from (
        "",
        "## Whole networks, method BNN, random weights and architecture",
        "",
        "Million instructions an image. Flash: code and constants of `network.o` at -Os, without what it imports from the",
        "compiler and the C library. RAM: arena and variables; the stack comes on top, its largest frame is told.",
        "",
        "| network | -Os | -O2 | -O3 | code, bytes | flash, bytes | RAM, bytes | largest frame, bytes | imports |",
        "|---|---|---|---|---|---|---|---|---|",
    )
    for measured in networks:
        size = measured.size
        counts = [f"{measured.instructions[level] / 1e6:.2f}" for level in LEVELS]
        sizes = [f"{value:,}" for value in (size.code, size.flash, size.ram, size.stack)]
        imports = ", ".join(f"`{name}`" for name in size.imports)
        yield f"| {measured.network} | " + " | ".join([*counts, *sizes, imports]) + " |"


def main() -> None:
    """Measure and write the page."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if reason := lacking(ARM_GCC, ARM_QEMU):
        raise SystemExit(reason)
    load_entries()
    layers = {}
    for channels in WIDTHS:
        for level in LEVELS:
            layers[channels, level] = layer_instructions(channels, level)
            print(channels, level, f"{layers[channels, level] / 1e6:.3f} M", flush=True)
    networks = []
    for network in NETWORKS:
        networks.append(measure(network))
        print(networks[-1], flush=True)
    PAGE.write_text(page(layers, networks), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
