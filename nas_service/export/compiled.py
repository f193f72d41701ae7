"""A bundle's network as C of its own: with int16 activations, weights of 8 bits in stem and classifier, or both.

What has numbers of 16 bits is calibrated on training images. Accuracy is measured, and the C compared with what defines it.
"""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
import torch

from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Images, Part
from nas_service.deploy import c_source
from nas_service.deploy.c_folder import Folder, source_files, with_selftest
from nas_service.deploy.c_source import CSource
from nas_service.deploy.early_signs import take_signs_early
from nas_service.deploy.int16.c_writer import MAP_BYTES, write_c
from nas_service.deploy.int16.calibration import find_peaks
from nas_service.deploy.int16.planning import IntStage, plan_network
from nas_service.deploy.int16.reference import run_network
from nas_service.deploy.int16.repeats import without_copies
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Program
from nas_service.deploy.selftest import choose_images, logits_in_order
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import make_stages
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import Verification
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_FORMAT, MANIFEST, WEIGHTS, listing, pack
from nas_service.export.bundle_reading import Bundle
from nas_service.export.compiled_card import compiled_card
from nas_service.export.int8_weights import with_int8_weights
from nas_service.export.numbers import Activations, Weights
from nas_service.json_text import json_text
from nas_service.reports import Beat, no_beat
from search_spaces.network import Network

CALIBRATION_IMAGES = 512  # of the training part, evenly spread
_BATCH = 64  # images at once
_FIGURES = ("arena_bytes", "constant_bytes", "flash_bytes")  # told of the bundle's own C, to compare


class Compiled(NamedTuple):
    """A network's C.

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
        bundle: Accuracy of the network as it was.
        compiled: Accuracy of what was made of it.
        other_class: Images that get another class.
    """

    images: int
    bundle: float
    compiled: float
    other_class: int


class _Made(NamedTuple):
    """A network that was made of another, and its C.

    Attributes:
        source: Its C.
        logits: What defines it: logits (N, classes) of images (N, C, H, W), to the last bit.
        how: What was looked at, for the manifest.
    """

    source: CSource
    logits: Callable[[Images], Floats]
    how: dict[str, Any]


def compile_network(
    bundle: Bundle,
    network: Network,
    dataset: ImageDataset,
    given_bytes: int,
    numbers: tuple[Activations, Weights] = (Activations.INT16, Weights.FLOAT32),
    beat: Beat = no_beat,
) -> Compiled:
    """Write a bundle's network as C with other numbers, and see on all validation and test images what that C computes.

    Args:
        bundle: With its manifest.
        network: Rebuilt from it, frozen.
        dataset: That it was trained with.
        given_bytes: Of test images that may be in the self-test.
        numbers: Of activations, and of the weights of stem and classifier.
        beat: Called now and then.

    Raises:
        ExportError: If an operation has no form in such numbers, the data have no test part, or a build of the C computes
            another bit than what defines it; what, or the image and both values, are named.
    """
    if dataset.test is None:
        message = f"dataset {dataset.name} was loaded without its test part"
        raise ExportError(message)
    activations, weights = numbers
    digest = hashlib.sha256(bundle.file(WEIGHTS)).hexdigest()
    changed = with_int8_weights(network) if weights is Weights.INT8 else network
    program = trace_network(changed, bundle.candidate.class_names)
    made = (_in_int16 if activations is Activations.INT16 else _in_float32)(changed, program, dataset.train, digest)
    chosen = choose_images(dataset.test, program.image, given_bytes)
    folder = with_selftest(source_files(made.source), digest, chosen, made.logits(chosen[0]))
    with Verification(folder.files, beat, tolerance=0.0) as verification:
        parts = {"validation": dataset.validation, "test": dataset.test}
        accuracy = {name: _measure(name, part, network, made.logits, verification)._asdict() for name, part in parts.items()}
        verified = verification.facts()
    told = {"written": True, "activations": activations.value, "weights": weights.value, **made.how, "accuracy": accuracy}
    before = {name: bundle.manifest["c"][name] for name in _FIGURES if name in bundle.manifest.get("c", {})}
    facts = {**told, **folder.facts, **verified, "bundle": before}
    return Compiled(_zip(bundle.manifest, folder, facts), facts)


def _in_float32(network: Network, program: Program, train: Part, digest: str) -> _Made:
    del train
    return _Made(c_source.write_c(program, digest, version("nas-service")), lambda images: logits_in_order(network, images), {})


def _in_int16(network: Network, program: Program, train: Part, digest: str) -> _Made:
    del network
    seen = calibration_images(train)
    stages = plan_int16(program, seen)
    source = write_c(program, stages, digest, version("nas-service"))

    def logits(images: Images) -> Floats:
        return run_network(stages, images.transpose(0, 2, 3, 1))

    return _Made(source, logits, {"calibration_images": len(seen)})


def calibration_images(train: Part) -> Images:
    """Return up to CALIBRATION_IMAGES images (N, C, H, W) of a part, evenly spread."""
    count = min(CALIBRATION_IMAGES, len(train))
    return train.at(np.arange(count) * len(train) // max(count, 1))


def plan_int16(program: Program, images: Images) -> list[IntStage]:
    """Return a program's stages in whole numbers, with exponents by what images (N, C, H, W) make of its maps.

    Raises:
        ExportError: If an operation has no form in whole numbers, naming it.
    """
    stages = take_signs_early(without_copies(store_signs(make_stages(program))), MAP_BYTES)
    peaks = find_peaks(program, images, [stage.output for stage in stages if stage.bits is None])
    return plan_network(stages, peaks)


def _measure(
    name: str, part: Part, network: Network, defined: Callable[[Images], Floats], verification: Verification
) -> Measured:
    correct, other = np.zeros(2, np.int64), 0
    for start in range(0, len(part), _BATCH):
        images = part.at(slice(start, start + _BATCH))
        logits = defined(images)
        verification.see(name, start, images, logits)
        classes = np.stack([_float_logits(network, images).argmax(1), logits.argmax(1)])
        correct += (classes == part.labels[start : start + _BATCH]).sum(1)
        other += int((classes[0] != classes[1]).sum())
    shares = (correct / max(len(part), 1)).tolist()
    return Measured(len(part), shares[0], shares[1], other)


@torch.no_grad()
def _float_logits(network: Network, images: Images) -> Floats:
    logits: Floats = network(torch.tensor(images).to(torch.float32).div(255)).numpy()
    return logits


def _zip(manifest: Mapping[str, Any], folder: Folder, facts: Mapping[str, Any]) -> bytes:
    """Return the zip: C, `packed.py`, card and manifest, which goes on naming the weights that it was made from."""
    other = {"files", "onnx", "qonnx", "metrics", "rounding"}  # what is said of another network
    said = {key: value for key, value in manifest.items() if key not in other} | {"format": C_FORMAT, "c": facts}
    files = {**folder.files, "README.md": compiled_card(said).encode()}
    listed = {name: listing(content) for name, content in files.items()} | {WEIGHTS: manifest["files"][WEIGHTS]}
    text = json_text({**said, "files": listed}, sort_keys=True)
    return pack({MANIFEST: text.encode(), **files})
