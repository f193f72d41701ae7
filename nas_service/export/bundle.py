"""Bundle: the downloadable zip of one candidate or architecture; `bundle_reading` reads one back."""

import hashlib
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import ModuleType
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from nas_service.binarization.method import Method
from nas_service.catalogue import build_space, stated_space
from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Images, Part
from nas_service.errors import ExportError
from nas_service.export import runtime
from nas_service.export.bundle_archive import C_CARD, CARD, MANIFEST, MAX_TEST_BYTES, TEST_IMAGES, WEIGHTS, pack
from nas_service.export.bundle_reading import FORMAT
from nas_service.export.deployed import write_deployed
from nas_service.export.hub import hub_files
from nas_service.export.measured_cost import measured_cost
from nas_service.export.model_card import architecture_card, c_card, candidate_card
from nas_service.export.packed import freeze_network, pruned_layers
from nas_service.export.rebuilding import check_size
from nas_service.export.standalone import frozen_weights, source_title, write_source
from nas_service.export.strict_json import read_object
from nas_service.json_text import json_text
from nas_service.reports import Beat, CandidateMetrics, ClassFigures, EpochReport, RobustnessFigures, no_beat
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network, network_cost

LOGIT_TOLERANCE = 1e-4  # of the largest logit, or of 1: far above what rounding does while no sign flips
# Of so many images of a part one, and at least one, may differ by more, or get another class: where what a sign sees lies within
# a rounding of 0 it may flip, and then logits move by per cents. Of 600 images of 32x32 pixels 24 did in `abandit-general`, none
# of which got another class; a layer that is wrong moves nearly all.
IMAGES_PER_FLIP, IMAGES_PER_CLASS = 5, 50
# Of images that lie between two classes either arithmetic gets about as many right. A frozen network that is right on fewer by
# more than one in so many of a part, and by more than MAX_LOST, has not rounded: it is worse.
IMAGES_PER_LOST, MAX_LOST = 100, 2


See = Callable[[str, int, Images, Tensor], None]  # of a part: its name, the place of the first image, images, logits


class Rounding(NamedTuple):
    """How many images of a part the frozen network, whose arithmetic is its own, takes otherwise than the trained one.

    Attributes:
        images: Of the part.
        above_tolerance: Those whose logits differ by more than LOGIT_TOLERANCE.
        other_class: Those that get another class.
    """

    images: int
    above_tolerance: int
    other_class: int


class _Score(NamedTuple):
    """What came out of one part."""

    figures: ClassFigures
    rounding: Rounding


class Exported(NamedTuple):
    """A candidate's bundle and what was measured of the frozen network in it.

    Attributes:
        content: The zip.
        metrics: What is known of it.
        cost: Parameters, operations and bytes.
    """

    content: bytes
    metrics: CandidateMetrics
    cost: dict[str, float]


def _versions() -> dict[str, str]:
    names = ("nas-service", "torch", "ray", "safetensors", "numpy")
    return {name: version(name) for name in names}


def _zip(files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> bytes:
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)} for name, content in files.items()
    }
    text = json_text({"format": FORMAT, **manifest, "versions": _versions(), "files": listed}, sort_keys=True).encode()
    read_object(text, MANIFEST)  # what cannot be read back is not written
    return pack({MANIFEST: text, **files})


def image_facts(image: ImageFormat) -> dict[str, Any]:
    """Return an image format as JSON."""
    return {
        "channels": image.channels,
        "height": image.size.height,
        "width": image.size.width,
        "classes": image.classes,
        "mean": list(image.mean),
        "std": list(image.std),
    }


def write_test_images(part: Part) -> bytes:
    """Return test images and labels as the safetensors file that `model.py` reads."""
    return save({"images": torch.tensor(part.images), "labels": torch.tensor(part.labels)})


