"""Reading bundles that strangers made, changed or damaged."""

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from nas_service.errors import ExportError
from nas_service.export.bundle import architecture_bundle
from nas_service.export.bundle_reading import Bundle, StatedImage, read_bundle, read_test_images
from nas_service.specs import Component
from search_spaces.space import SPACES
from tests.samples import random_genotype

GREY = StatedImage(channels=1, height=8, width=8, classes=10, mean=[0.3], std=[0.4])


def _zipped(manifest: object, **files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest))
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _architecture() -> bytes:
    cost = {"binary_parameters": 8, "float_parameters": 2, "flops": 1, "bops": 64, "packed_bytes": 9, "ops": 2.0}
    facts = {"rank": 1, "search_id": "s", "score": 0.5, "cost": cost}
    return architecture_bundle(Component(name="tiny"), random_genotype(SPACES.get("tiny")), "<svg/>", facts)


def _refusal(content: bytes, folder: Path) -> str:
    (folder / "x.zip").write_bytes(content)
    with pytest.raises(ExportError) as caught:
        read_bundle(folder / "x.zip")
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= 500
    return message.removeprefix(f"{folder}/")


def test_a_changed_file_is_found(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_architecture())) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content + b" " if name == "genotype.json" else content)
    message = _refusal(buffer.getvalue(), tmp_path)
    assert message == "x.zip is not a bundle: genotype.json is not the file that the manifest describes (SHA-256 differs)"


STATED = {"sha256": sha256(b"1").hexdigest()}
MANIFESTS = [
    (b"\xff", "manifest.json holds text that is not Unicode"),
    ([], "manifest.json holds list instead of an object"),
    ({}, "manifest.json: format: None is not allowed"),
    ({"format": 1}, "manifest.json: format: 1 is not allowed; allowed: text"),
    ({"format": "nas-bundle/1"}, "manifest.json: files: None is not allowed"),
    ({"format": "nas-bundle/1", "files": 3}, "manifest.json: files: 3 is not allowed; allowed: an object"),
    ({"format": "nas-bundle/1", "files": ["model.py"]}, "manifest.json: files: ['model.py'] is not allowed"),
    ({"format": "nas-bundle/1", "files": {"model.py": "digest"}}, "manifest.json: files.model.py: 'digest' is not allowed"),
    (
        {"format": "nas-bundle/1", "files": {"model.py": {"sha256": ""}}},
        "manifest.json: files.model.py.sha256: '' is not allowed",
    ),
    ({"format": "nas-bundle/1", "files": {"a\x1b[0m": 1}}, r"manifest.json: files.a\x1b[0m: 1 is not allowed"),
    ({"format": "nas-bundle/1", "files": {}}, "it holds model.py, which the manifest does not list"),
    ({"format": "nas-bundle/1", "files": {"model.py": STATED, "README.md": STATED}}, "it lacks README.md, which the manifest"),
    (
        {"format": "nas-bundle/1", "files": {"model.py": STATED, "../x": STATED}},
        "it lacks ../x, which the manifest lists",
    ),
]


@pytest.mark.parametrize(("manifest", "reason"), MANIFESTS, ids=[reason for _, reason in MANIFESTS])
def test_a_manifest_that_is_none_is_refused(manifest: object, reason: str, tmp_path: Path) -> None:
    assert _refusal(_zipped(manifest, **{"model.py": b"1"}), tmp_path).startswith(f"x.zip is not a bundle: {reason}")


def test_a_zip_without_a_manifest_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("model.py", "1")
    assert _refusal(buffer.getvalue(), tmp_path) == "x.zip is not a bundle: it lacks manifest.json"


@pytest.mark.parametrize(
    "name", ["torch.py", "MODEL.py", "../model.py", "/model.py", "model.py/", "a\\b", "sub/model.py", "a\x1b", "\N{BULLET}"]
)
def test_a_file_that_no_bundle_has_is_refused_even_if_it_is_listed(name: str, tmp_path: Path) -> None:
    """A file torch.py beside model.py would be imported by it."""
    manifest = {"format": "nas-bundle/1", "files": {name: STATED}}
    message = _refusal(_zipped(manifest, **{name: b"1"}), tmp_path)
    assert message.startswith(
        f"x.zip is not a bundle: it holds {name!r}; allowed: README-c.md, README.md, c/Makefile, c/network.c, c/network.h, "
    )


def test_a_bundle_of_another_format_is_refused(tmp_path: Path) -> None:
    message = _refusal(_zipped({"format": "nas-bundle/9", "files": []}, **{"model.py": b""}), tmp_path)
    assert message == "x.zip has format 'nas-bundle/9'; this version reads nas-bundle/1"


def test_a_damaged_zip_is_refused_wherever_the_damage_is(tmp_path: Path) -> None:
    """A changed byte may give a broken block (zlib.error), another method of compression, an encryption, another digest."""
    whole = _architecture()
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


