"""A bundle's network as C with int16 activations: what is in the zip, what was measured, and that a wrong bit is seen."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nas_service.deploy.int16.reference import run_network
from nas_service.deploy.packed_network import Network
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import Verification
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_FILES, MANIFEST, unpack
from nas_service.export.bundle_reading import read_bundle
from nas_service.export.int16_c import CALIBRATION_IMAGES, Compiled, calibration_images, compile_int16, plan_int16
from nas_service.export.rebuilding import network_of
from tests.nas_service.export.test_bundle import _made
from tests.samples import digits

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")


class _Given(NamedTuple):
    """What the command makes of a bundle, unpacked, and logits of the test images by the reference."""

    compiled: Compiled
    files: dict[str, bytes]
    before: dict[str, Any]
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@cache
def _given(folder: Path) -> _Given:
    (folder / "whole.zip").write_bytes(_made(0)[0])
    bundle, dataset = read_bundle(folder / "whole.zip"), digits()
    network = network_of(bundle)
    compiled = compile_int16(bundle, network, dataset, 10**6)
    (folder / "int16.zip").write_bytes(compiled.content)
    program = trace_network(network, bundle.candidate.class_names)
    stages = plan_int16(program, calibration_images(dataset.train))
    assert dataset.test is not None
    images = dataset.test.images
    logits = run_network(stages, images.transpose(0, 2, 3, 1))
    return _Given(compiled, unpack(folder / "int16.zip"), bundle.manifest, images, logits)


@pytest.fixture
def given(tmp_path_factory: pytest.TempPathFactory) -> _Given:
    return _given(tmp_path_factory.getbasetemp())


def test_calibration_sees_training_images_alone() -> None:
    train = digits().train
    seen = calibration_images(train)
    assert len(seen) == min(CALIBRATION_IMAGES, len(train))
    assert {image.tobytes() for image in seen} <= {image.tobytes() for image in train.images}


def test_the_zip_holds_c_and_says_what_it_is(given: _Given) -> None:
    assert set(given.files) == {MANIFEST, "README.md", *C_FILES}
    manifest = json.loads(given.files[MANIFEST])
    assert manifest["c"] == json.loads(json.dumps(given.compiled.facts))
    assert manifest["files"]["weights.safetensors"] == given.before["files"]["weights.safetensors"]
    assert b'#define NN_ACTIVATIONS "int16"' in given.files["c/network.h"]
    assert given.compiled.facts["arena_bytes"] <= 0.55 * given.before["c"]["arena_bytes"]
    assert given.compiled.facts["constant_bytes"] <= given.before["c"]["constant_bytes"]
    card = given.files["README.md"].decode()
    for name, part in given.compiled.facts["accuracy"].items():
        assert f"| {name} | {part['float32']:.4f} | {part['int16']:.4f} |" in card


def test_accuracy_is_measured_of_both_and_near(given: _Given) -> None:
    measured, labels = given.compiled.facts["accuracy"]["test"], digits().test
    assert labels is not None
    assert measured["images"] == len(labels)
    assert measured["int16"] == (given.logits.argmax(1) == labels.labels).mean()
    assert measured["float32"] == given.before["metrics"]["test_accuracy"]
    assert abs(measured["int16"] - measured["float32"]) <= 0.01


@needs_compiler
def test_the_loader_of_the_zip_makes_the_bits_of_the_reference(
    given: _Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, content in given.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert given.compiled.facts["verified"]
    assert given.compiled.facts["images"] == 719
    assert np.array_equal(Network(tmp_path)(given.images).view(np.uint32), given.logits.view(np.uint32))


@needs_compiler
def test_one_other_bit_is_refused_with_image_and_values(given: _Given) -> None:
    wrong = given.logits.copy()
    wrong[7, 3] = np.nextafter(wrong[7, 3], np.float32(np.inf))
    with Verification(given.files, tolerance=0.0) as verification:
        verification.see("test", 0, given.images, given.logits)
        with pytest.raises(ExportError, match=r"^the C's logits of test image 7 are \[.*\] instead of \["):
            verification.see("test", 0, given.images, wrong)