def bundled_images(part: Part, most: int) -> dict[str, bytes]:
    """Return the file of test images by its name, unless they have more bytes than `most`, or than are read back."""
    content = write_test_images(part) if part.nbytes <= min(most, MAX_TEST_BYTES) else b""
    return {TEST_IMAGES: content} if 0 < len(content) <= MAX_TEST_BYTES else {}


def _run_source(source: str, weights: Mapping[str, Tensor]) -> torch.nn.Module:
    """Return the network that a written `model.py` defines, with its weights."""
    module = ModuleType("bundled_model")
    module.__dict__["__file__"] = "model.py"
    exec(compile(source, "model.py", "exec"), module.__dict__)  # noqa: S102 - our own text, written a moment ago
    network = module.__dict__["Network"]()
    assert isinstance(network, torch.nn.Module)  # noqa: S101 - for the type checker
    network.load_state_dict(dict(weights))
    return network.eval()


def candidate_bundle(  # noqa: PLR0913 - what was trained, on what, for what, and how it went
    network: Network,
    method: Method,
    dataset: ImageDataset,
    task: CandidateTask,
    last: EpochReport,
    robustness: RobustnessFigures | None = None,
    *,
    beat: Beat = no_beat,
) -> Exported:
    """Freeze a trained network, write its bundle, and prove that the written source classifies as the network does.

    Args:
        network: As trained.
        method: That trained it.
        dataset: With its test part.
        task: What was to be done.
        last: The last epoch of the training.
        robustness: What the network stands, if it was attacked.
        beat: Called before every batch of validation and test images.

    Returns:
        The zip, what is known of the frozen network, and its cost.

    Raises:
        CannotFreezeError: If the method has no exact frozen form.
        ExportError: If the frozen network takes more images otherwise than the trained one than rounding explains, the dataset
            has no test part, a file for programs without torch computes something else than the frozen network, or the bundle
            would not be read back.
    """
    if dataset.test is None:
        message = f"dataset {dataset.name} was loaded without its test part"
        raise ExportError(message)
    frozen = freeze_network(network, method)
    weights = {name: tensor.contiguous() for name, tensor in frozen_weights(frozen).items()}
    pruned = pruned_layers(frozen)
    whole = network_cost(build_space(task.space), task.genotype, dataset.image_format, method.facts.precision)
    check_size(whole, weights, is_pruned=bool(pruned))
    source = write_source(frozen, source_title(task.space.name, task.method.name, task.dataset.name))
    live, written = network.cpu().eval(), _run_source(source, weights)
    files = {"genotype.json": task.genotype.to_json().encode(), WEIGHTS: save(weights), "model.py": source.encode()}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    parts = {"validation": dataset.validation, "test": dataset.test}
    with write_deployed(frozen.cpu(), digests[WEIGHTS], dataset, task.bundled_test_bytes, beat) as deployed:
        scores = {
            name: _score((live, written), (name, part), dataset.class_names, deployed.see, beat) for name, part in parts.items()
        }
        formats = deployed.facts()
    metrics = CandidateMetrics.of(
        last, scores["validation"].figures, scores["test"].figures, robustness, method_revision=method.revision
    )
    cost = measured_cost(frozen, dataset.image_format).to_dict()
    rounding = {name: score.rounding._asdict() for name, score in scores.items()}
    measured = {"cost": cost, "pruned": pruned, "rounding": rounding, "bits": _bits(method), **formats}
    manifest = {**_candidate_manifest(task, dataset, metrics), **measured}
    files |= deployed.files | bundled_images(dataset.test, task.bundled_test_bytes) | hub_files(manifest, digests)
    files[CARD] = candidate_card(manifest, has_test_images=TEST_IMAGES in files).encode()
    if manifest["c"]["written"]:
        files[C_CARD] = c_card(manifest).encode()
    return Exported(_zip(files, manifest), metrics, cost)


def _bits(method: Method) -> dict[str, int]:
    precision = method.facts.precision
    return {"weights": precision.weight_bits, "activations": precision.activation_bits, "stem_and_classifier": 32}