MEMBERS: list[tuple[dict[str, Any], str]] = [
    ({"kind": None}, "manifest.json: kind: None is not allowed; allowed: candidate, architecture"),
    ({"kind": "architecture"}, "this bundle holds an architecture that was not trained"),
    ({"image": None}, "manifest.json: image: None is not allowed"),
    ({"image": {}}, "manifest.json: image.channels: None is not allowed; allowed: a value: this field is required"),
    ({"metrics": {}}, "manifest.json: metrics.test_accuracy: None is not allowed; allowed: a value"),
    ({"metrics": {"test_accuracy": "\x1b[2J" + "x" * 10_000}}, r"manifest.json: metrics.test_accuracy: '\x1b[2Jxxx"),
    ({"pruned": []}, "manifest.json: pruned: [] is not allowed"),
    ({"pruned": {"a": 1.5}}, "manifest.json: pruned.a: 1.5 is not allowed; allowed: a whole number"),
    ({"space": {}}, "manifest.json: space.name: None is not allowed"),
    ({"dataset": {"name": "digits", "x": 1}}, "manifest.json: dataset.x: 1 is not allowed; allowed: nothing"),
    ({"class_names": ["a"]}, "manifest.json: class_names: ['a'] is not allowed; allowed: 10 names, one of each of image.classes"),
    ({"dataset_digest": 3}, "manifest.json: dataset_digest: 3 is not allowed; allowed: text"),
    ({"class_names": [0] * 10}, "manifest.json: class_names.0: 0 is not allowed; allowed: text"),
]
IMAGES: list[tuple[dict[str, Any], str]] = [
    ({"channels": 2}, "manifest.json: image.channels: 2 is not allowed; allowed: 1 or 3"),
    ({"height": 0}, "manifest.json: image.height: 0 is not allowed"),
    ({"width": 2**40}, "manifest.json: image.width: 1099511627776 is not allowed; allowed: less than or equal to 32768"),
    ({"height": 8.5}, "manifest.json: image.height: 8.5 is not allowed; allowed: a whole number"),
    ({"classes": 2**40}, "manifest.json: image.classes: 1099511627776 is not allowed"),
    ({"mean": []}, "manifest.json: image: "),
    ({"mean": [0.1] * 10_000}, "manifest.json: image.mean: [0.1, 0.1"),
    ({"std": ["x"]}, "manifest.json: image.std.0: 'x' is not allowed; allowed: a number"),
]
CANDIDATE: dict[str, Any] = {
    "kind": "candidate",
    "space": {"name": "tiny", "settings": {}},
    "method": {"name": "bnn", "settings": {}},
    "dataset": {"name": "digits", "settings": {}},
    "image": GREY.model_dump(),
    "class_names": list("0123456789"),
    "metrics": {"test_accuracy": 0.5},
}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [*MEMBERS, *(({"image": {**CANDIDATE["image"], **changes}}, reason) for changes, reason in IMAGES)],
)
def test_a_field_that_is_missing_or_hostile_is_named(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ExportError) as caught:
        _ = Bundle({**CANDIDATE, **changes}, {}).candidate
    message = str(caught.value)
    assert message.startswith(reason)
    assert message.isprintable()
    assert len(message) <= 500


def test_what_a_sound_manifest_states_is_read() -> None:
    stated = Bundle(CANDIDATE, {}).candidate
    assert (stated.method.name, stated.metrics.test_accuracy, stated.pruned) == ("bnn", 0.5, {})
    assert stated.image.format.size == (8, 8)


LABELS = torch.tensor([0, 9])
TESTS: list[tuple[dict[str, Tensor], str]] = [
    ({"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8)}, "lacks labels; it has images"),
    (
        {"images": torch.zeros(2, 3, 8, 8, dtype=torch.uint8), "labels": LABELS},
        "test images of shape (2, 3, 8, 8) and labels (2,);",
    ),
    (
        {"images": torch.zeros(3, 1, 8, 8, dtype=torch.uint8), "labels": LABELS},
        "test images of shape (3, 1, 8, 8) and labels (2,);",
    ),
    ({"images": torch.zeros(0, 1, 8, 8, dtype=torch.uint8), "labels": LABELS[:0]}, "test images of shape (0, 1, 8, 8)"),
    (
        {"images": torch.zeros(1, 1, 8, 8, dtype=torch.uint8), "labels": LABELS[0]},
        "test images of shape (1, 1, 8, 8) and labels ();",
    ),
    ({"images": torch.zeros(2, 1, 8, 8), "labels": LABELS}, "test images of torch.float32; allowed: torch.uint8, 0 to 255"),
    (
        {"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "labels": LABELS + 1},
        "labels of torch.int64 from 1 to 10; allowed: whole numbers from 0 to 9",
    ),
    ({"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "labels": LABELS - 1}, "labels of torch.int64 from -1 to 8"),
    ({"images": torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "labels": LABELS.float()}, "labels of torch.float32 from 0.0 to 9.0"),
]


@pytest.mark.parametrize(("tensors", "reason"), TESTS, ids=[reason for _, reason in TESTS])
def test_test_images_that_do_not_fit_are_refused(tensors: dict[str, Tensor], reason: str) -> None:
    with pytest.raises(ExportError) as caught:
        read_test_images(save(tensors), GREY)
    assert str(caught.value).startswith(
        f"test.safetensors {reason}" if reason.startswith("lacks") else f"test.safetensors: {reason}"
    )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_labels_may_be_any_whole_numbers(dtype: torch.dtype) -> None:
    given = {"images": torch.full((2, 1, 8, 8), 255, dtype=torch.uint8), "labels": LABELS.to(dtype)}
    images, labels = read_test_images(save(given), GREY)
    assert torch.equal(images, given["images"])
    assert torch.equal(labels, given["labels"])
