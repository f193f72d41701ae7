"""Seconds and peak memory of opening a dataset: the first time, when its images are decoded, and again.

    python -m benchmarks.open_dataset --dataset cifar10 --data-root DATA
    python -m benchmarks.open_dataset --dataset image-folder --set path=photos --set image_size=32 --data-root DATA

Every opening is a process of its own, with an empty cache of decoded images before the first. Memory is the largest resident set
of the process above the one it had before it opened anything; pages of mapped files that it touched count.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from api.commands.specs import read_spec
from nas_service.checking.datasets import open_dataset
from nas_service.data.dataset import DATASETS
from nas_service.settings import Settings
from nas_service.specs import Component


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="digits", help="kind of dataset")
    parser.add_argument("--set", dest="sets", action="append", default=[], help="setting of the dataset, FIELD=VALUE")
    parser.add_argument("--data-root", default="data", help="folder that datasets are read from")
    parser.add_argument("--times", type=int, default=2, help="openings")
    parser.add_argument("--home", help=argparse.SUPPRESS)
    return parser.parse_args()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _open(given: argparse.Namespace) -> None:
    """Open it here, and print the figures as JSON."""
    DATASETS.names()  # imports are not what is measured
    before, started = _peak_mb(), time.perf_counter()
    settings = Settings(home=Path(given.home), data_root=Path(given.data_root))
    dataset = open_dataset(Component(name=given.dataset, settings=read_spec(None, {}, given.sets).body), settings)
    seconds = time.perf_counter() - started
    facts = dataset.facts
    images = f"{facts.train + facts.validation + facts.test} of {facts.channels}x{facts.height}x{facts.width}"
    print(json.dumps({"seconds": seconds, "megabytes": _peak_mb() - before, "images": images}))


def main() -> None:
    """Open a dataset several times and print a table."""
    given = _parsed()
    if given.home:
        _open(given)
        return
    print("| opening | images | seconds | peak memory, MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as home:
        for number in range(given.times):
            command = [sys.executable, "-m", "benchmarks.open_dataset", *sys.argv[1:], "--home", home]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"| {number + 1} | {found['images']} | {found['seconds']:.2f} | {found['megabytes']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