@torch.no_grad()
def _score(
    networks: tuple[torch.nn.Module, torch.nn.Module], named: tuple[str, Part], class_names: tuple[str, ...], see: See, beat: Beat
) -> _Score:
    """Count by class how the written network classifies, and what it takes otherwise than the live one.

    Args:
        networks: The live one and the written one.
        named: A part and its name.
        class_names: Of the dataset.
        see: Given every batch of images and the written network's logits.
        beat: Called before every batch.

    Raises:
        ExportError: If the logits of more than one image in IMAGES_PER_FLIP differ by more than LOGIT_TOLERANCE, or the class of
            more than one in IMAGES_PER_CLASS, and of more than one, or if the written network is right on fewer images by more
            than one in IMAGES_PER_LOST, and by more than MAX_LOST; the first image and both logits are named.
    """
    (live, written), (name, part) = networks, named
    predicted = list[int]()
    above = other = lost = 0
    first = ""
    for start in range(0, len(part), runtime.BATCH):
        beat()
        images = part.at(slice(start, start + runtime.BATCH))
        pixels = torch.tensor(images).to(torch.float32).div(255)
        expected, actual = live(pixels), written(pixels)
        is_near = (expected - actual).abs().amax(1) <= LOGIT_TOLERANCE * expected.abs().amax(1).clamp_min(1)  # NaN is not
        is_same = expected.argmax(1) == actual.argmax(1)
        above, other = above + int((~is_near).sum()), other + int((~is_same).sum())
        labels = torch.tensor(part.labels[start : start + runtime.BATCH])
        lost += int((expected.argmax(1) == labels).sum()) - int((actual.argmax(1) == labels).sum())
        rows = (~(is_near & is_same)).nonzero().flatten().tolist()
        if rows and not first:
            given = f"{actual[rows[0]].tolist()} instead of {expected[rows[0]].tolist()}"
            first = f"its logits of {name} image {start + rows[0]} are {given}"
        see(name, start, images, actual)
        predicted += actual.argmax(1).tolist()
    rounding = Rounding(len(part), above, other)
    if above > max(1, len(part) // IMAGES_PER_FLIP) or other > max(1, len(part) // IMAGES_PER_CLASS):
        counts = f"on {above} of {len(part)} images by more than rounding and on {other} in the class"
        raise ExportError(f"the frozen network differs from the trained one {counts}: {first}")
    if lost > max(MAX_LOST, len(part) // IMAGES_PER_LOST):
        raise ExportError(f"the frozen network is right on {lost} of {len(part)} images fewer than the trained one: {first}")
    return _Score(ClassFigures.count(class_names, part.labels.tolist(), predicted), rounding)


def _candidate_manifest(task: CandidateTask, dataset: ImageDataset, metrics: CandidateMetrics) -> dict[str, Any]:
    return {
        "kind": "candidate",
        "candidate_id": task.candidate_id,
        "space": stated_space(task.space).model_dump(),
        "genotype_digest": task.genotype.digest,
        "method": task.method.model_dump(),
        "dataset": task.dataset.model_dump(),
        "dataset_digest": dataset.digest,
        "class_names": list(dataset.class_names),
        "preparation": dataset.preparation,
        "image": image_facts(dataset.image_format),
        "seed": task.seed,
        "recipe": task.recipe.model_dump(mode="json"),
        "metrics": metrics.model_dump(mode="json", exclude_none=True),
        "search": dict(task.search or {}),
    }


def architecture_bundle(space: Component, genotype: Genotype, diagram: str, facts: Mapping[str, Any]) -> bytes:
    """Return the zip of an architecture that was not trained: genotype, drawing, model card."""
    manifest = {"kind": "architecture", "space": stated_space(space).model_dump(), "genotype_digest": genotype.digest, **facts}
    files = {
        "genotype.json": genotype.to_json().encode(),
        "diagram.svg": diagram.encode(),
        CARD: architecture_card(manifest).encode(),
    }
    return _zip(files, manifest)
