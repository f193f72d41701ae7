"""Formats that a candidate is downloaded in, and how each is taken out of its bundle. No torch."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nas_service.errors import ConflictError, ExportError
from nas_service.export.bundle_archive import C_CARD, C_FILES, C_FORMAT, CARD, MANIFEST, ONNX, QONNX, WEIGHTS, listing, pack
from nas_service.export.strict_json import read_object
from nas_service.json_text import json_text


class DownloadFormat(StrEnum):
    """What can be downloaded of a candidate."""

    BUNDLE = "bundle"  # the zip that runs without this service
    C = "c"  # what of it a program in C needs
    ONNX = "onnx"  # the network for runtimes of that format
    QONNX = "qonnx"  # the same with its binary operands quantised, for research
    SAFETENSORS = "safetensors"  # the trained network with its latent weights, to go on from


@dataclass(frozen=True)
class Download:
    """How a format is made and sent.

    Attributes:
        media_type: Of the file.
        suffix: Of its name.
        artifact: It is, or is taken out of.
        files: Of the bundle that it takes; empty: the artifact as it is.
        packed: Whether they go into a zip, with what else is said of them.
    """

    media_type: str
    suffix: str
    artifact: str = "bundle"
    files: Sequence[str] = ()
    packed: bool = False


DOWNLOADS = {
    DownloadFormat.BUNDLE: Download("application/zip", "zip"),
    DownloadFormat.C: Download("application/zip", "zip", files=C_FILES, packed=True),
    DownloadFormat.ONNX: Download("application/octet-stream", "onnx", files=(ONNX,)),
    DownloadFormat.QONNX: Download("application/octet-stream", "qonnx.onnx", files=(QONNX,)),
    DownloadFormat.SAFETENSORS: Download("application/octet-stream", "safetensors", artifact="safetensors"),
}


def take(file_format: DownloadFormat, content: bytes) -> bytes:
    """Return a download, out of the artifact it is taken from.

    Raises:
        ConflictError: If the bundle was made without it; why, if it says so.
        ExportError: If it is no bundle.
    """
    download = DOWNLOADS[file_format]
    if not download.files:
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            there = set(archive.namelist())
            if not there.issuperset(download.files):
                raise ConflictError(_why_not(file_format, archive.read(MANIFEST)))
            if not download.packed:
                return archive.read(download.files[0])
            card = archive.read(C_CARD if C_CARD in there else CARD)  # bundles of before have one card
            files = {CARD: card, **{name: archive.read(name) for name in download.files}}
            return pack({MANIFEST: _alone(read_object(archive.read(MANIFEST), MANIFEST), files), **files})
    except (zipfile.BadZipFile, KeyError) as error:
        raise ExportError(f"the stored bundle cannot be read: {error}") from error


def _alone(manifest: dict[str, Any], files: Mapping[str, bytes]) -> bytes:
    """Return the manifest of C alone: with the digests of its files, and of the weights that they were made from."""
    listed = {name: listing(content) for name, content in files.items()} | {WEIGHTS: manifest["files"][WEIGHTS]}
    return json_text({**manifest, "format": C_FORMAT, "files": listed}, sort_keys=True).encode()


def _why_not(file_format: DownloadFormat, manifest: bytes) -> str:
    stated = read_object(manifest, MANIFEST).get(file_format.value)
    if isinstance(stated, dict) and "reason" in stated:
        return f"this candidate has no {file_format}: {stated['reason']}"
    return f"this candidate's bundle was made before bundles had {file_format}; train it again for more"
