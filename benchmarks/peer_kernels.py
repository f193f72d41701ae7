"""A 3x3 binary convolution of ours beside those of the open engines for microcontrollers, on a Cortex-M4 as QEMU counts it.

    git clone https://github.com/nanocad-lab/3pxnet PEERS/3pxnet
    git clone https://github.com/Edge-Learning-Machine/CBin-NN PEERS/CBin-NN
    python -m benchmarks.peer_kernels PEERS

The same random bits, weights and thresholds go through each; bits are compared with a sum in whole numbers. Needs
arm-none-eabi-gcc and qemu-system-arm. A peer that is not in the folder is left out and named. Writes
benchmarks/results/peer_kernels.md.
"""

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.conditions import conditions
from benchmarks.peer_sources import CBIN, KERNELS, MENDED, OURS, URLS, Kernel, Layer, words
from nas_service.catalogue import load_entries
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, lacking, run_linked

PAGE = Path(__file__).parent / "results" / "peer_kernels.md"
WIDTHS = (32, 64, 128)
LEVELS = ("-O2", "-Os")
SIDE = 8
PADDINGS = {0: "map of 10x10, no padding", 1: "map of 8x8, padding 1"}


class Case(NamedTuple):
    """What is run."""

    kernel: Kernel
    padding: int
    channels: int
    level: str


class Outcome(NamedTuple):
    """What came of it: instructions of the call, bits that are wrong of how many; or what went wrong."""

    instructions: float
    wrong: int
    bits: int
    error: str = ""


def layer(channels: int, padding: int) -> Layer:
    """Return a layer, drawn: an 8x8 map is made; limits are such that some outputs are mostly +1, some mostly -1."""
    drawn = np.random.default_rng(channels)
    side = SIDE + 2 - 2 * padding
    spread = 3 * channels**0.5
    return Layer(
        drawn.integers(0, 2, (side, side, channels)) > 0,
        drawn.integers(0, 2, (channels, 3, 3, channels)) > 0,
        np.round(drawn.normal(size=channels) * spread).astype(np.int64),
        padding,
    )


def run(case: Case, peers: Path) -> Outcome:
    """Compile and run a kernel once."""
    given = layer(case.channels, case.padding)
    expected = given.expected(case.kernel.ring)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = ["-lm"]
        for number, words_of_command in enumerate(case.kernel.write(given, folder, peers)):
            parts.insert(0, str(folder / f"{number}.o"))
            command = [ARM_GCC, *M4.flags, case.level, *words_of_command, "-c", "-o", parts[0]]
            if error := _first_error(command):
                return Outcome(0, 0, 0, error)
        try:
            ran = run_linked(M4, folder, parts, np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1), case.level)
        except AssertionError as error:
            return Outcome(0, 0, 0, f"did not run to its end: {str(error)[:200]}")
    different = ran.logits[2] ^ words(expected, case.kernel.order)
    return Outcome(float(ran.instructions[1]), int(np.unpackbits(different.view(np.uint8)).sum()), expected.size)


