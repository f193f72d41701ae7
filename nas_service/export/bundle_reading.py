"""Reading a bundle back: who made it is not known, so everything that it states is checked and nothing in it is run."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import torch
from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nas_service.checking.problems import field_errors
from nas_service.data.classes import MAX_CLASSES
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_FORMAT, MANIFEST, TEST_IMAGES, unpack
from nas_service.export.strict_json import read_object
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.given import GivenModel
from search_spaces.network import ImageFormat

FORMAT = "nas-bundle/1"
_LARGEST_SIDE = 2**15  # pixels
_ONCE_SHORTCUT = {"abandit", "abandit-general", "abandit-mini", "bats", "bnas", "cp-nas", "tiny"}  # before manifests stated it
_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

StatedModel = TypeVar("StatedModel", bound="Stated")


class Stated(GivenModel):
    """Part of a manifest; what else is there is for people, or for other versions."""

    model_config = ConfigDict(extra="ignore")


class _Format(Stated):
    """What every manifest states, of whatever version."""

    format: str


class _File(Stated):
    """What a manifest states of a file."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int | None = Field(None, ge=0)


class _Listing(Stated):
    """What every manifest of this version's format states."""

    files: dict[str, _File]


class StatedImage(Stated):
    """What goes into the network and how many classes come out, as `image_facts` writes it."""

    channels: Literal[1, 3]
    height: int = Field(ge=1, le=_LARGEST_SIDE)
    width: int = Field(ge=1, le=_LARGEST_SIDE)
    classes: int = Field(ge=1, le=MAX_CLASSES)
    mean: list[float] = Field(max_length=3)
    std: list[float] = Field(max_length=3)

    @model_validator(mode="after")
    def _one_a_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError("as many values in mean and in std as channels")
        return self

    @property
    def format(self) -> ImageFormat:
        """The same, as networks are built for it."""
        return ImageFormat(self.channels, Size(self.height, self.width), self.classes, tuple(self.mean), tuple(self.std))


class StatedMetrics(Stated):
    """What the network is said to reach."""

    test_accuracy: float = Field(ge=0, le=1)


