"""Bundles: complete, verified, and able to run without this project."""

import io
import json
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_space
from nas_service.data.loader import ResidentPart
from nas_service.errors import ExportError
from nas_service.export.bundle import (
    architecture_bundle,
    candidate_bundle,
)
from nas_service.export.bundle_reading import Bundle, read_bundle, read_test_images
from nas_service.export.diagram import draw
from nas_service.export.rebuilding import network_of
from nas_service.export.runtime import count_correct
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import accuracy
from search_spaces.space import SPACES
from tests.samples import digits, random_genotype

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
    images, labels = read_test_images(bundle.files["test.safetensors"])
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


def test_a_changed_file_is_found(made: tuple[Path, dict[str, Any], float], tmp_path: Path) -> None:
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(made[0]) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content + b" " if name == "genotype.json" else content)
    with pytest.raises(ExportError, match=r"genotype\.json is not the file that the manifest describes"):
        read_bundle(changed)


@pytest.mark.parametrize("content", [b"no zip", b""])
def test_what_is_no_bundle_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ExportError, match="is not a bundle"):
        read_bundle(tmp_path / "x.zip")


def _zipped(manifest: object, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest))
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


MANIFESTS = [
    b"\xff",
    [],
    "text",
    {},
    {"format": "nas-bundle/1"},
    {"format": "nas-bundle/1", "files": 3},
    {"format": "nas-bundle/1", "files": ["one"]},
    {"format": "nas-bundle/1", "files": {"one": "digest"}},
    {"format": "nas-bundle/1", "files": {"gone": {"sha256": ""}}},
    {"files": {}},
]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=repr)
def test_a_manifest_that_is_none_is_refused(manifest: object, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(_zipped(manifest, one=b"1"))
    with pytest.raises(ExportError, match=r"x\.zip is not a bundle"):
        read_bundle(tmp_path / "x.zip")


def test_a_damaged_zip_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    """A changed byte may give a broken block (zlib.error), another method of compression, an encryption, another digest."""
    space = SPACES.get("tiny")
    cost = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
    facts = {"rank": 1, "search_id": "s", "score": 0.5, "cost": cost}
    whole = architecture_bundle(Component(name="tiny"), random_genotype(space), "<svg/>", facts)
    (tmp_path / "x.zip").write_bytes(whole)
    expected = read_bundle(tmp_path / "x.zip")
    refused = 0
    for place in range(0, len(whole), 5):
        (tmp_path / "x.zip").write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            assert read_bundle(tmp_path / "x.zip") == expected  # dates and the like may change
        except ExportError:
            refused += 1
    assert refused > len(whole) / 10


def test_a_candidate_that_cannot_be_rebuilt_is_refused_with_the_reason() -> None:
    bundle = read_bundle(io.BytesIO(_made(0)[0]))  # type: ignore[arg-type]  # zipfile takes both
    image = bundle.manifest["image"]
    manifests: list[tuple[dict[str, Any], str]] = [
        ({"image": None}, "cannot be rebuilt"),
        ({"image": {}}, "lack 'channels'"),
        ({"image": {**image, "classes": 3}}, "cannot be rebuilt: .*size mismatch"),
        ({"image": {**image, "mean": "x"}}, "cannot be rebuilt"),
        ({"method": {"name": "bn"}}, "cannot be rebuilt: unknown .*bn"),
        ({"space": {"name": "tiny", "settings": {"operations": ["skip"]}}}, "cannot be rebuilt: genotype"),
        ({"method": {}}, "cannot be rebuilt"),
    ]
    for changes, reason in manifests:
        with pytest.raises(ExportError, match=f"(?s){reason}"):
            network_of(Bundle({**bundle.manifest, **changes}, bundle.files))
    files = [
        ({"weights.safetensors": b"none"}, "cannot be rebuilt"),
        ({"weights.safetensors": save({"other": torch.zeros(1)})}, "weights.safetensors does not fit the genotype"),
        ({"genotype.json": b"\xff"}, "cannot be rebuilt"),
    ]
    for contents, reason in files:
        with pytest.raises(ExportError, match=reason):
            network_of(Bundle(bundle.manifest, {**bundle.files, **contents}))
    for lost in ("weights.safetensors", "genotype.json"):
        with pytest.raises(ExportError, match=f"lack '{lost}'"):
            network_of(Bundle(bundle.manifest, {name: content for name, content in bundle.files.items() if name != lost}))


def test_a_bundle_of_another_format_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": "nas-bundle/9", "files": {}}))
    (tmp_path / "x.zip").write_bytes(buffer.getvalue())
    with pytest.raises(ExportError, match="nas-bundle/9"):
        read_bundle(tmp_path / "x.zip")


def test_large_test_images_stay_out_and_the_card_says_how_to_give_them(tmp_path: Path) -> None:
    content, _, _ = _make(*CASES[0], limit=100)
    (tmp_path / "x.zip").write_bytes(content)
    bundle = read_bundle(tmp_path / "x.zip")
    assert "test.safetensors" not in bundle.files
    assert "--data" in bundle.files["README.md"].decode()


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
