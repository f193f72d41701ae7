"""All that a GPU can tell about this project, for whoever has one for a few minutes: `python -m benchmarks.gpu_report`.

Parts, the most valuable first: the tests that need CUDA; the supernet engine, every acceleration alone and together; a robust
search at the paper's scale; with --cifar, training of a fixed network with several methods. Each part gets its share of the
time and is ended there; the report and a JSON file beside it are written anew after every finding, so that nothing is lost if
the machine goes away. What did not fit is named. The exit status is 1 if a part failed, 2 if the request makes no sense.

Needed: torch 2.11 or newer, numpy, pydantic, pydantic-settings, pillow, safetensors, scikit-learn and pyarrow; pytest for the
tests. No Ray, no database, no service.

    python -m benchmarks.gpu_report --cifar /data/cifar10        # a folder with cifar10-train.parquet and cifar10-test.parquet
    python -m benchmarks.gpu_report --parts engine --budget-s 200
    python -m benchmarks.gpu_report --smoke                      # the same path on a CPU, in well under a minute
"""

import argparse
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.conditions import conditions, device_name, pick_device
from benchmarks.gpu_report.page import Outcome, Report, State
from benchmarks.gpu_report.parts import FULL, PARTS, Order
from benchmarks.gpu_report.runner import run_part, share_s, within
from nas_service.binarization.method import METHODS

OUT = Path(__file__).resolve().parents[1] / "results" / "gpu_report.md"
SMOKE_OUT = Path(tempfile.gettempdir()) / "gpu_report_smoke.md"
TRAINED = (
    "recu",
    "xnor-net",
    "bnn",
    "ir-net",
    FULL,
    "react-net",
    "bi-real",
    "adabin",
    "reste",
    "biper",
    "rbonn",
    "pcnn",
    "rebnn",
    "bonn",
    "mcn",
)
SMOKE_TRAINED = TRAINED[:2]
LEAST_S = 3.0  # of a part: no process starts in less
MOST_S = 86_400  # for everything: a day


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options that were given, on the command line if None.

    Raises:
        SystemExit: If they make no sense.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu_report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help=f"Markdown to write, JSON goes beside it; {OUT}, of a smoke run {SMOKE_OUT}")
    parser.add_argument("--budget-s", type=float, default=500.0, help="seconds for everything (default: 500)")
    parser.add_argument("--cifar", help="folder that holds CIFAR-10 (parquet, or as published); without it images are made up")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="only these, in the usual order")
    parser.add_argument(
        "--methods",
        nargs="+",
        help=f"to train with, the most valuable first; full-precision is one. Default: {', '.join(TRAINED)}",
    )
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each method, the first seeds first (default: 1)")
    parser.add_argument("--epochs", type=int, help="of a training, the same for all (default: as many as the time allows)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is any")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on a CPU too; the figures say nothing")
    given = parser.parse_args(arguments)
    if not 0 < given.budget_s <= MOST_S:
        parser.error(f"--budget-s: {given.budget_s} is not allowed; allowed: more than 0, at most {MOST_S}")
    for name, count in (("seeds", given.seeds), ("epochs", given.epochs)):
        if count is not None and count < 1:
            parser.error(f"--{name}: {count} is not allowed; allowed: 1 or more")
    if given.cifar is not None and not Path(given.cifar).is_dir():
        parser.error(f"--cifar: {given.cifar!r} is not allowed; allowed: a folder that is there")
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"--device: cuda is not allowed: torch {torch.__version__} sees no CUDA device")
    if pick_device(given.device).type == "cpu" and not given.smoke:
        parser.error(
            f"there is nothing to report on a CPU (torch {torch.__version__}, no CUDA device in use): run it on a GPU, or with "
            "--smoke to see that it runs"
        )
    allowed = [FULL, *(name for name in METHODS.names() if not METHODS.get(name).from_settings({}).facts.needs_teacher)]
    if unknown := [name for name in given.methods or () if name not in allowed]:
        parser.error(f"--methods: {', '.join(unknown)} cannot be trained alone here; allowed: {', '.join(allowed)}")
    return given


