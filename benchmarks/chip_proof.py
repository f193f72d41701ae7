"""What a bundle's C takes on a Cortex-M4, and that it computes the same there.

    nas dataset export cifar10 test.safetensors
    python -m benchmarks.chip_proof BUNDLE.zip --data test.safetensors

The bundle's own `c/network.c` is compiled for the chip, and QEMU runs it on the first test images: flash, RAM, largest frame,
instructions, and images whose logits have the bits that they have here (`packed.py`). QEMU counts instructions, it has no clock
of a real chip. The accuracy is the one of the bundle's manifest. Needs arm-none-eabi-gcc and qemu-system-arm (Debian:
gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm).
"""

import argparse
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from benchmarks.conditions import conditions
from nas_service.deploy.c_source import CSource
from nas_service.deploy.packed_network import Network
from tests.nas_service.deploy.c_builds import Images
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, M7, Chip, Footprint, footprint, lacking, run_on_chip

LEVELS = ("-Os", "-O2", "-O3")
KIB = 1024


def _unpacked(bundle: Path, folder: Path) -> dict[str, Any]:
    """Unpack a bundle and return its manifest."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if not manifest.get("c", {}).get("written"):
        raise SystemExit(f"{bundle}: no C in it: {manifest.get('c', {}).get('reason', 'no reason is given')}")
    return manifest


def _images(path: Path, count: int) -> Images:
    """Return the first images of a file of `nas dataset export`, (N, H, W, C) of bytes."""
    pixels = load_file(path)["images"][:count]
    given = pixels if pixels.dtype == np.uint8 else np.rint(pixels * 255).astype(np.uint8)
    return np.ascontiguousarray(given.transpose(0, 2, 3, 1))


def _equal(folder: Path, chip: Chip, images: Images) -> Iterator[tuple[str, float, int]]:
    """Yield, by flag, the instructions of an image and how many images have the bits of this machine."""
    here = np.ascontiguousarray(Network(folder)(images.transpose(0, 3, 1, 2)), np.float32).view(np.uint32)
    for level in LEVELS:
        ran = run_on_chip(chip, folder / "c", images, level)
        yield level, float(ran.instructions.mean()), int((ran.logits == here).all(axis=1).sum())


def _size(manifest: dict[str, Any], folder: Path) -> Footprint:
    source, header = ((folder / "c" / name).read_text(encoding="utf-8") for name in ("network.c", "network.h"))
    facts = [manifest["c"][name] for name in ("arena_bytes", "constant_bytes", "checksum")]
    return footprint(M4, folder / "c", CSource(source, header, *facts))


def _accuracy(metrics: dict[str, Any]) -> tuple[float, int]:
    return metrics["test_accuracy"], metrics["test_images"]


def _lines(manifest: dict[str, Any], folder: Path, images: Images) -> Iterator[str]:
    size, cost, recipe = _size(manifest, folder), manifest["cost"], manifest["recipe"]
    tested = manifest["c"].get("accuracy", {}).get("test")  # of numbers that are not the bundle's
    accuracy, count = (tested["compiled"], tested["images"]) if tested else _accuracy(manifest["metrics"])
    space = manifest["space"]
    settings = ", ".join(f"{name} {value}" for name, value in space["settings"].items() if name != "operations")
    yield f"`{space['name']}` ({settings}), method `{manifest['method']['name']}`: {cost['bops'] / 1e6:.1f} M binary and"
    yield f"{cost['flops'] / 1e6:.2f} M real multiply-adds, {manifest['c'].get('activations', 'float32')} between layers. Test"
    yield f"accuracy {100 * accuracy:.2f} % ({count:,} images), after {recipe['epochs']} epochs. {conditions()}"
    yield ""
    yield f"Flash {size.flash:,} bytes ({size.flash / KIB:.1f} KiB), of which code {size.code:,}. RAM {size.ram:,} bytes"
    yield f"({size.ram / KIB:.1f} KiB) and a stack, whose largest frame is {size.stack}. Imports: {', '.join(size.imports)}."
    yield ""
    yield "| chip | flag | million instructions an image | images | the same bits as here |"
    yield "|---|---|---|---|---|"
    for chip in (M4, M7):
        for level, count, equal in _equal(folder, chip, images):
            yield f"| {chip.name} | {level} | {count / 1e6:.2f} | {len(images)} | {equal} |"


def main() -> None:
    """Measure a bundle and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="A candidate's bundle, with C in it.")
    parser.add_argument("--data", type=Path, required=True, help="Test images, as `nas dataset export` writes them.")
    parser.add_argument("--images", type=int, default=100, help="How many of them run on the chips.")
    given = parser.parse_args()
    if reason := lacking(ARM_GCC, ARM_QEMU):
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as name:
        manifest = _unpacked(given.bundle, Path(name))
        for line in _lines(manifest, Path(name), _images(given.data, given.images)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