def _first_error(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    return (errors or [done.stderr[:200]])[0] if done.returncode else ""


def as_published(peers: Path) -> Iterator[str]:
    """Yield what a compiler for Cortex-M says of CBin-NN's own files, with its example's headers and without."""
    operators, example = peers / CBIN / "Operators", peers / CBIN / "Example" / "Inc"
    for name in ("BBConv2D.c", "BBConv2D_Optimized.c"):
        for where, more in (("alone", []), ("with `Example/Inc`", [f"-I{example}"])):
            command = [ARM_GCC, *M4.flags, *more, "-c", str(operators / name), "-o", "/dev/null"]
            said = _first_error(command)
            yield f"`{name}`, {where}: " + (f"`{re.sub(r'^.*?error: ', '', said)}`" if said else "compiles")


def page(outcomes: dict[Case, Outcome], peers: Path) -> str:
    """Return the page."""
    return "\n".join([*_head(peers), *_tables(outcomes), *_ratios(outcomes), *_notes(outcomes, peers)]) + "\n"


def _head(peers: Path) -> Iterator[str]:
    versions = [
        subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
        for tool in (ARM_GCC, ARM_QEMU)
    ]
    yield from (
        "# A 3x3 binary convolution beside the open peers' on a Cortex-M4",
        "",
        "`python -m benchmarks.peer_kernels PEERS`: counted by QEMU (mps2-an386, `-icount`), which knows instructions and no",
        "cycles. One call, bits to bits, an 8x8 map of as many channels as the input has; the same random bits, weights and",
        "thresholds for all, and what is wrong is told by a sum in whole numbers. The count does not vary.",
        "",
        conditions(),
        "",
        ", ".join(versions),
        "",
    )
    for name, url in URLS.items():
        if (peers / name).is_dir():
            log = ["git", "-C", str(peers / name), "log", "-1", "--format=%h of %cs"]
            commit = subprocess.run(log, check=True, capture_output=True, text=True).stdout.strip()
            yield f"- {name}: {url}, commit {commit}"
        else:
            yield f"- {name}: {url}, was not there and is left out"


def _tables(outcomes: dict[Case, Outcome]) -> Iterator[str]:
    for padding, what in PADDINGS.items():
        cells = [f"{channels}, {level}" for channels in WIDTHS for level in LEVELS]
        yield from (
            "",
            f"## {what[0].upper()}{what[1:]}",
            "",
            "Million instructions; in brackets bits that are wrong, where any are." + _RINGS[padding],
            "",
            "| channels, flag | " + " | ".join(cells) + " |",
            "|---" * (len(cells) + 1) + "|",
        )
        for kernel in dict.fromkeys(case.kernel for case in outcomes):
            found = [outcomes[Case(kernel, padding, channels, level)] for channels in WIDTHS for level in LEVELS]
            yield f"| {kernel.name} | " + " | ".join(map(_cell, found)) + " |"


_RINGS = {
    0: " All compute the same function.",
    1: " Ours writes a ring of -1 and reads it; the peers leave out what lies outside: another function, with less to count.",
}


def _cell(outcome: Outcome) -> str:
    if outcome.error:
        return outcome.error
    wrong = f" ({outcome.wrong:,} of {outcome.bits:,})" if outcome.wrong else ""
    return f"{outcome.instructions / 1e6:.3f}{wrong}"


def _ratios(outcomes: dict[Case, Outcome]) -> Iterator[str]:
    cells = [f"{channels}, {level}" for channels in WIDTHS for level in LEVELS]
    yield from ("", "## How many times our instructions", "", "Those with all bits right.", "")
    yield "| | " + " | ".join(cells) + " |"
    yield "|---" * (len(cells) + 1) + "|"
    for padding, what in PADDINGS.items():
        for kernel in dict.fromkeys(case.kernel for case in outcomes if case.kernel.peer):
            cases = [Case(kernel, padding, channels, level) for channels in WIDTHS for level in LEVELS]
            if all(outcomes[case].wrong or outcomes[case].error for case in cases):
                continue
            row = [_ratio(outcomes[case], outcomes[case._replace(kernel=OURS)]) for case in cases]
            yield f"| {kernel.name}, {what} | " + " | ".join(row) + " |"


def _ratio(peer: Outcome, ours: Outcome) -> str:
    return "" if peer.wrong or peer.error else f"{peer.instructions / ours.instructions:.2f}"


def _notes(outcomes: dict[Case, Outcome], peers: Path) -> Iterator[str]:
    if not any(case.kernel.peer == CBIN for case in outcomes):
        return
    yield from (
        "",
        "## CBin-NN as published, and what was mended",
        "",
        "What arm-none-eabi-gcc says of its files:",
        "",
        *(f"- {line}" for line in as_published(peers)),
        "",
        "So `<cstring>` was a file that includes `string.h`, and the two headers of its example were empty ones: that much is in",
        '"as published". `BBConv2D_Optimized` takes its outer loop once for every output and not for every 32 of them, and',
        'writes past its result. "Mended" is a copy with these replaced, and nothing else:',
        "",
        *(f"- `{wrong}` by `{right}`" for wrong, right in MENDED),
    )


def main() -> None:
    """Run all that is there, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", type=Path, help="the folder in which 3pxnet and CBin-NN were cloned")
    peers = parser.parse_args().peers.resolve()
    if reason := lacking(ARM_GCC, ARM_QEMU):
        raise SystemExit(reason)
    load_entries()
    kernels = [kernel for kernel in KERNELS if not kernel.peer or (peers / kernel.peer).is_dir()]
    outcomes = {}
    for case in (Case(*given) for given in product(kernels, PADDINGS, WIDTHS, LEVELS)):
        outcomes[case] = run(case, peers)
        print(case.kernel.name, PADDINGS[case.padding], case.channels, case.level, _cell(outcomes[case]), flush=True)
    PAGE.write_text(page(outcomes, peers), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
