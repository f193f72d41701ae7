"""The tests that need CUDA, found by how they are skipped without it, and run without the fixtures of a service.

A test needs CUDA where a marker on it, or its module's `pytestmark`, asks `torch.cuda.is_available()`, in place or by a name
that the module gave to such a marker. pytest runs them without `conftest.py`, which starts databases, without the project's
settings, which want the newest pytest, and without plug-ins: a machine that has a GPU for a few minutes has none of that.
"""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu_report.parts import Order, Row, Tell

ROOT = Path(__file__).resolve().parents[2]
_ASKED = "cuda.is_available()"
_OUTCOME = re.compile(r"^(?P<test>\S+::.+?) (?P<outcome>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
_LAST_LINES = 60  # of pytest's output, where something failed


def cuda_tests(folder: Path) -> list[str]:
    """Return the tests under a folder that need CUDA, as pytest names them, relative to the repository or else whole."""
    found = []
    for file in sorted(folder.rglob("test_*.py")):
        text = file.read_text()
        if _ASKED in text:
            path = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file
            found += [str(path) if name is None else f"{path}::{name}" for name in _named(ast.parse(text))]
    return found


def _named(module: ast.Module) -> Iterator[str | None]:
    """Yield the names of a module's tests that need CUDA; None alone: all of them."""
    markers = {ast.unparse(node.targets[0]) for node in module.body if isinstance(node, ast.Assign) and _asks(node.value, set())}
    if "pytestmark" in markers:
        yield None
        return
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and any(_asks(entry, markers) for entry in node.decorator_list):
            yield node.name


def _asks(expression: ast.expr, markers: set[str]) -> bool:
    """Return whether an expression asks for CUDA, or is a marker that does."""
    text = ast.unparse(expression)
    return _ASKED in text or text in markers


def planned(order: Order) -> list[str]:
    """Return nothing: pytest knows how many cases a test has."""
    del order
    return []


def run(order: Order, tell: Tell) -> None:
    """Run them, telling every case.

    Raises:
        RuntimeError: If one failed, or pytest could not run them.
    """
    if importlib.util.find_spec("pytest") is None:
        raise RuntimeError("pytest is not installed: no test was run")
    tests = cuda_tests(ROOT / "tests")
    options = ["-v", "--tb=short", "--noconftest", "-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider"]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "pytest", *options, *tests]
    lines, skipped = [], 0
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run_:
        assert run_.stdout is not None  # noqa: S101 - for the type checker; it is a pipe
        for line in run_.stdout:
            lines.append(line.rstrip())
            if found := _OUTCOME.match(line):
                skipped += found["outcome"] == "SKIPPED"
                tell(Row(found["test"].removeprefix("tests/"), {"outcome": found["outcome"].lower()}))
    if run_.returncode:
        raise RuntimeError("\n".join([f"pytest ended with status {run_.returncode}", *lines[-_LAST_LINES:]]))
    if skipped and order.place.type == "cuda":
        raise RuntimeError(f"{skipped} of the tests that need CUDA were skipped on a device that has it")
