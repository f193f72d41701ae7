"""Networks at CIFAR's size as C and as ONNX beside the frozen network, 300 images each: `python -m benchmarks.deploy_cifar`.

Random weights and architecture, norms whose factors fall as well as rise, PReLUs too; half of the images are noise, half of
them are smooth. C is compiled three times, for any machine and for this one with AVX2 and with all that it has, whose bits have
to be equal. What was done is kept line by line, so that a run that was cut off goes on. Needs onnxruntime. Writes
benchmarks/results/deploy_cifar.md.
"""

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.conditions import conditions
from benchmarks.deploy_speed import session
from benchmarks.kept import Row, add_row, read_rows
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.onnx_file import Origin, write_onnx
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.tracing import trace_network
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat, Network
from tests.nas_service.deploy.c_builds import AVX2, REFERENCE, Build, run_build, write_source
from tests.nas_service.deploy.given import frozen_network, random_pixels

PAGE = Path(__file__).parent / "results" / "deploy_cifar.md"
IMAGE = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.49, 0.48, 0.45), std=(0.25, 0.24, 0.26))
IMAGES = 300
TOLERANCE = 1e-5  # of the largest logit, or of 1: sums of float32 behind the last sign are rounded in another order
BUILDS = (REFERENCE, Build("gcc", ("-O2", "-mavx2", "-mpopcnt"), AVX2), Build("gcc", ("-O2", "-march=native")))


class Case(NamedTuple):
    """What is tried; no template: the space's own."""

    space: str
    method: str
    template: str = ""

    def __str__(self) -> str:
        """Return it for people."""
        return f"`{self.space}`{f', template `{self.template}`' if self.template else ''}, `{self.method}`"


CASES = (
    Case("abandit-general", "bnn"),
    Case("abandit-general", "react-net", "plain"),
    Case("abandit-general", "adabin"),
    Case("abandit", "rbcn"),
    Case("cp-nas", "pcnn"),
    Case("resnet-20", "xnor-net"),
    Case("nas-bnn", "reste"),
)


def images() -> Tensor:
    """Return pixels (N, C, H, W): noise, and what a coarse map of noise looks like when it is enlarged."""
    noise = random_pixels(IMAGE, IMAGES // 2)
    coarse = torch.rand(IMAGES - len(noise), 3, 5, 5, generator=torch.Generator().manual_seed(0))
    smooth = functional.interpolate(coarse, size=(32, 32), mode="bilinear", align_corners=True)
    return torch.cat([noise, smooth.mul(255).round().div(255)])


def try_case(case: Case, folder: Path) -> Row:
    """Return how a network's C and ONNX compare with the frozen network, which is run in torch."""
    space = build_space(Component(name=case.space, settings={"template": case.template} if case.template else {}))
    frozen = frozen_network(space, case.method, IMAGE)
    pixels = images()
    expected = _in_torch(frozen, pixels).numpy()
    program = trace_network(frozen, [f"class {number}" for number in range(IMAGE.classes)])
    code = write_source(folder, program)
    levels = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    builds = {str(build): run_build(build, folder, code, levels) for build in BUILDS if not build.lacking}
    first = next(iter(builds.values()))
    run = session(write_onnx(program, Origin("", "")))
    in_onnx = np.concatenate([_logits(run, batch) for batch in pixels.split(50)])
    in_c = first.view(np.float32)
    return {
        "builds": len(builds),
        "unlike": [name for name, bits in builds.items() if not np.array_equal(bits, first)],
        "classes": len(set(expected.argmax(1).tolist())),
        "c": _compared(in_c, expected),
        "onnx": _compared(in_onnx, expected),
    }


@torch.no_grad()
def _in_torch(frozen: Network, pixels: Tensor) -> Tensor:
    return torch.cat([frozen(batch) for batch in pixels.split(50)])


def _logits(run: onnxruntime.InferenceSession, pixels: Tensor) -> Floats:
    return np.asarray(run.run(None, {"pixels": pixels.numpy()})[0], np.float32)


def _compared(logits: Floats, expected: Floats) -> Row:
    difference: NDArray[np.float32] = np.abs(logits - expected).max(1) / np.maximum(np.abs(expected).max(1), 1)
    equal = int((logits.argmax(1) == expected.argmax(1)).sum())
    return {"equal": equal, "above": int((difference > TOLERANCE).sum()), "worst": float(difference.max())}


def page(rows: dict[Case, Row]) -> str:
    """Return the page."""
    found = [row[form] for row in rows.values() for form in ("c", "onnx")]
    equal, above = (sum(each[what] for each in found) for what in ("equal", "above"))
    unlike = sum(len(row["unlike"]) for row in rows.values())
    lines = [
        "# Networks at CIFAR's size, as C and as ONNX",
        "",
        f"`python -m benchmarks.deploy_cifar`: {IMAGES} images of 32x32x3, half of them noise and half smooth, through networks",
        "of random weights and architecture, and how far the logits are from those of the frozen network in torch, relative to",
        f"an image's largest logit (at least 1); above: images off by more than {TOLERANCE:.0e}.",
        "",
        conditions(),
        "",
        f"gcc, ONNX Runtime {onnxruntime.__version__}. Builds of C whose bits are compared:",
        ", ".join(f"`{build}`" for build in BUILDS if not build.lacking) + ".",
        "",
        f"{len(rows)} networks, each in C and in ONNX: {equal:,} of {IMAGES * len(found):,} classes are equal; {above} images",
        f"are above; the worst is {max(each['worst'] for each in found):.1e}. Builds of C that differ from the first: {unlike}.",
        "",
        "| network | classes there are | C: equal, above, worst | builds of the same bits | ONNX: equal, above, worst |",
        "|---|---|---|---|---|",
    ]
    for case, row in rows.items():
        same = f"{row['builds'] - len(row['unlike'])} of {row['builds']}"
        lines.append(f"| {case} | {row['classes']} | {_cell(row['c'])} | {same} | {_cell(row['onnx'])} |")
    note = "A network of random weights takes most images for one class: there the logits are the evidence, and not the class."
    return "\n".join([*lines, "", note]) + "\n"


def _cell(row: Row) -> str:
    return f"{row['equal']}, {row['above']}, {row['worst']:.1e}"


def main() -> None:
    """Try what is not kept yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, default=Path("deploy_cifar.jsonl"), help="where results are kept line by line")
    kept = parser.parse_args().kept
    torch.set_num_threads(1)
    load_entries()
    done = {Case(*row["case"]): row for row in read_rows(kept)}
    for case in CASES:
        if case not in done:
            with tempfile.TemporaryDirectory() as folder:
                done[case] = {"case": case, **try_case(case, Path(folder))}
            add_row(kept, done[case])
            print(case, done[case], flush=True)
    PAGE.write_text(page({case: done[case] for case in CASES}), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