class StatedCandidate(Stated):
    """What the manifest of a trained network states."""

    space: Component
    method: Component
    dataset: Component
    image: StatedImage
    class_names: list[str] = Field(fail_fast=True)
    metrics: StatedMetrics
    pruned: dict[str, int] = Field(default_factory=dict)
    dataset_digest: str | None = None  # earlier versions stated none

    @field_validator("space")
    @classmethod
    def _with_template(cls, space: Component) -> Component:
        if space.name not in _ONCE_SHORTCUT or space.settings.get("template") is not None:
            return space
        return Component(name=space.name, settings={**space.settings, "template": "shortcut"})

    @field_validator("class_names")
    @classmethod
    def _one_a_class(cls, names: list[str], known: ValidationInfo) -> list[str]:
        image = known.data.get("image")
        if image is not None and len(names) != image.classes:
            raise ValueError(f"{image.classes} names, one of each of image.classes")
        return names


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and whose files have the digests that its manifest states.

    Attributes:
        manifest: As it stands; `candidate` is what is known to be sound.
        files: By name, without the manifest.
    """

    manifest: dict[str, Any]
    files: dict[str, bytes]

    def file(self, name: str) -> bytes:
        """Return a file.

        Raises:
            ExportError: If there is none.
        """
        if name not in self.files:
            raise ExportError(f"the bundle lacks {name}")
        return self.files[name]

    @cached_property
    def candidate(self) -> StatedCandidate:
        """What the manifest states of a trained network.

        Raises:
            ExportError: If there is none, or a field is missing or not as it may be.
        """
        if self.manifest.get("kind") == "architecture":
            raise ExportError("this bundle holds an architecture that was not trained: there is nothing to evaluate")
        if self.manifest.get("kind") != "candidate":
            raise ExportError(f"{MANIFEST}: kind: {self.manifest.get('kind')!r} is not allowed; allowed: candidate, architecture")
        return _read_stated(StatedCandidate, self.manifest)


def _read_stated(model: type[StatedModel], manifest: dict[str, Any]) -> StatedModel:
    try:
        return model.model_validate(manifest)
    except ValidationError as error:
        raise ExportError(f"{MANIFEST}: {field_errors(error)[0]}") from error


def read_bundle(path: Path) -> Bundle:
    """Read and verify a bundle; nothing in it is executed.

    Raises:
        ExportError: If it is no bundle, holds more than a bundle may, a file is missing, or a digest differs.
    """
    files = unpack(path)
    try:
        manifest = _take_manifest(files)
        form = _read_stated(_Format, manifest).format
        if form == FORMAT:
            _check_files(_read_stated(_Listing, manifest), files)
    except ExportError as error:
        raise ExportError(f"{path} is not a bundle: {error}") from error
    if form == C_FORMAT:
        raise ExportError(f"{path} is no bundle but C alone: `packed.py` in it runs it; `nas download` gives the whole bundle")
    if form != FORMAT:
        raise ExportError(f"{path} has format {form!r}; this version reads {FORMAT}")
    return Bundle(manifest, files)


def _take_manifest(files: dict[str, bytes]) -> dict[str, Any]:
    if MANIFEST not in files:
        raise ExportError(f"it lacks {MANIFEST}")
    return read_object(files.pop(MANIFEST), MANIFEST)


def _check_files(listing: _Listing, files: dict[str, bytes]) -> None:
    """Hold files against what the manifest says of them.

    Raises:
        ExportError: If one is there that is not listed, or the other way round, or has another digest.
    """
    for name in sorted(files.keys() | listing.files.keys()):
        if name not in files:
            raise ExportError(f"it lacks {name}, which the manifest lists")
        if name not in listing.files:
            raise ExportError(f"it holds {name}, which the manifest does not list")
        if hashlib.sha256(files[name]).hexdigest() != listing.files[name].sha256:
            raise ExportError(f"{name} is not the file that the manifest describes (SHA-256 differs)")
        if listing.files[name].size_bytes not in {None, len(files[name])}:
            stated = listing.files[name].size_bytes
            raise ExportError(f"{name} has {len(files[name])} bytes, not the {stated} that the manifest states")


def read_tensors(content: bytes, name: str) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file called `name`.

    Raises:
        ExportError: If it is something else.
    """
    try:
        return load(content)
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ExportError(f"{name} is no safetensors file that this version reads: {error}") from error


def read_test_images(content: bytes, image: StatedImage, name: str = TEST_IMAGES) -> tuple[Tensor, Tensor]:
    """Return images (N, C, H, W) uint8 and labels (N,) from what `write_test_images` wrote as a file `name`.

    Raises:
        ExportError: If it is something else; if there are none, or not such as a network for `image` takes and gives.
    """
    tensors = read_tensors(content, name)
    if lacking := [field for field in ("images", "labels") if field not in tensors]:
        raise ExportError(f"{name} lacks {' and '.join(lacking)}; it has {', '.join(sorted(tensors)) or 'nothing'}")
    images, labels = tensors["images"], tensors["labels"]
    wanted = (labels.numel(), image.channels, image.height, image.width)
    if labels.numel() == 0 or labels.ndim != 1 or tuple(images.shape) != wanted:
        given = f"{tuple(images.shape)} and labels {tuple(labels.shape)}"
        raise ExportError(
            f"{name}: test images of shape {given}; this network takes (N, {wanted[1]}, {wanted[2]}, {wanted[3]}) and (N,)"
        )
    if images.dtype != torch.uint8:
        raise ExportError(f"{name}: test images of {images.dtype}; allowed: torch.uint8, 0 to 255")
    if labels.dtype not in _WHOLE or not 0 <= int(labels.min()) <= int(labels.max()) < image.classes:
        given = f"of {labels.dtype} from {labels.min().item()} to {labels.max().item()}"
        raise ExportError(f"{name}: labels {given}; allowed: whole numbers from 0 to {image.classes - 1}")
    return images, labels
