"""Bundles: complete, verified, and able to run without this project."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_space
from nas_service.data.loader import ResidentPart
from nas_service.data.part import Part
from nas_service.deploy.verifying import NO_COMPILER
from nas_service.errors import ExportError
from nas_service.export.bundle import architecture_bundle, bundled_images, candidate_bundle
from nas_service.export.bundle_archive import C_CARD, C_FILES, C_HEADER, C_SELFTEST, ONNX, QONNX
from nas_service.export.bundle_reading import Bundle, read_bundle, read_test_images
from nas_service.export.diagram import draw
from nas_service.export.formats import DOWNLOADS, DownloadFormat, take
from nas_service.export.rebuilding import network_of
from nas_service.export.rewriting import Rewritten, classify_in_c
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
    hub = {"config.json", "preprocessor_config.json", "README.md", "README-c.md"}
    assert set(bundle.files) == {
        "genotype.json",
        "weights.safetensors",
        "model.py",
        "test.safetensors",
        ONNX,
        QONNX,
        *hub,
        *C_FILES,
    }
    assert bundle.manifest["versions"]["torch"].startswith("2.")
    assert bundle.manifest["candidate_id"] == "some-id"
    card = bundle.files["README.md"].decode()
    assert f"{bundle.manifest['metrics']['test_accuracy']:.4f}" in card
    assert "python model.py" in card
    assert "Needs Python 3.9 and torch 2.3 or newer" in card
    assert "nas evaluate BUNDLE.zip" in card
    assert "runs whatever code is in it" in card


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_its_c_was_run_on_every_validation_and_test_image(made: tuple[Path, dict[str, Any], float]) -> None:
    bundle = read_bundle(made[0])
    known = bundle.manifest["c"]
    assert (known["written"], known["verified"], known["images"]) == (True, True, 360 + 359)
    assert "**Verified when it was made** on 719 of 719 validation and test images" in bundle.files["README.md"].decode()
    assert f"{known['arena_bytes']:,} bytes (`NN_ARENA_BYTES`" in bundle.files["README.md"].decode()
    assert sha256(bundle.files["weights.safetensors"]).hexdigest() in bundle.files["c/network.h"].decode()
    assert (bundle.manifest["onnx"]["verified"], bundle.manifest["onnx"]["images"]) == (True, 360 + 359)


def test_c_of_another_version_of_this_service_is_as_written(made: tuple[Path, dict[str, Any], float]) -> None:
    bundle = read_bundle(made[0])
    network = network_of(bundle)
    whole = {"c": "as written", "onnx": "as written", "qonnx": "as written"}
    assert Rewritten(bundle, network).states == whole
    own = f'#define NN_VERSION "{bundle.manifest["versions"]["nas-service"]}"'.encode()
    assert own in bundle.files[C_HEADER]
    bundle.files[C_HEADER] = bundle.files[C_HEADER].replace(own, b'#define NN_VERSION "0.0.1"')
    assert Rewritten(bundle, network).states == whole
    bundle.files[C_HEADER] += b"\n"
    bundle.files.pop(ONNX)
    written = Rewritten(bundle, network)
    assert written.states == {**whole, "c": "differs", "onnx": "not there"}
    assert written.differing == {"c": (C_HEADER,), "onnx": (), "qonnx": ()}


def test_every_file_that_is_changed_or_missing_is_named() -> None:
    bundle = _bundle_of(_made(0)[0])
    network, compared = network_of(bundle), C_FILES
    changed = {name: content + b"\n" for name, content in bundle.files.items() if name in {*C_FILES, ONNX, QONNX}}
    written = Rewritten(Bundle(bundle.manifest, {**bundle.files, **changed}), network)
    assert written.differing == {"c": tuple(compared), "onnx": (ONNX,), "qonnx": (QONNX,)}
    few = {name: content for name, content in bundle.files.items() if name not in compared[1:]}
    assert Rewritten(Bundle(bundle.manifest, few), network).differing == {"c": tuple(compared[1:]), "onnx": (), "qonnx": ()}


_CHANGES = [
    (rb"(nn_expected\[NN_TESTED\]\[NN_CLASSES\] = [^0]*0x)[0-9a-f]", rb"\g<1>7"),  # what an image's first logit should be
    (rb"(nn_images\[NN_TESTED\]\[NN_IMAGE_BYTES\] = \{\n  \{)0, 0", rb"\g<1>9, 9"),  # an image
    (rb"bits != nn_expected\[image\]\[output\]", b"0"),  # what is compared
    (rb"Images: test images (.*)\. \*/", rb"Images: test images \1. */ static int spare; /* test images. */"),
    (rb"return image \+ 1", b"return 0"),
    (rb"(?s).+", b"int nn_selftest(void *arena) { return arena == 0; }\n"),
    (rb"(?s).+", b"\xff"),
]


@pytest.mark.parametrize(("pattern", "instead"), _CHANGES)
def test_a_self_test_that_tests_something_else_differs(pattern: bytes, instead: bytes) -> None:
    """Nothing of it but numbers and what its images are is in what is compiled here."""
    bundle = _bundle_of(_made(0)[0])
    changed = re.sub(pattern, instead, bundle.files[C_SELFTEST], count=1)
    written = Rewritten(Bundle(bundle.manifest, {**bundle.files, C_SELFTEST: changed}), network_of(bundle))
    assert written.differing == {"c": (C_SELFTEST,), "onnx": (), "qonnx": ()}
    own = written.files(DownloadFormat.C).get(C_SELFTEST)
    assert own in {bundle.files[C_SELFTEST], None} or b"{9, 9," in own


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_what_fails_its_self_test_classifies_nothing() -> None:
    bundle = _bundle_of(_made(0)[0])
    pattern, instead = _CHANGES[0]
    changed = {**bundle.files, C_SELFTEST: re.sub(pattern, instead, bundle.files[C_SELFTEST], count=1)}
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    assert classify_in_c(bundle.files, images).shape == (2,)
    with pytest.raises(ExportError, match="the self-test of the network's C returns 1 here"):
        classify_in_c(changed, images)


def _bundle_of(content: bytes) -> Bundle:
    with tempfile.NamedTemporaryFile(suffix=".zip") as file:
        file.write(content)
        file.flush()
        return read_bundle(Path(file.name))


FILES = re.compile(r"[\w./-]+\.(?:py|c|h|so|a|o|zip|json|onnx|safetensors|md)\b")


def test_the_card_of_a_download_speaks_of_no_file_that_is_not_in_it() -> None:
    """Of those that it makes, or that the user has, beside."""
    content = _made(0)[0]
    downloads = {name: DOWNLOADS[name].packed for name in DownloadFormat}
    assert [name for name, is_packed in downloads.items() if is_packed] == [DownloadFormat.C]
    for name in (DownloadFormat.BUNDLE, DownloadFormat.C):
        with zipfile.ZipFile(io.BytesIO(take(name, content))) as archive:
            there, card = set(archive.namelist()), archive.read("README.md").decode()
        named = set(FILES.findall(card.split("---\n", 2)[2]))
        assert {each for each in named if each not in there and f"c/{each}" not in there} <= {
            *("BUNDLE.zip", "FILE.safetensors", "c/libnetwork.so", "libnetwork.a"),
        }
        assert {"c/network.c", "packed.py"} <= named


def test_a_card_says_what_a_picture_has_to_be(made: tuple[Path, dict[str, Any], float]) -> None:
    """Size, channels, levels, mean and polarity: in the bundle's card and in that of the C; and the recipe as a table."""
    bundle = read_bundle(made[0])
    mean = bundle.manifest["image"]["mean"][0]
    for name in ("README.md", "README-c.md"):
        words = " ".join(bundle.files[name].decode().split())
        assert "takes 8 rows of 8 pixels, rows from above" in words
        assert "one byte, its grey level, 0 to 255 as pictures have it" in words
        assert f"**Mean and standard deviation are inside the network** ({mean:.4g} and " in words
        assert "`digits`: white ink (up to 255) on a black ground (0)" in words
        assert f"a mean level of {255 * mean:.0f} of 255" in words
        assert "| `epochs` | 2 |" in bundle.files[name].decode()
        assert "{'" not in words


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
def test_its_loader_reaches_the_same_accuracy_without_torch(made: tuple[Path, dict[str, Any], float], tmp_path: Path) -> None:
    path, metrics, _ = made
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "unpacked")
    forbidden = "import sys; sys.modules.update(dict.fromkeys(['nas_service', 'search_spaces', 'safetensors', 'torch']))"
    script = f"{forbidden}; import runpy; sys.argv = ['packed.py']; runpy.run_path('packed.py', run_name='__main__')"
    ran = subprocess.run(
        [sys.executable, "-I", "-c", script],
        cwd=tmp_path / "unpacked",
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.strip() == f"accuracy: {metrics['test_accuracy']!r} ({metrics['test_correct']} of 359)"


def test_a_network_without_a_form_in_c_is_bundled_and_says_why(tmp_path: Path) -> None:
    content, _, _ = _make("mcn", {}, "shortcut")
    (tmp_path / "x.zip").write_bytes(content)
    bundle = read_bundle(tmp_path / "x.zip")
    assert not {ONNX, QONNX, C_CARD, *C_FILES} & set(bundle.files)
    assert bundle.manifest["onnx"] == bundle.manifest["qonnx"] == bundle.manifest["c"]
    assert bundle.manifest["c"]["written"] is False
    assert "a convolution of real inputs" in bundle.manifest["c"]["reason"]
    assert f"This network cannot be written as C: {bundle.manifest['c']['reason']}." in bundle.files["README.md"].decode()


def test_without_a_compiler_a_bundle_is_made_and_says_that_its_c_was_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files, and nothing verified."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    content, _, _ = _make(*CASES[0])
    (tmp_path / "x.zip").write_bytes(content)
    (tmp_path / "y.zip").write_bytes(_made(0)[0])
    bare, whole = read_bundle(tmp_path / "x.zip"), read_bundle(tmp_path / "y.zip")
    assert (bare.manifest["c"]["verified"], bare.manifest["c"]["reason"]) == (False, NO_COMPILER)
    assert f"**Not verified**: {NO_COMPILER}" in bare.files["README.md"].decode()
    assert {name for name in whole.files if bare.files[name] != whole.files[name]} <= {"README.md", "README-c.md"}


def test_the_head_and_the_files_for_hubs_say_what_the_network_is(made: tuple[Path, dict[str, Any], float]) -> None:
    path, metrics, _ = made
    bundle = read_bundle(path)
    head = yaml.safe_load(bundle.files["README.md"].decode().split("---\n")[1])
    assert (head["library_name"], head["pipeline_tag"], head["datasets"]) == ("nas-service", "image-classification", ["digits"])
    assert {"1-bit", "binary-neural-network", bundle.manifest["method"]["name"]} <= set(head["tags"])
    (result,) = head["model-index"][0]["results"]
    assert result["metrics"][0] == {"type": "accuracy", "value": metrics["test_accuracy"]}
    assert "license" not in head
    config = json.loads(bundle.files["config.json"])
    assert config["bits"] == {"weights": 1, "activations": 1, "stem_and_classifier": 32}
    assert {config["label2id"][name]: name for name in config["id2label"].values()} == dict(enumerate("0123456789"))
    assert config["digests"]["weights.safetensors"] == bundle.manifest["files"]["weights.safetensors"]["sha256"]
    preprocessor = json.loads(bundle.files["preprocessor_config.json"])
    assert (preprocessor["rescale_factor"], preprocessor["do_normalize"]) == (1 / 255, False)
    assert preprocessor["size"] == {"height": 8, "width": 8}


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
