"""A data set larger than the memory that a process may take is read, and trained on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.nas_service.data.files import pictures, png

EACH = 12_000
SIZE = 64  # 2 x 12,000 images of 3 x 64 x 64 bytes: 295 MB

CHILD = """
import resource, sys
from pathlib import Path
import torch
from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_dataset, build_space
from nas_service.checking.datasets import open_dataset
from nas_service.recipes.recipe import Recipe
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from tests.samples import tiny_genotype

torch.set_num_threads(1)
settings = Settings(home=Path(sys.argv[1]))
space, method = build_space(Component(name="tiny")), METHODS.get("bnn").from_settings({})

def train(path, fraction, cached):
    folder = Component(name="image-folder", settings={"path": path, "validation_fraction": fraction, "test_fraction": fraction})
    dataset = open_dataset(folder, settings) if cached else build_dataset(folder).load(settings.data)
    plan = CandidatePlan(space, tiny_genotype(), method, Recipe(epochs=1, batch_size=8, max_steps_per_epoch=3), 0)
    (report,) = CandidateTrainer(plan, dataset, torch.device("cpu")).fit()
    print(len(dataset.train), report.train_loss > 0)

train("few", 0.3, cached=True)
lines = Path("/proc/self/status").read_text().splitlines()
taken = 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmData")))
resource.setrlimit(resource.RLIMIT_DATA, (taken + 200_000_000,) * 2)  # what a process takes for itself, mapped files left out
train("many", 0.001, cached=sys.argv[2] == "cached")
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write few pictures, and many of which most are other names of the first."""
    home = tmp_path_factory.mktemp("home")
    for path, count, label in [("few", 50, 0), ("few", 50, 1), ("many", EACH, 0), ("many", EACH, 1)]:
        folder = home / "data" / path / str(label)
        folder.mkdir(parents=True)
        for number in range(count):
            if number < 10:
                noise = pictures(1, seed=number, size=8)[0] // 8 + 100 * label
                (folder / f"{number}.png").write_bytes(png(np.kron(noise, np.ones((SIZE // 8, SIZE // 8, 1), np.uint8))))
            else:
                os.link(folder / f"{number % 10}.png", folder / f"{number}.png")
    return home


def _child(home: Path, way: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, str(home), way]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_data_set_larger_than_memory_trains(home: Path) -> None:
    ended = _child(home, "cached")
    assert ended.stdout.split() == ["49", "True", "23952", "True"], ended.stderr[-2000:]


@pytest.mark.slow
def test_the_limit_would_not_have_held_it(home: Path) -> None:
    ended = _child(home, "in memory")
    assert ended.returncode == 1
    assert "Unable to allocate 281. MiB" in ended.stderr
