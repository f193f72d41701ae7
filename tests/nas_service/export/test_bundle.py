"""Bundles: complete, verified, and able to run without this project."""

import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_space
from nas_service.data.loader import ResidentPart
from nas_service.data.part import Part
from nas_service.errors import ExportError
from nas_service.export.bundle import architecture_bundle, bundled_images, candidate_bundle
from nas_service.export.bundle_reading import read_bundle, read_test_images
from nas_service.export.diagram import draw
from nas_service.export.rebuilding import network_of
from nas_service.export.runtime import count_correct
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from search_spaces.space import SPACES
from tests.reports import epoch_report
from tests.samples import digits, random_genotype, tiny_genotype

CASES = [("bnn", {}, "shortcut"), ("xnor-net", {}, "shortcut"), ("xnor-net", {"input_scale": "kmap"}, "plain")]


def _make(name: str, settings: dict[str, Any], template: str, limit: int = 10**6) -> tuple[bytes, dict[str, Any], float]:
    space_component = Component(name="tiny", settings={"template": template})
    space = build_space(space_component)
    genotype, method, dataset = random_genotype(space, 3), METHODS.get(name).from_settings(settings), digits()
    recipe = Recipe(epochs=2)
    trainer = CandidateTrainer(CandidatePlan(space, genotype, method, recipe, seed=0), dataset, torch.device("cpu"))
    reports = list(trainer.fit())
    task = CandidateTask(
        candidate_id="some-id",
        space=space_component,
        genotype=genotype,
        method=Component(name=name, settings=settings),
        dataset=Component(name="digits"),
        seed=0,
        recipe=recipe,
        bundled_test_bytes=limit,
    )
    assert dataset.test is not None
    live = accuracy(trainer.network, ResidentPart.of(dataset.test, torch.device("cpu")))
    content, metrics, _ = candidate_bundle(trainer.network, method, dataset, task, reports[-1])
    return content, metrics.model_dump(), live


@cache
def _made(case: int) -> tuple[bytes, dict[str, Any], float]:
    """Return what `_make` makes of a case: trained once for all tests that only read it."""
    return _make(*CASES[case])


