"""The same bits everywhere: trained networks' logits of all test images of digits, by every compiler and processor there is.

    python -m benchmarks.deploy_bits                 # trains three networks for three epochs each, and runs them
    python -m benchmarks.deploy_bits BUNDLE.zip ...  # runs networks of digits that were downloaded instead

Each network's C is compiled by gcc and clang for this machine, without vectors and with each kind there is, for 64-bit Arm, and
for Cortex-M4 and -M7, at -Os, -O2 and -O3 each. Every logit of every test image is compared, as 32 bits, with what the frozen
network in torch computes (its last two sums taken in the order in which C takes them). A tool or an instruction that is not
here is named and left out. Writes benchmarks/results/deploy_bits.md.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.conditions import conditions
from nas_service.catalogue import build_method, build_recipe, build_space, load_entries
from nas_service.deploy.c_source import CSource
from nas_service.deploy.selftest import logits_in_order
from nas_service.deploy.tracing import trace_network
from nas_service.export.bundle_reading import read_bundle
from nas_service.export.packed import freeze_network
from nas_service.export.rebuilding import network_of
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component, MethodChoice
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.network import Network
from tests.nas_service.deploy.c_builds import AVX2, AVX512, AVX512_FLAGS, SSE2, Build, Images, run_build, write_source
from tests.nas_service.deploy.chips import (
    AARCH64_GCC,
    AARCH64_QEMU,
    ARM_GCC,
    ARM_QEMU,
    M4,
    M7,
    Chip,
    lacking,
    run_on_aarch64,
    run_on_chip,
)
from tests.samples import digits, random_genotype

PAGE = Path(__file__).parent / "results" / "deploy_bits.md"
LEVELS = ("-Os", "-O2", "-O3")
EPOCHS = 3
TRAINED = (("abandit-general", "bnn", "shortcut"), ("abandit-mini", "react-net", "plain"), ("cp-nas", "adabin", "double-norm"))
KINDS: tuple[tuple[str, tuple[str, ...], frozenset[str]], ...] = (
    ("scalar", ("-DNN_PORTABLE",), frozenset()),
    ("SSE2", (), SSE2),
    ("AVX2", ("-mavx2", "-mpopcnt", "-mfma"), AVX2 | {"fma"}),
    ("AVX-512 VPOPCNT", AVX512_FLAGS, AVX512 | {"fma"}),
)
Bits = NDArray[np.uint32]


class Given(NamedTuple):
    """A network, and what it should compute.

    Attributes:
        name: For people.
        network: Frozen.
        accuracy: Of the frozen network in torch, of the test images.
        expected: Logits as bits, (N, classes).
    """

    name: str
    network: Network
    accuracy: float
    expected: Bits


class Platform(NamedTuple):
    """Where a network's C is run.

    Attributes:
        name: For people.
        level: How much the compiler optimises.
        reason: Why it is left out; nothing: it is not.
        run: The logits of images (N, H, W, C) as bits, of the C in a folder.
    """

    name: str
    level: str
    reason: str
    run: Callable[[Path, CSource, Images], Bits]


def train(space_name: str, method_name: str, template: str) -> tuple[str, Network]:
    """Return a name and a frozen network that was trained on digits."""
    component = Component(name=space_name, settings={"template": template})
    space, method = build_space(component), build_method(Component(name=method_name))
    recipe = build_recipe(Recipe(epochs=EPOCHS), MethodChoice(name=method_name))
    plan = CandidatePlan(space, random_genotype(space, 1), method, recipe, seed=0)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    for _ in trainer.fit():
        pass
    name = f"`{space_name}`, template `{template}`, method `{method_name}`, {EPOCHS} epochs"
    return name, freeze_network(trainer.network.eval(), method)


def bundled(path: Path) -> tuple[str, Network]:
    """Return a name and the frozen network of a bundle."""
    bundle = read_bundle(path)
    stated = bundle.candidate
    if stated.dataset.name != "digits":
        raise SystemExit(f"{path}: a network of {stated.dataset.name}; allowed: of digits")
    return f"`{path.name}`: `{stated.space.name}`, method `{stated.method.name}`", network_of(bundle)


def given(name: str, network: Network) -> Given:
    """Return a network with its logits of all test images."""
    test = digits().test
    assert test is not None  # noqa: S101 - digits has one
    logits = np.concatenate([logits_in_order(network, chunk) for chunk in np.array_split(test.images, 4)])
    accuracy = float((logits.argmax(1) == test.labels).mean())
    return Given(name, network, accuracy, np.ascontiguousarray(logits).view(np.uint32))


def platforms() -> Iterator[Platform]:
    """Yield everything that is known, here or not."""
    for compiler in ("gcc", "clang"):
        for kind, flags, needs in KINDS:
            for level in LEVELS:
                build = Build(compiler, (level, *flags), needs)
                yield Platform(f"x86-64, {compiler}, {kind}", level, build.lacking, _on_this_machine(build))
    for kind, flags in (("NEON", ()), ("scalar", ("-DNN_PORTABLE",))):
        for level in LEVELS:
            name = f"64-bit Arm under QEMU, {AARCH64_GCC}, {kind}"
            yield Platform(name, level, lacking(AARCH64_GCC, AARCH64_QEMU), _on_aarch64(level, *flags))
    for chip in (M4, M7):
        for level in LEVELS:
            name = f"{chip.name} under QEMU, {ARM_GCC}"
            yield Platform(name, level, lacking(ARM_GCC, ARM_QEMU), _on_chip(chip, level))


def _on_this_machine(build: Build) -> Callable[[Path, CSource, Images], Bits]:
    return lambda folder, code, images: run_build(build, folder, code, images)


def _on_aarch64(*flags: str) -> Callable[[Path, CSource, Images], Bits]:
    return lambda folder, _, images: run_on_aarch64(folder, images, *flags)


def _on_chip(chip: Chip, level: str) -> Callable[[Path, CSource, Images], Bits]:
    return lambda folder, _, images: run_on_chip(chip, folder, images, level).logits


def equal_images(network: Given, platform: Platform) -> int:
    """Return of how many test images all logits have the bits that they should."""
    test = digits().test
    assert test is not None  # noqa: S101 - digits has one
    with tempfile.TemporaryDirectory() as folder:
        code = write_source(Path(folder), trace_network(network.network, digits().class_names))
        levels = np.ascontiguousarray(test.images.transpose(0, 2, 3, 1))
        bits = platform.run(Path(folder), code, levels)
    return int((bits == network.expected).all(1).sum())


def page(networks: list[Given], found: dict[tuple[str, str], list[int]], missing: dict[str, str]) -> str:
    """Return the page; `found`: images that are equal, of each network, by name and level."""
    total = len(networks[0].expected)
    wrong = sum(count != total for counts in found.values() for count in counts)
    lines = [
        "# The same bits on every build",
        "",
        f"`python -m benchmarks.deploy_bits` (`make proof-deploy`): of how many of the {total} test images all ten",
        "logits have the 32 bits each that the frozen network in torch gives, whose mean and classifier are summed in C's order.",
        "",
        conditions(),
        "",
        *versions("gcc", "clang", AARCH64_GCC, AARCH64_QEMU, ARM_GCC, ARM_QEMU),
        "",
        *(f"{number}. {network.name}: {network.accuracy:.3f} right" for number, network in enumerate(networks, 1)),
        "",
        f"{len(found)} builds of {len(networks)} networks: "
        + (
            f"all bits of all images are equal in all of them, {len(found) * len(networks) * total:,} images."
            if not wrong
            else ""
        )
        + (f"**{wrong} differ**." if wrong else ""),
        "",
        f"| build | {' | '.join(LEVELS)} |",
        "|---" * (len(LEVELS) + 1) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = [", ".join(map(str, found[name, level])) for level in LEVELS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if missing:
        lines += ["", "Not run:", "", *(f"- {name}: {reason}" for name, reason in missing.items())]
    return "\n".join(lines) + "\n"


def versions(*tools: str) -> Iterator[str]:
    """Yield a line of a list for each of some programs that are here."""
    for tool in tools:
        if not lacking(tool):
            said = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout
            yield f"- {said.splitlines()[0]}"


def main() -> None:
    """Train or read, run, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="*", type=Path, help="networks of digits; none: three are trained")
    paths: list[Path] = parser.parse_args().bundles
    torch.set_num_threads(1)
    load_entries()
    sources: Iterable[tuple[str, Network]] = map(bundled, paths) if paths else (train(*each) for each in TRAINED)
    networks = []
    for source in sources:
        networks.append(given(*source))
        print(networks[-1].name, f"{networks[-1].accuracy:.3f}", flush=True)
    found, missing = {}, {}
    for platform in platforms():
        if platform.reason:
            missing[platform.name] = platform.reason
            continue
        counts = [equal_images(network, platform) for network in networks]
        found[platform.name, platform.level] = counts
        print(platform.name, platform.level, *counts, flush=True)
    PAGE.write_text(page(networks, found, missing), encoding="utf-8")
    print(PAGE)
    if any(count != len(networks[0].expected) for counts in found.values() for count in counts):
        raise SystemExit("bits differ")


if __name__ == "__main__":
    main()
