"""The search in one process: what it needs, and what it counts."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.robust_search import Figures, images_of_a_sample, report
from nas_service.recipes.recipe import EvaluationSettings

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = """
import runpy, sys
for name in ("ray", "fastapi", "starlette", "sqlalchemy", "alembic", "nicegui"):
    sys.modules[name] = None  # importing it is an ImportError now
sys.argv = ["robust_search", *sys.argv[1:]]
runpy.run_module("benchmarks.robust_search", run_name="__main__")
"""


def _search(*arguments: str) -> str:
    small = ["--space", "tiny", "--samples", "3", "--plain-samples", "1", "--device", "cpu"]
    command = [sys.executable, "-c", BLOCKED, *small, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def test_a_search_runs_without_ray_fastapi_and_sqlalchemy() -> None:
    output = _search("--evaluation", '{"max_steps": 2, "validation_images": 50}')
    assert [line.split(":")[0] for line in output.splitlines() if line.startswith("sample ")] == [f"sample {n}" for n in range(3)]
    assert "| samples | 3 |" in output
    assert "| plain samples beside them | 1 |" in output
    assert '"precision":"float32"' in output  # what the device decided is printed


@pytest.mark.slow
def test_eps_makes_the_samples_adversarial() -> None:
    output = _search("--evaluation", '{"max_steps": 2, "validation_images": 50}', "--eps", "0.1", "--plain-samples", "0")
    assert '"adversarial":{"attack":"fgsm","eps":0.1' in output
    assert "| samples | 3 |" in output


@pytest.mark.parametrize(
    ("settings", "images"),
    [
        ({}, 8 * 64),  # half of 1,149 is 574, nine batches of 64 but for two images
        ({"train_fraction": 1.0, "epochs": 2}, 2 * 17 * 64),
        ({"max_steps": 5}, 5 * 64),
        ({"batch_size": 2000}, 574),  # the only batch is not left out
    ],
)
def test_the_images_of_a_sample_are_those_that_the_trainer_trains_on(settings: dict[str, object], images: int) -> None:
    assert images_of_a_sample(EvaluationSettings.model_validate(settings), 1149) == images


def test_plain_samples_are_not_in_the_search_s_time() -> None:
    """Two samples of 1 s, one of which took 4 s plainly: 6 s on the clock, 2 s of search, 100 images a second."""
    text = report(Figures(images=100, fast_s=[1.0, 1.0], pairs=[(1.0, 4.0)], plain_s=4.0), total_s=6.0)
    assert "| search, wall | 2.0 s |" in text
    assert "| images/s, everything counted | 100 |" in text
    assert "| ratio to plain, median | 4.00 (4.00 to 4.00) |" in text
