"""Bundle: the downloadable zip of one candidate or architecture, and reading one back."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from nas_service.binarization.method import Method
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space
from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Part
from nas_service.errors import ExportError
from nas_service.export import runtime
from nas_service.export.measured_cost import measured_cost
from nas_service.export.model_card import architecture_card, candidate_card
from nas_service.export.packed import freeze_network, pruned_layers, shrink_layers
from nas_service.export.standalone import frozen_weights, weight_name, write_source
from nas_service.json_text import json_text
from nas_service.reports import Beat, CandidateMetrics, ClassFigures, EpochReport, RobustnessFigures, no_beat
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from search_spaces.cost import Size
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network

FORMAT = "nas-bundle/1"
LOGIT_TOLERANCE = 1e-4  # of the largest logit; methods with one scale a channel are exact
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # so that equal contents make equal files


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
    text = json_text({"format": FORMAT, **manifest, "versions": _versions(), "files": listed}, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"manifest.json": text.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


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


def read_test_images(content: bytes) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) uint8 and labels (N,) from what `write_test_images` wrote.

    Raises:
        ExportError: If it is something else.
    """
    try:
        tensors = load(content)
        return tensors["images"], tensors["labels"]
    except (SafetensorError, KeyError) as error:
        raise ExportError(f"not a safetensors file with images and labels: {error}") from error


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
    """Freeze a trained network, write its bundle, and prove that the written source gives the network's own logits.

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
        ExportError: If the frozen network does not classify as the trained one does, or the dataset has no test part.
    """
    if dataset.test is None:
        message = f"dataset {dataset.name} was loaded without its test part"
        raise ExportError(message)
    frozen = freeze_network(network, method)
    weights = {name: tensor.contiguous() for name, tensor in frozen_weights(frozen).items()}
    source = write_source(frozen, f"A 1-bit network: {task.genotype.space}, {task.method.name}, {task.dataset.name}.")
    live, written = network.cpu().eval(), _run_source(source, weights)
    parts = (("validation", dataset.validation), ("test", dataset.test))
    scores = [_score(live, written, name, part, dataset.class_names, beat) for name, part in parts]
    metrics = CandidateMetrics.of(last, scores[0], scores[1], robustness)
    cost = measured_cost(frozen, dataset.image_format).to_dict()
    manifest = {**_candidate_manifest(task, dataset, metrics), "cost": cost, "pruned": pruned_layers(frozen)}
    files = {
        "genotype.json": task.genotype.to_json().encode(),
        "weights.safetensors": save(weights),
        "model.py": source.encode(),
    }
    if dataset.test.nbytes <= task.bundled_test_bytes:
        files["test.safetensors"] = write_test_images(dataset.test)
    files["README.md"] = candidate_card(manifest, has_test_images="test.safetensors" in files).encode()
    return Exported(_zip(files, manifest), metrics, cost)


@torch.no_grad()
def _score(
    live: torch.nn.Module, written: torch.nn.Module, name: str, part: Part, class_names: tuple[str, ...], beat: Beat
) -> ClassFigures:
    """Count by class how the written network classifies, showing batch by batch that it is the live one.

    Raises:
        ExportError: If logits differ by more than the order of float sums explains, or in a single class; the first image and
            both logits are named.
    """
    predicted = list[int]()
    for start in range(0, len(part), runtime.BATCH):
        beat()
        pixels = torch.tensor(part.at(slice(start, start + runtime.BATCH))).to(torch.float32).div(255)
        expected, actual = live(pixels), written(pixels)
        differs = (expected - actual).abs().amax(1) > LOGIT_TOLERANCE * expected.abs().amax(1).clamp_min(1)
        differs |= expected.argmax(1) != actual.argmax(1)
        if bool(differs.any()):
            row = int(differs.nonzero()[0])
            given = f"{actual[row].tolist()} instead of {expected[row].tolist()}"
            raise ExportError(f"the frozen network's logits of {name} image {start + row} are {given}")
        predicted += actual.argmax(1).tolist()
    return ClassFigures.count(class_names, part.labels.tolist(), predicted)


