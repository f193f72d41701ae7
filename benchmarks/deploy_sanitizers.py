"""Generated C under sanitizers: trained networks over all test images of digits, and a network at CIFAR's size.

    python -m benchmarks.deploy_sanitizers                 # trains three networks for three epochs each
    python -m benchmarks.deploy_sanitizers BUNDLE.zip ...  # watches networks of digits that were downloaded instead

Each network's C, with float32 and with int16 activations, is compiled as for a chip, with SSE2, AVX2 and AVX-512, watched by
AddressSanitizer and UndefinedBehaviorSanitizer of gcc and clang (the first thing wrong ends the program), by MemorySanitizer of
clang, which tells what is read before it is written, and by valgrind. Image, arena and logits lie on heaps of exactly the sizes
that network.h states. Beside the test images there are images of noise and of extremes, and libFuzzer makes more of both; every
logit has to have the bits that the network has in torch (int16: in Python's integers). Each tool first has to see faults that
are made on purpose. What was done is kept line by line, so that a run that was cut off goes on; what is not here is named and
left out. Writes benchmarks/results/deploy_sanitizers.md.
"""

import argparse
import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.conditions import conditions
from benchmarks.deploy_bits import KINDS, TRAINED, bundled, train, versions
from benchmarks.deploy_cifar import IMAGE, images
from benchmarks.kept import add_row, read_rows
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.c_source import CSource, write_c
from nas_service.deploy.int16.c_writer import write_c as write_int16
from nas_service.deploy.int16.reference import run_network
from nas_service.deploy.selftest import logits_in_order
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.compiled import calibration_images, plan_int16
from nas_service.specs import Component
from search_spaces.network import Network
from tests.nas_service.deploy.c_builds import Images, processor_flags
from tests.nas_service.deploy.given import frozen_network
from tests.nas_service.deploy.watchers import CLANG, FUZZER, GCC, MEMORY, VALGRIND, Fault, Watcher, fuzz, watch
from tests.samples import digits

PAGE = Path(__file__).parent / "results" / "deploy_sanitizers.md"
ALL = (GCC, CLANG, MEMORY, VALGRIND, FUZZER)
FAULTS = {
    Fault.SHORT_ARENA: "an arena that is a quarter too small",
    Fault.UNSET_PIXEL: "a pixel that was not written",
    Fault.OVERFLOW: "a whole number that overflows",
}
UNKNOWN = {(VALGRIND, "AVX-512 VPOPCNT"): "it knows none of these instructions"}
NOISE = 41  # images beside those of a data set
FUZZED = 500  # images that libFuzzer makes, of each build
AT_CIFAR_SIZE, FEW = 100, 10  # images there, and of these what valgrind is given
LARGE = 1024  # bytes of an image, above which valgrind and libFuzzer are given few
Kept = dict[str, str]


class Build(NamedTuple):
    """Instructions that C is compiled for.

    Attributes:
        name: For people.
        flags: For the compiler.
        needs: What the processor has to have, as Linux names it.
    """

    name: str
    flags: tuple[str, ...]
    needs: frozenset[str]


BUILDS = tuple(Build(*kind) for kind in KINDS)


class Given(NamedTuple):
    """A network's C, and what it should compute.

    Attributes:
        name: For people.
        code: Its C.
        images: uint8, (N, H, W, C).
        logits: As bits, (N, classes).
    """

    name: str
    code: CSource
    images: Images
    logits: NDArray[np.uint32]

    @property
    def is_large(self) -> bool:
        """Whether valgrind and libFuzzer take long over an image."""
        return bool(self.images[0].size > LARGE)


class Row(NamedTuple):
    """What came of a network under a tool.

    Attributes:
        network: Its name.
        watcher: The tool's name.
        build: Name of the instructions.
        images: That were run.
        wrong: What is wrong; nothing: all is well.
    """

    network: str
    watcher: str
    build: str
    images: int
    wrong: str


