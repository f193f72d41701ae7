"""A bundle's network as C with other numbers: what is in the zip, what was measured, and that a wrong bit is seen."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nas_service.deploy.int16.reference import run_network
from nas_service.deploy.packed_network import Network
from nas_service.deploy.selftest import logits_in_order
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import Verification
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_FILES, MANIFEST, unpack
from nas_service.export.bundle_reading import read_bundle
from nas_service.export.compiled import CALIBRATION_IMAGES, Compiled, calibration_images, compile_network, plan_int16
from nas_service.export.int8_weights import with_int8_weights
from nas_service.export.numbers import Activations, Weights
from nas_service.export.rebuilding import network_of
from tests.nas_service.export.test_bundle import _made
from tests.samples import digits

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler here")


NUMBERS = [
    (Activations.INT16, Weights.FLOAT32),
    (Activations.FLOAT32, Weights.INT8),
    (Activations.INT16, Weights.INT8),
]


class _Given(NamedTuple):
    """What the command makes of a bundle, unpacked, and logits of the test images by what defines them."""

    numbers: tuple[Activations, Weights]

    compiled: Compiled
    files: dict[str, bytes]
    before: dict[str, Any]
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    logits: np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@cache
def _given(folder: Path, numbers: tuple[Activations, Weights]) -> _Given:
    (folder / "whole.zip").write_bytes(_made(0)[0])
    bundle, dataset = read_bundle(folder / "whole.zip"), digits()
    network = network_of(bundle)
    compiled = compile_network(bundle, network, dataset, 10**6, numbers)
    (folder / "compiled.zip").write_bytes(compiled.content)
    if numbers[1] is Weights.INT8:
        network = with_int8_weights(network)
    assert dataset.test is not None
    images = dataset.test.images
    if numbers[0] is Activations.FLOAT32:
        logits = logits_in_order(network, images)
    else:
        program = trace_network(network, bundle.candidate.class_names)
        logits = run_network(plan_int16(program, calibration_images(dataset.train)), images.transpose(0, 2, 3, 1))
    return _Given(numbers, compiled, unpack(folder / "compiled.zip"), bundle.manifest, images, logits)


@pytest.fixture(params=NUMBERS, ids=" ".join)
def given(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> _Given:
    return _given(tmp_path_factory.getbasetemp(), request.param)


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
    activations, weights = given.numbers
    assert (manifest["c"]["activations"], manifest["c"]["weights"]) == given.numbers
    assert f'#define NN_ACTIVATIONS "{activations.value}"'.encode() in given.files["c/network.h"]
    ram, constants = given.before["c"]["arena_bytes"], given.before["c"]["constant_bytes"]
    assert given.compiled.facts["bundle"]["arena_bytes"] == ram
    assert given.compiled.facts["arena_bytes"] <= ram * (0.55 if activations is Activations.INT16 else 1)
    assert given.compiled.facts["constant_bytes"] <= constants - (900 if weights is Weights.INT8 else 0)
    card = given.files["README.md"].decode()
    title = card.splitlines()[0]
    assert ("int16 activations" in title, "int8 weights" in title) == (activations.value == "int16", weights.value == "int8")
    for name, part in given.compiled.facts["accuracy"].items():
        assert f"| {name} | {part['bundle']:.4f} | {part['compiled']:.4f} |" in card


def test_accuracy_is_measured_of_both_and_near(given: _Given) -> None:
    measured, labels = given.compiled.facts["accuracy"]["test"], digits().test
    assert labels is not None
    assert measured["images"] == len(labels)
    assert measured["compiled"] == (given.logits.argmax(1) == labels.labels).mean()
    assert measured["bundle"] == given.before["metrics"]["test_accuracy"]
    most = 0.01 if given.numbers[1] is Weights.FLOAT32 else 0.03  # a network of two epochs is sure of little
    assert abs(measured["compiled"] - measured["bundle"]) <= most


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
