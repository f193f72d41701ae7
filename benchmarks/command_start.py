"""CPU seconds until a command has said what it knows without a service: `python -m benchmarks.command_start`.

User seconds of the whole process, as the system counts them: a busy machine makes them longer by little. Commands and a bare
interpreter are run in turn. With --against another source tree of this project is run beside this one.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.conditions import conditions

HERE = Path(__file__).resolve().parents[1]
COMMANDS: dict[str, list[str]] = {
    "python -c pass": ["-c", "pass"],
    "nas --version": ["-m", "api.cli", "--version"],
    "nas --help": ["-m", "api.cli", "--help"],
    "nas search --help": ["-m", "api.cli", "search", "--help"],
    "nas catalogue nothing": ["-m", "api.cli", "catalogue", "nothing"],
}


def user_seconds(tree: Path, words: list[str]) -> float:
    """Return what one run of Python in a source tree takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    environment = os.environ | {"PYTHONPATH": str(tree)}
    subprocess.run([sys.executable, *words], cwd=tree, env=environment, check=False, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--against", type=Path, help="another source tree")
    given = parser.parse_args()
    trees = [HERE, *([given.against.resolve()] if given.against else [])]
    taken: dict[tuple[str, Path], list[float]] = {(name, tree): [] for name in COMMANDS for tree in trees}
    for _ in range(given.runs + 1):
        for (name, tree), values in taken.items():
            values.append(user_seconds(tree, COMMANDS[name]))
    print(f"{conditions()}; user seconds, median (least to most) of {given.runs} runs in turn, after one to warm up\n")
    headings = ["command", "here", *("there" for _ in trees[1:])]
    print(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    for name in COMMANDS:
        runs = (taken[name, tree][1:] for tree in trees)
        cells = (f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" for values in runs)
        print(f"| `{name}` | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