def odd_images(shape: tuple[int, ...], count: int) -> Images:
    """Return images (count, H, W, C): black, white, stripes, dots and noise of every density."""
    drawn = np.random.default_rng(0)
    noise = drawn.integers(0, 256, (count, *shape), np.uint8)
    for number, image in enumerate(noise[: count // 2]):
        image[drawn.random(shape) < number / (count // 2)] = 255 * (number % 2)
    noise[0], noise[1] = 0, 255
    noise[2, ::2], noise[2, 1::2] = 0, 255
    noise[3, :, ::2], noise[3, :, 1::2] = 0, 255
    noise[4], noise[4, shape[0] // 2, shape[1] // 2] = 0, 255
    return noise


def in_c(named: tuple[str, Network], class_names: Sequence[str], seen: Images, rows: Images, missing: Kept) -> Iterator[Given]:
    """Yield a network's C with each kind of activations that it can have.

    Args:
        named: Name for people, and the network, frozen.
        class_names: In the order of its logits.
        seen: Images (N, C, H, W) that int16 is calibrated on.
        rows: Images (N, H, W, C) to run.
        missing: Is told why there is no int16.
    """
    name, network = named
    program = trace_network(network, class_names)
    chunks = np.array_split(rows, -(-len(rows) // 100))
    made = [logits_in_order(network, chunk.transpose(0, 3, 1, 2)) for chunk in chunks]
    yield Given(f"{name}, float32", write_c(program, "0" * 64, "1.2.3"), rows, _bits(made))
    try:
        stages = plan_int16(program, seen)
    except ExportError as error:
        missing[f"{name}, int16"] = str(error)
        return
    made = [run_network(stages, chunk) for chunk in chunks]
    yield Given(f"{name}, int16", write_int16(program, stages, "0" * 64, "1.2.3"), rows, _bits(made))


def _bits(logits: list[NDArray[np.float32]]) -> NDArray[np.uint32]:
    return np.ascontiguousarray(np.concatenate(logits)).view(np.uint32)


def networks(paths: Sequence[Path], missing: Kept) -> Iterator[Given]:
    """Yield the C of bundles, or of networks that are trained here, and of one at CIFAR's size."""
    data = digits()
    test = data.test
    assert test is not None  # noqa: S101 - digits has one
    rows = np.ascontiguousarray(test.images.transpose(0, 2, 3, 1))
    rows = np.concatenate([rows, odd_images(rows.shape[1:], NOISE)])
    sources: Iterable[tuple[str, Network]] = map(bundled, paths) if paths else (train(*each) for each in TRAINED)
    for named in sources:
        yield from in_c(named, data.class_names, calibration_images(data.train), rows, missing)
    frozen = frozen_network(build_space(Component(name="abandit-general")), "bnn", IMAGE)
    coloured = (images() * 255).round().to(torch.uint8).numpy()
    size, names = (
        f"{IMAGE.size.height}x{IMAGE.size.width}x{IMAGE.channels}",
        [f"class {number}" for number in range(IMAGE.classes)],
    )
    half = AT_CIFAR_SIZE // 2
    rows = np.concatenate([coloured[:half], coloured[-half:]]).transpose(0, 2, 3, 1)
    named = f"`abandit-general`, {size}, method `bnn`, random weights", frozen
    yield from in_c(named, names, coloured[::3], rows, missing)


def write(folder: Path, code: CSource) -> None:
    """Write a network's C into a folder."""
    (folder / "network.c").write_text(code.source, encoding="utf-8")
    (folder / "network.h").write_text(code.header, encoding="utf-8")


def watched(given: Given, watcher: Watcher, build: Build) -> Row:
    """Return what came of a network under a tool."""
    count = FEW if watcher is VALGRIND and given.is_large else len(given.images)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.code)
        seen = watch(watcher, Path(folder), given.code, given.images[:count], build.flags)
    wrong = seen.said
    if not wrong and not np.array_equal(seen.logits, given.logits[:count]):
        wrong = "logits have other bits"
    return Row(given.name, watcher.name, build.name, count, wrong)


def fuzzed(given: Given, build: Build) -> Row:
    """Return what came of a network on images that libFuzzer makes."""
    count = FUZZED // FEW if given.is_large else FUZZED
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), given.code)
        wrong = fuzz(Path(folder), given.images[::10], count, build.flags)
    return Row(given.name, FUZZER.name, build.name, count, wrong)


def unseen(given: Given, watcher: Watcher) -> list[str]:
    """Return which faults that are made on purpose a tool does not see."""
    found = []
    for fault in watcher.sees:
        with tempfile.TemporaryDirectory() as name:
            folder, flags = Path(name), ("-DNN_PORTABLE",)
            write(folder, given.code)
            few = given.images[:2]
            said = (
                fuzz(folder, few, 2, flags, fault)
                if watcher is FUZZER
                else watch(watcher, folder, given.code, few, flags, fault).said
            )
        found += [] if said else [FAULTS[fault]]
    return found


def lacking(watcher: Watcher, build: Build) -> str:
    """Return why a network cannot be watched so, nothing if it can."""
    missing = build.needs - processor_flags()
    return (
        watcher.lacking or UNKNOWN.get((watcher, build.name), "") or (f"no {', '.join(sorted(missing))} here" if missing else "")
    )


def page(networks: Sequence[str], rows: Sequence[Row], blind: dict[str, list[str]], missing: Kept) -> str:
    """Return the page.

    Args:
        networks: Their names.
        rows: What came of them.
        blind: Faults made on purpose that were not seen, by tool.
        missing: Why something was not run, by tool and build.
    """
    wrong = [row for row in rows if row.wrong]
    total = sum(row.images for row in rows)
    lines = [
        "# Generated C under sanitizers",
        "",
        "`python -m benchmarks.deploy_sanitizers` (`make proof-deploy`): how many images were run while a tool watched that",
        "nothing outside of image, arena and logits is touched, nothing is read before it is written, and nothing is computed",
        "that C leaves undefined; and with all logits of the bits that the frozen network has (int16: its definition in Python's",
        f"integers). Digits: all {len(digits().test or ())} test images and {NOISE} of noise and extremes; at CIFAR's size",
        f"{AT_CIFAR_SIZE}, half of them noise. libFuzzer makes its own, whose logits nothing is compared with.",
        "Arena and logits are heaps of exactly the sizes in `network.h`; the arena begins unwritten, or full of zeros or NaN.",
        "",
        conditions(),
        "",
        *versions("gcc", "clang", "valgrind"),
        "",
        *(f"{number}. {name}" for number, name in enumerate(networks, 1)),
        "",
        f"{total:,} runs in {len(rows)} programs: "
        + (f"**{len(wrong)} programs are not clean**." if wrong else "nothing was seen, and all bits are equal."),
        "",
        f"| watched by | build | {' | '.join(map(str, range(1, len(networks) + 1)))} |",
        "|---" * (len(networks) + 2) + "|",
    ]
    cells = {(row.watcher, row.build, row.network): "**wrong**" if row.wrong else str(row.images) for row in rows}
    for tool, build in dict.fromkeys((row.watcher, row.build) for row in rows):
        lines.append(f"| {tool} | {build} | {' | '.join(cells.get((tool, build, name), '-') for name in networks)} |")
    lines += ["", "That the tools see what is wrong was tried with faults made on purpose, on one of these networks, scalar:", ""]
    for watcher in ALL:
        if watcher.name in blind:
            seen = [FAULTS[fault] for fault in watcher.sees if FAULTS[fault] not in blind[watcher.name]]
            said = f"- {watcher.name} sees {', '.join(seen) or 'nothing'}"
            lines.append(f"{said}, and **does not see {', '.join(blind[watcher.name])}**" if blind[watcher.name] else said)
    if missing:
        lines += ["", "Not run:", "", *(f"- {name}: {reason}" for name, reason in missing.items())]
    for row in wrong:
        lines += ["", f"{row.network}, {row.watcher}, {row.build}:", "", "```", row.wrong, "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Train or read, run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path, help="networks of digits; none: three are trained")
    parser.add_argument("--kept", type=Path, default=Path("deploy_sanitizers.jsonl"), help="where results are kept line by line")
    arguments = parser.parse_args()
    done = {(kept["code"], *kept["row"][1:3]): Row(*kept["row"]) for kept in read_rows(arguments.kept)}
    torch.set_num_threads(1)
    load_entries()
    missing = {f"{tool.name}, {build.name}": why for tool in ALL for build in BUILDS if (why := lacking(tool, build))}
    names, rows, blind = list[str](), list[Row](), dict[str, list[str]]()
    for given in networks(arguments.bundles, missing):
        blind = blind or {tool.name: unseen(given, tool) for tool in ALL if not tool.lacking}
        names.append(given.name)
        code = hashlib.sha256((given.code.source + given.code.header).encode()).hexdigest()
        print(given.name, flush=True)
        for tool in ALL:
            for build in BUILDS:
                if not lacking(tool, build):
                    if (key := (code, tool.name, build.name)) not in done:
                        done[key] = fuzzed(given, build) if tool is FUZZER else watched(given, tool, build)
                        add_row(arguments.kept, {"code": code, "row": done[key]})
                    rows.append(done[key])
                    print(*rows[-1][1:], flush=True)
    PAGE.write_text(page(names, rows, blind, missing), encoding="utf-8")
    print(PAGE)
    if any(row.wrong for row in rows) or any(blind.values()):
        raise SystemExit("not clean, or not seen")


if __name__ == "__main__":
    main()
