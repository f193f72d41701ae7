"""`nas train-local` and `nas evaluate`: a bundle and back, and messages that help."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nas_service.search.strategy import STRATEGIES
from search_spaces.space import SPACES
from tests.api.conftest import run_here, run_json, run_nas
from tests.blind import blind_bundle
from tests.nas_service.data.files import pictures, png, write_folder


def test_training_here_makes_a_bundle_that_evaluates_to_what_it_states(tmp_path: Path) -> None:
    words = ["train-local", "--space", "tiny", "--method", "bnn", "--epochs", "1", "-o", "b.zip"]
    trained = run_nas(*words, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert trained.stdout.splitlines()[-1] == "bundle: b.zip"
    assert re.search(r"^test accuracy \d+\.\d\d %, balanced \d+\.\d\d %$", trained.stdout, re.MULTILINE)
    result = run_json("evaluate", "b.zip", cwd=tmp_path)
    assert isinstance(result, dict)
    assert result["accuracy"] == result["manifest_accuracy"]
    assert result["images"] == 359
    assert result["model_py"] == "as written"
    assert [result[name] for name in ("c", "onnx", "qonnx", "with")] == ["as written"] * 3 + ["torch"]
    assert run_json("evaluate", "b.zip", "--with", "onnx", cwd=tmp_path) == {**result, "with": "onnx"}
    if shutil.which("cc"):
        compiled = run_json("evaluate", "b.zip", "--with", "c", cwd=tmp_path)
        assert compiled == {**result, "with": "c"}
    refused = run_here("evaluate", "b.zip", "--with", "c", cwd=tmp_path, PATH="/nowhere", CC="")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: no C compiler (cc, gcc or clang")
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        source = archive.read("c/network.c")
    _rewrite(tmp_path / "b.zip", tmp_path / "x.zip", {"c/network.c": source + b"\n"}, sealed=True)
    assert run_json("evaluate", "x.zip", cwd=tmp_path) == {**result, "c": "differs"}
    assert "c/network.c: not what this version writes" in run_here("evaluate", "x.zip", cwd=tmp_path).stdout
    if shutil.which("cc"):
        refused = run_here("evaluate", "x.zip", "--with", "c", cwd=tmp_path)
        told = r"error: what was run is what this version \(\S+\) writes; the bundle has something else in c/network.c: another "
        assert (refused.returncode, bool(re.match(told, refused.stderr))) == (1, True), refused.stderr
        assert "accuracy" in refused.stdout


@pytest.mark.slow
def test_a_local_training_of_a_given_genotype(tmp_path: Path) -> None:
    run_here("train-local", "--space", "tiny", "--epochs", "1", "-o", "one.zip", cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        (tmp_path / "genotype.json").write_bytes(archive.read("genotype.json"))
    words = ["train-local", "--space", "tiny", "--epochs", "1", "--genotype", "genotype.json", "-o", "two.zip"]
    assert run_nas(*words, cwd=tmp_path).returncode == 0
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.slow
def test_test_images_can_be_exported_for_a_bundle_without_them(tmp_path: Path) -> None:
    run_here("train-local", "--space", "tiny", "--epochs", "1", "-o", "b.zip", cwd=tmp_path, NAS_BUNDLED_TEST_BYTES="0")
    assert run_here("dataset", "export", "digits", "test.safetensors", cwd=tmp_path).returncode == 0
    result = run_here("evaluate", "b.zip", "--data", "test.safetensors", "--json", cwd=tmp_path)
    assert json.loads(result.stdout)["images"] == 359
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    script = [sys.executable, "model.py"]
    refused = subprocess.run(script, check=False, capture_output=True, text=True, cwd=tmp_path / "unpacked")
    assert "give --data FILE.safetensors" in refused.stderr
    script += ["--data", "../test.safetensors"]
    ran = subprocess.run(script, check=True, capture_output=True, text=True, cwd=tmp_path / "unpacked")
    assert ran.stdout.startswith(f"accuracy: {json.loads(result.stdout)['accuracy']!r} ")


def _message(*words: str, cwd: Path) -> str:
    """Return what a command that is refused says, having seen that it is one message."""
    result = run_here(*words, cwd=cwd)
    assert result.returncode == 1, result.stdout
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    return result.stderr.removeprefix("error: ")


def _rewrite(source: Path, target: Path, files: dict[str, bytes], *, sealed: bool = False) -> None:
    """Copy a bundle with other files; `sealed` makes its manifest agree with them."""
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | files
    if sealed:
        manifest = json.loads(contents["manifest.json"])
        manifest["files"] = {name: {"sha256": sha256(contents[name]).hexdigest()} for name in manifest["files"]}
        contents["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def _train(folder: Path, name: str, seed: int) -> Path:
    words = ["--space", "tiny", "--epochs", "1", "--seed", str(seed), "--set", "recipe.max_steps_per_epoch=1", "-o", name]
    assert run_here("train-local", *words, cwd=folder).returncode == 0
    return folder / name


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bundle of a network that was trained for one step with seed 4."""
    return _train(tmp_path_factory.mktemp("bundle"), "b.zip", 4)