def _candidate_manifest(task: CandidateTask, dataset: ImageDataset, metrics: CandidateMetrics) -> dict[str, Any]:
    return {
        "kind": "candidate",
        "candidate_id": task.candidate_id,
        "space": task.space.model_dump(),
        "genotype_digest": task.genotype.digest,
        "method": task.method.model_dump(),
        "dataset": task.dataset.model_dump(),
        "class_names": list(dataset.class_names),
        "image": image_facts(dataset.image_format),
        "seed": task.seed,
        "recipe": task.recipe.model_dump(mode="json"),
        "metrics": metrics.model_dump(mode="json", exclude_none=True),
        "search": dict(task.search or {}),
    }


def architecture_bundle(space: Component, genotype: Genotype, diagram: str, facts: Mapping[str, Any]) -> bytes:
    """Return the zip of an architecture that was not trained: genotype, drawing, model card."""
    manifest = {"kind": "architecture", "space": space.model_dump(), "genotype_digest": genotype.digest, **facts}
    files = {
        "genotype.json": genotype.to_json().encode(),
        "diagram.svg": diagram.encode(),
        "README.md": architecture_card(manifest).encode(),
    }
    return _zip(files, manifest)


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and whose files have the digests that its manifest states."""

    manifest: dict[str, Any]
    files: dict[str, bytes]


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle; nothing in it is executed.

    Raises:
        ExportError: If it is no bundle, a file is missing, or a digest differs.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            files = {name: archive.read(name) for name in manifest["files"]}
        form, digests = manifest["format"], {name: manifest["files"][name]["sha256"] for name in files}
    except FileNotFoundError as error:
        raise ExportError(f"{path}: there is no such file") from error
    # A damaged zip fails in many ways: zlib.error, EOFError, a compression or an encryption that is none.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, LookupError, TypeError, ValueError, RuntimeError) as error:
        message = f"{path} is not a bundle: {error}"
        raise ExportError(message) from error
    if form != FORMAT:
        message = f"{path} has format {form!r}; this version reads {FORMAT}"
        raise ExportError(message)
    for name, content in files.items():
        if hashlib.sha256(content).hexdigest() != digests[name]:
            message = f"{path}: {name} is not the file that the manifest describes (SHA-256 differs)"
            raise ExportError(message)
    return Bundle(manifest, files)


def network_of(bundle: Bundle) -> Network:
    """Rebuild the frozen network from genotype and weights, without the bundle's own `model.py`.

    Raises:
        ExportError: If the bundle holds no trained network or its weights do not fit.
    """
    manifest = bundle.manifest
    if manifest.get("kind") != "candidate":
        message = "this bundle holds an architecture that was not trained: there is nothing to evaluate"
        raise ExportError(message)
    try:
        weights = load(bundle.files["weights.safetensors"])
        facts = manifest["image"]
        image = ImageFormat(
            facts["channels"],
            Size(facts["height"], facts["width"]),
            facts["classes"],
            tuple(facts["mean"]),
            tuple(facts["std"]),
        )
        genotype = Genotype.from_json(bundle.files["genotype.json"].decode())
        method = build_method(Component.model_validate(manifest["method"]))
        space = build_space(Component.model_validate(manifest["space"]))
        network = freeze_network(binary_network(space, genotype, method, image), method)  # its weights are overwritten below
        shrink_layers(network, manifest.get("pruned", {}))
        if set(frozen_weights(network)) != set(weights):
            differing = sorted(set(frozen_weights(network)) ^ set(weights))
            raise ExportError(f"weights.safetensors does not fit the genotype: {', '.join(differing[:3])} ...")
        names = {weight_name(name): name for name in network.state_dict()}
        network.load_state_dict({names[name]: tensor for name, tensor in weights.items()})
    except KeyError as error:
        raise ExportError(f"the bundle's manifest or files lack {error}") from error
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise ExportError(f"the bundle's network cannot be rebuilt: {error}") from error
    return network