def _conditions(given: argparse.Namespace, device: torch.device) -> dict[str, str]:
    """Return what a reader must know of the run."""
    found = {
        "device": device_name(device),
        "torch": torch.__version__,
        "machine": conditions(),
        "began": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": shlex.join(["python", "-m", "benchmarks.gpu_report", *sys.argv[1:]]),
        "seconds for everything": f"{given.budget_s:g}",
        "images of search and training": "synthetic: noise of 3x32x32" if given.cifar is None else f"CIFAR-10 from {given.cifar}",
    }
    if device.type == "cuda":
        facts = torch.cuda.get_device_properties(device)
        found["memory of the device"] = f"{facts.total_memory / 2**30:.0f} GiB"
        found["cuDNN"] = str(torch.backends.cudnn.version())
        found["driver"] = _driver()
    return found


def _driver() -> str:
    """Return the version of the driver, as the vendor's tool says it."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "unknown: there is no nvidia-smi"
    query = [tool, "--query-gpu=driver_version,power.limit", "--format=csv,noheader"]
    answer = subprocess.run(query, check=False, capture_output=True, text=True, timeout=20)
    return (answer.stdout.strip() or answer.stderr.strip()).replace("\n", "; ")


def _left_out(name: str, given: argparse.Namespace, limit_s: float) -> str:
    """Return why a part is left out; empty: it is not."""
    if name == "training" and given.cifar is None and not given.smoke:
        return "it needs --cifar"
    return f"only {max(0.0, limit_s):.1f} s were left for it" if limit_s < LEAST_S else ""


def report(given: argparse.Namespace, out: Path) -> bool:
    """Carry out the parts that were asked for; return whether none failed."""
    until = time.monotonic() + given.budget_s
    device = pick_device(given.device)
    outcomes = [Outcome(name) for name in PARTS if name in given.parts]
    page = Report(_conditions(given, device), outcomes, given.smoke)
    methods = tuple(dict.fromkeys(given.methods or (SMOKE_TRAINED if given.smoke else TRAINED)))
    with tempfile.TemporaryDirectory() as home:
        order = Order(device.type, given.smoke, given.cifar, methods, given.seeds, given.epochs, home, until)
        waiting = [entry for entry in outcomes if not _skip(entry, given, order.left_s)]
        page.write(out)
        for number, entry in enumerate(waiting):
            limit_s = share_s(order.left_s, [PARTS[later.name].weight for later in waiting[number:]])
            if not _skip(entry, given, limit_s):
                print(f"\n== {entry.name}, at most {limit_s:.0f} s", flush=True)
                run_part(entry, within(order, limit_s), lambda: page.write(out))
            print(f"== {entry.name}: {entry.state} after {entry.seconds:.0f} s", flush=True)
            page.write(out)
    return all(entry.state is not State.FAILED for entry in outcomes)


def _skip(outcome: Outcome, given: argparse.Namespace, limit_s: float) -> bool:
    """Mark a part that is left out; return whether it is."""
    outcome.why = _left_out(outcome.name, given, limit_s)
    if outcome.why:
        outcome.state = State.LEFT_OUT
    return bool(outcome.why)


def _leave(number: int, _: object) -> None:
    """End as an exception does, so that the part in hand is ended too."""
    sys.exit(128 + number)


def main() -> None:
    """Measure, write, and say where the report is."""
    given = parsed()
    signal.signal(signal.SIGTERM, _leave)
    out = given.out or (SMOKE_OUT if given.smoke else OUT)
    good = report(given, out)
    print(f"\n{out}\n{out.with_suffix('.json')}")
    if not good:
        sys.exit("a part failed: the report says why")


if __name__ == "__main__":
    main()