@pytest.mark.slow
def test_a_bundle_whose_weights_are_not_its_own_is_refused(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(_train(tmp_path, "other.zip", 5)) as archive:
        weights = archive.read("weights.safetensors")
    _rewrite(bundle, tmp_path / "x.zip", {"weights.safetensors": weights})
    assert "weights.safetensors is not the file that the manifest describes" in _message("evaluate", "x.zip", cwd=tmp_path)
    _rewrite(bundle, tmp_path / "x.zip", {"weights.safetensors": weights}, sealed=True)
    assert "weights.safetensors does not fit the genotype" in _message("evaluate", "x.zip", cwd=tmp_path)


@pytest.mark.parametrize("command", ["evaluate", "compile"])
def test_what_is_no_bundle_is_told_before_torch_is_loaded(command: str, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    for name, told in (("x.zip", "x.zip is not a bundle"), ("none.zip", "none.zip: there is no such file")):
        given = f"import sys; sys.modules['torch'] = None; sys.argv = ['nas', {command!r}, {name!r}]"
        run = f"{given}; from api.cli import main; main()"
        done = subprocess.run([sys.executable, "-c", run], check=False, capture_output=True, text=True, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"error: {told}")
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_bundle_that_is_damaged_or_lacks_something_is_refused_in_one_message(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"nothing")
    assert _message("evaluate", "x.zip", cwd=tmp_path).startswith("x.zip is not a bundle")
    whole = bundle.read_bytes()
    start = 30 + len("manifest.json")  # after the first local header the compressed manifest begins
    (tmp_path / "x.zip").write_bytes(whole[:start] + b"\xff" * 20 + whole[start + 20 :])
    assert "x.zip is not a bundle: Error -3 while decompressing" in _message("evaluate", "x.zip", cwd=tmp_path)
    _rewrite(bundle, tmp_path / "x.zip", {"weights.safetensors": b"none"}, sealed=True)
    assert "weights.safetensors is no safetensors file" in _message("evaluate", "x.zip", cwd=tmp_path)
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    for lost in ("image", "metrics", "class_names"):
        changed = json.dumps({key: value for key, value in manifest.items() if key != lost}).encode()
        _rewrite(bundle, tmp_path / "x.zip", {"manifest.json": changed})
        message = _message("evaluate", "x.zip", cwd=tmp_path)
        assert message == f"manifest.json: {lost}: None is not allowed; allowed: a value: this field is required\n"


def test_a_hostile_bundle_is_refused_in_one_line(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    manifest["pruned"] = {"cells.0\x1b[31m\n": 1}
    _rewrite(bundle, tmp_path / "x.zip", {"manifest.json": json.dumps(manifest).encode()})
    message = _message("evaluate", "x.zip", cwd=tmp_path)
    assert message.startswith(
        "the bundle's network cannot be rebuilt: pruned.cells.0\\x1b[31m : 1 is not allowed; allowed: nothing"
    )
    assert message.removesuffix("\n").isprintable()
    _rewrite(bundle, tmp_path / "x.zip", {"weights.safetensors": bytes(50 * 2**20)})
    assert _message("evaluate", "x.zip", cwd=tmp_path).startswith("x.zip is not a bundle: ")


def test_a_source_that_is_not_what_we_write_is_told_and_not_run(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        source = archive.read("model.py")
    assert _evaluated(bundle, tmp_path)["model_py"] == "as written"
    told = "model.py differs from what this version writes from genotype and weights: another version wrote it, or somebody"
    assert told not in run_here("evaluate", str(bundle), cwd=tmp_path).stdout
    hostile = source.replace(b"import argparse", b"import argparse; open('ran', 'w')")
    _rewrite(bundle, tmp_path / "x.zip", {"model.py": hostile}, sealed=True)
    shown = run_here("evaluate", "x.zip", cwd=tmp_path)
    assert shown.returncode == 0
    assert [line for line in shown.stdout.splitlines() if told in line] == [
        f"{told} changed it. It was not run here; run it only if you trust where it came from."
    ]
    assert _evaluated(tmp_path / "x.zip", tmp_path)["model_py"] == "differs"
    assert not (tmp_path / "ran").exists()


def _evaluated(bundle: Path, folder: Path) -> dict[str, object]:
    result = run_json("evaluate", str(bundle), cwd=folder)
    assert isinstance(result, dict)
    return result


@pytest.mark.slow
def test_test_images_of_another_shape_are_refused(bundle: Path, tmp_path: Path) -> None:
    for name, images, labels in (("colour", (2, 3, 8, 8), 2), ("fewer", (2, 1, 8, 8), 3), ("none", (0, 1, 8, 8), 0)):
        content = {"images": torch.zeros(images, dtype=torch.uint8), "labels": torch.zeros(labels, dtype=torch.int64)}
        save_file(content, tmp_path / name)
        message = _message("evaluate", str(bundle), "--data", name, cwd=tmp_path)
        assert message.startswith(f"{name}: test images of shape {images}"), message
        assert "(N, 1, 8, 8)" in message


def test_evaluating_shows_what_accuracy_hides(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(blind_bundle(("common", "rare\x1b[2J", "none"), (200, 1, 0)).content)
    result = run_json("evaluate", "b.zip", cwd=tmp_path)
    assert isinstance(result, dict)
    assert (result["accuracy"], result["balanced_accuracy"]) == (200 / 201, 0.5)
    assert result["classes"]["confusion"] == [[200, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert result["classes"]["accuracies"] == [1.0, 0.0, None]
    shown = run_here("evaluate", "b.zip", cwd=tmp_path).stdout
    for words in (
        r"balanced_accuracy .* 50\.00 %",
        r"rare\\x1b\[2J .* 0\.00 % \(0 of 1\) .* common \(1\)",
        "nothing is known of them: none",
    ):
        assert re.search(words, shown), shown


def test_given_images_are_told_by_class_too_and_labels_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(blind_bundle(("common", "rare"), (3, 1)).content)
    images = torch.zeros((4, 1, 8, 8), dtype=torch.uint8)
    save_file({"images": images, "labels": torch.tensor([0, 1, 1, 1])}, tmp_path / "given")
    result = run_json("evaluate", "b.zip", "--data", "given", cwd=tmp_path)
    assert isinstance(result, dict)
    assert (result["accuracy"], result["balanced_accuracy"], result["classes"]["images"]) == (0.25, 0.5, [1, 3])
    wrong = {"of torch.int64 from 0 to 2": torch.tensor([0, 1, 2, 1]), "of torch.int64 from -1 to 1": torch.tensor([-1, 1, 1, 0])}
    wrong |= {
        "of torch.float32 from 0.0 to 0.0": torch.zeros(4),
        "of torch.uint8 from 0 to 255": torch.tensor([0, 255, 255, 255], dtype=torch.uint8),
    }
    for given, labels in wrong.items():
        save_file({"images": images, "labels": labels}, tmp_path / "given")
        message = _message("evaluate", "b.zip", "--data", "given", cwd=tmp_path)
        assert message == f"given: labels {given}; allowed: whole numbers from 0 to 1\n"


def test_test_images_that_cannot_be_read_are_named(bundle: Path, tmp_path: Path) -> None:
    save_file({"other": torch.zeros(2)}, tmp_path / "given")
    message = _message("evaluate", str(bundle), "--data", "given", cwd=tmp_path)
    assert message == "given lacks images and labels; it has other\n"
    message = _message("evaluate", str(bundle), "--data", "nothing", cwd=tmp_path)
    assert message == "--data: 'nothing' is not allowed; allowed: a readable safetensors file (No such file or directory)\n"


def test_a_manifest_with_other_class_names_than_classes_is_refused(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    wrong = {"['one']": ["one"], "3": 3}
    for shown, names in wrong.items():
        _rewrite(bundle, tmp_path / "x.zip", {"manifest.json": json.dumps(manifest | {"class_names": names}).encode()})
        message = _message("evaluate", "x.zip", cwd=tmp_path)
        assert message.startswith(f"manifest.json: class_names: {shown} is not allowed; allowed: ")


def test_images_that_are_others_than_the_network_was_trained_with_are_told(tmp_path: Path) -> None:
    """A bundle without test images, whose dataset gets one more picture; a manifest of earlier versions cannot tell."""
    write_folder(tmp_path)
    here = {"NAS_DATA_ROOT": str(tmp_path), "NAS_BUNDLED_TEST_BYTES": "0"}
    settings = ["dataset.settings.path=pictures", "dataset.settings.image_size=12", "recipe.max_steps_per_epoch=1"]
    words = ["--space", "tiny", "--dataset", "image-folder", "--epochs", "1", *(f"--set={entry}" for entry in settings)]
    assert run_here("train-local", *words, "-o", "b.zip", cwd=tmp_path, **here).returncode == 0
    before = run_here("evaluate", "b.zip", cwd=tmp_path, **here)
    assert before.returncode == 0, before.stderr
    for label, name in enumerate(("cat", "dog", "eel")):
        for number in range(40):
            picture = pictures(1, seed=100 * label + number)[0]
            (tmp_path / "pictures" / name / f"new{number}.png").write_bytes(png(picture))
    after = run_here("evaluate", "b.zip", cwd=tmp_path, **here)
    assert (after.returncode, after.stdout) == (1, "")
    assert after.stderr == (
        "error: the images, classes or split of dataset image-folder are not those that this network was trained and tested "
        "with, so they cannot show what the manifest states; give test images with --data FILE.safetensors\n"
    )
    with zipfile.ZipFile(tmp_path / "b.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    del manifest["dataset_digest"]
    manifest["metrics"]["test_accuracy"] = 0.123
    _rewrite(tmp_path / "b.zip", tmp_path / "old.zip", {"manifest.json": json.dumps(manifest).encode()})
    old = run_here("evaluate", "old.zip", cwd=tmp_path, **here)
    assert old.returncode == 1
    assert re.fullmatch(
        r"error: the network reaches 0\.\d+, the manifest states 0\.123; it does not state the images of image-folder, "
        r"which may be others now\n",
        old.stderr,
    )


def test_a_local_training_draws_the_random_strategy_s_genotype(bundle: Path) -> None:
    (drawn,) = STRATEGIES.get("random").from_settings(SPACES.get("tiny"), {}, 4).suggest((), 1)
    with zipfile.ZipFile(bundle) as archive:
        assert archive.read("genotype.json").decode() == drawn.to_json()


LOCAL = [
    (["--device", "gpu"], "--device: 'gpu' is not allowed; allowed: cpu"),
    (["--device", "cuda:99"], "--device: 'cuda:99' is not allowed; allowed: cpu"),
    (["--genotype", "nowhere.json"], "--genotype: 'nowhere.json' is not allowed; allowed: a readable JSON file"),
    (["--genotype", "bytes.json"], "--genotype: 'bytes.json' is not allowed; allowed: a readable JSON file"),
    (
        ["--set", "recipe.learning_rate=10", "--set", "recipe.optimizer=sgd", "--set", "recipe.weight_decay=1", "--epochs", "9"],
        "training diverged: the loss of epoch",
    ),
]


@pytest.mark.parametrize(("words", "message"), LOCAL, ids=[" ".join(words) for words, _ in LOCAL])
def test_a_local_training_that_cannot_be_is_one_message(words: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff")
    assert _message("train-local", "--space", "tiny", "--epochs", "1", *words, cwd=tmp_path).startswith(message)
