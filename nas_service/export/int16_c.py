"""A bundle's network as C with int16 activations: calibrated on training images, measured, and compared bit for bit."""

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch

from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Images, Part
from nas_service.deploy.c_folder import Folder, source_files, with_selftest
from nas_service.deploy.int16.c_writer import write_c
from nas_service.deploy.int16.calibration import find_peaks
from nas_service.deploy.int16.planning import IntStage, plan_network
from nas_service.deploy.int16.reference import run_network
from nas_service.deploy.int16.repeats import without_copies
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Program
from nas_service.deploy.selftest import choose_images
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import make_stages
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import Verification
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_FORMAT, MANIFEST, WEIGHTS, listing, pack
from nas_service.export.bundle_reading import Bundle
from nas_service.export.int16_card import int16_card
from nas_service.json_text import json_text
from nas_service.reports import Beat, no_beat
from search_spaces.network import Network

CALIBRATION_IMAGES = 512  # of the training part, evenly spread
_BATCH = 64  # images at once


class Compiled(NamedTuple):
    """A network's C with int16 activations.

    Attributes:
        content: The zip.
        facts: What its manifest says under `c`.
    """

    content: bytes
    facts: dict[str, Any]


class Measured(NamedTuple):
    """What became of a part.

    Attributes:
        images: Of the part.
        float32: Accuracy of the network as it was.
        int16: Accuracy with int16 activations.
        other_class: Images that get another class.
    """

    images: int
    float32: float
    int16: float
    other_class: int


def compile_int16(bundle: Bundle, network: Network, dataset: ImageDataset, given_bytes: int, beat: Beat = no_beat) -> Compiled:
    """Write a bundle's network as C with int16 activations, and see on all validation and test images what that C computes.

    Args:
        bundle: With its manifest.
        network: Rebuilt from it, frozen.
        dataset: That it was trained with.
        given_bytes: Of test images that may be in the self-test.
        beat: Called now and then.

    Raises:
        ExportError: If an operation has no form in whole numbers, the data have no test part, or a build of the C computes
            another bit than the reference; what, or the image and both values, are named.
    """
    if dataset.test is None:
        message = f"dataset {dataset.name} was loaded without its test part"
        raise ExportError(message)
    digest = hashlib.sha256(bundle.file(WEIGHTS)).hexdigest()
    program = trace_network(network, bundle.candidate.class_names)
    seen = calibration_images(dataset.train)
    stages = plan_int16(program, seen)
    written = source_files(write_c(program, stages, digest, version("nas-service")))
    chosen = choose_images(dataset.test, program.image, given_bytes)
    folder = with_selftest(written, digest, chosen, run_network(stages, chosen[0].transpose(0, 2, 3, 1)))
    with Verification(folder.files, beat, tolerance=0.0) as verification:
        parts = {"validation": dataset.validation, "test": dataset.test}
        accuracy = {name: _measure(name, part, network, stages, verification)._asdict() for name, part in parts.items()}
        verified = verification.facts()
    how = {"written": True, "activations": "int16", "calibration_images": len(seen), "accuracy": accuracy}
    facts = {**how, **folder.facts, **verified}
    return Compiled(_zip(bundle.manifest, folder, facts), facts)


def calibration_images(train: Part) -> Images:
    """Return up to CALIBRATION_IMAGES images (N, C, H, W) of a part, evenly spread."""
    count = min(CALIBRATION_IMAGES, len(train))
    return train.at(np.arange(count) * len(train) // max(count, 1))


def plan_int16(program: Program, images: Images) -> list[IntStage]:
    """Return a program's stages in whole numbers, with exponents by what images (N, C, H, W) make of its maps.

    Raises:
        ExportError: If an operation has no form in whole numbers, naming it.
    """
    stages = without_copies(store_signs(make_stages(program)))
    peaks = find_peaks(program, images, [stage.output for stage in stages if stage.bits is None])
    return plan_network(stages, peaks)


@torch.no_grad()
def _measure(name: str, part: Part, network: Network, stages: Sequence[IntStage], verification: Verification) -> Measured:
    correct, other = np.zeros(2, np.int64), 0
    for start in range(0, len(part), _BATCH):
        images = part.at(slice(start, start + _BATCH))
        logits = run_network(stages, images.transpose(0, 2, 3, 1))
        verification.see(name, start, images, logits)
        classes = np.stack([_float_logits(network, images).argmax(1), logits.argmax(1)])
        correct += (classes == part.labels[start : start + _BATCH]).sum(1)
        other += int((classes[0] != classes[1]).sum())
    shares = (correct / max(len(part), 1)).tolist()
    return Measured(len(part), shares[0], shares[1], other)


def _float_logits(network: Network, images: Images) -> Floats:
    logits: Floats = network(torch.tensor(images).to(torch.float32).div(255)).numpy()
    return logits


def _zip(manifest: Mapping[str, Any], folder: Folder, facts: Mapping[str, Any]) -> bytes:
    """Return the zip: C, `packed.py`, card and manifest, which goes on naming the weights that it was made from."""
    float32 = {"files", "onnx", "qonnx", "metrics", "rounding"}  # what is said of another network
    said = {key: value for key, value in manifest.items() if key not in float32} | {"format": C_FORMAT, "c": facts}
    files = {**folder.files, "README.md": int16_card(said).encode()}
    listed = {name: listing(content) for name, content in files.items()} | {WEIGHTS: manifest["files"][WEIGHTS]}
    text = json_text({**said, "files": listed}, sort_keys=True)
    return pack({MANIFEST: text.encode(), **files})