@pytest.fixture(params=range(len(CASES)), ids=["bnn", "xnor-net", "xnor-net-kmap-plain"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, dict[str, Any], float]:
    """Return a bundle's path, the metrics that were returned with it, and the trained network's test accuracy."""
    content, metrics, live = _made(request.param)
    path = tmp_path / "bundle.zip"
    path.write_bytes(content)
    return path, metrics, live


def test_the_manifest_states_the_trained_network_s_accuracy_to_the_last_digit(made: tuple[Path, dict[str, Any], float]) -> None:
    path, metrics, live = made
    manifest = read_bundle(path).manifest
    assert manifest["metrics"]["test_accuracy"] == metrics["test_accuracy"] == live


def test_the_network_rebuilt_from_genotype_and_weights_reaches_it(made: tuple[Path, dict[str, Any], float]) -> None:
    path, metrics, _ = made
    bundle = read_bundle(path)
    images, labels = read_test_images(bundle.files["test.safetensors"], bundle.candidate.image)
    assert count_correct(network_of(bundle), images, labels) == metrics["test_correct"]


def test_the_script_reaches_it_in_an_interpreter_without_this_project(
    made: tuple[Path, dict[str, Any], float], tmp_path: Path
) -> None:
    """Isolated mode: no environment, no user site, and a folder that is not the project's."""
    path, metrics, _ = made
    folder = tmp_path / "unpacked"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    forbidden = "import sys; sys.modules.update(dict.fromkeys(['nas_service', 'search_spaces', 'safetensors', 'numpy.testing']))"
    script = f"{forbidden}; import runpy; sys.argv = ['model.py']; runpy.run_path('model.py', run_name='__main__')"
    output = subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert output.strip() == f"accuracy: {metrics['test_accuracy']!r} ({metrics['test_correct']} of 359)"


def test_files_and_digests_are_listed(made: tuple[Path, dict[str, Any], float]) -> None:
    bundle = read_bundle(made[0])
    assert set(bundle.files) == {"genotype.json", "weights.safetensors", "model.py", "test.safetensors", "README.md"}
    assert bundle.manifest["versions"]["torch"].startswith("2.")
    assert bundle.manifest["candidate_id"] == "some-id"
    card = bundle.files["README.md"].decode()
    assert f"{bundle.manifest['metrics']['test_accuracy']:.4f}" in card
    assert "python model.py" in card
    assert "Needs Python 3.9 and torch 2.3 or newer" in card
    assert "nas evaluate BUNDLE.zip" in card
    assert "runs whatever code is in it" in card


def test_large_test_images_stay_out_and_the_card_says_how_to_give_them(tmp_path: Path) -> None:
    content, _, _ = _make(*CASES[0], limit=100)
    (tmp_path / "x.zip").write_bytes(content)
    bundle = read_bundle(tmp_path / "x.zip")
    assert "test.safetensors" not in bundle.files
    assert "--data" in bundle.files["README.md"].decode()


@pytest.mark.parametrize(("count", "most", "names"), [(9, 10**9, {"test.safetensors"}), (9, 100, set()), (400, 10**9, set())])
def test_test_images_that_would_not_be_read_back_stay_out_whatever_is_asked_for(count: int, most: int, names: set[str]) -> None:
    """400 pictures of 512x512 pixels are 300 MiB."""
    rows = np.zeros(count, np.int64)
    assert bundled_images(Part(np.zeros((1, 3, 512, 512), np.uint8), rows, rows), most).keys() == names


@pytest.mark.parametrize(
    ("channels", "reason"), [(16, "does not fit the genotype"), (512, "parameters; allowed: up to 134217728")]
)
def test_a_network_that_would_not_be_rebuilt_is_not_written(channels: int, reason: str) -> None:
    """The task tells of a larger network than the one that is given: its weights do not account for that, or none may."""
    method, dataset, space = METHODS.get("bnn").from_settings({}), digits(), SPACES.get("tiny")
    network = binary_network(space, tiny_genotype(), method, dataset.image_format)
    larger = Component(name="abandit", settings={"channels": channels})
    genotype = random_genotype(build_space(larger))
    parts = (larger, genotype, Component(name="bnn"), Component(name="digits"))
    task = CandidateTask("", *parts, Recipe(), seed=0, bundled_test_bytes=0)
    with pytest.raises(ExportError, match=reason):
        candidate_bundle(network, method, dataset, task, epoch_report())


@pytest.mark.parametrize(("score", "reason"), [(float("nan"), "NaN, which is not JSON"), (10**20, "which is too large")])
def test_a_manifest_that_would_not_be_read_back_is_not_written(score: float, reason: str) -> None:
    cost = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
    facts = {"rank": 1, "search_id": "s", "score": score, "cost": cost}
    with pytest.raises(ExportError, match=rf"^manifest\.json holds .*{reason}$"):
        architecture_bundle(Component(name="tiny"), tiny_genotype(), "<svg/>", facts)


def test_the_same_training_makes_the_same_bundle() -> None:
    assert _make(*CASES[0])[0] == _made(0)[0]


def test_an_architecture_s_bundle_has_no_weights_and_cannot_be_evaluated(tmp_path: Path) -> None:
    space = SPACES.get("tiny")
    genotype = random_genotype(space)
    cost = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
    facts = {"rank": 1, "search_id": "s", "score": 0.5, "cost": cost}
    content = architecture_bundle(Component(name="tiny"), genotype, draw(space, genotype), facts)
    (tmp_path / "a.zip").write_bytes(content)
    bundle = read_bundle(tmp_path / "a.zip")
    assert set(bundle.files) == {"genotype.json", "diagram.svg", "README.md"}
    with pytest.raises(ExportError, match="was not trained"):
        network_of(bundle)
