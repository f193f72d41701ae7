"""What a bundle holds for programs without torch, each format written from one trace and run before anybody downloads it."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nas_service.data.dataset import ImageDataset
from nas_service.data.part import Images
from nas_service.deploy.c_folder import Folder, c_folder
from nas_service.deploy.onnx_file import Origin, write_onnx, write_qonnx
from nas_service.deploy.onnx_verifying import OnnxVerification
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import Verification
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import LIMITS, MIB, ONNX, QONNX
from nas_service.export.formats import DownloadFormat
from nas_service.reports import Beat, no_beat
from search_spaces.network import Network

FROM_TRACE = (DownloadFormat.C, DownloadFormat.ONNX, DownloadFormat.QONNX)
NOT_RUN = "the package qonnx runs it node by node, in the tests of this service and not when a bundle is made"


class Check(Protocol):
    """Runs the files of a format; a context."""

    def __enter__(self) -> Self:
        """Load or compile them."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove what was made for that."""

    def see(self, name: str, start: int, images: Images, expected: NDArray[np.float32]) -> None:
        """Compare them with the logits `expected` of images of a part, the first of which is number `start`."""

    def facts(self) -> dict[str, Any]:
        """Return what was seen, for the manifest."""


_Written = tuple[dict[str, bytes], dict[str, Any], Check | None]  # files, what is known of them, and what runs them


@dataclass
class Deployed:
    """Files for programs without torch, and how far they are shown to compute what the network computes; a context.

    Attributes:
        files: By name.
        known: Of each format, for the manifest: `written`, and a `reason` if not.
        checks: Of those that are written.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    _entered: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Load and compile what has to be."""
        with ExitStack() as stack:
            for check in self.checks.values():
                stack.enter_context(check)
            self._entered = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Remove what was compiled."""
        self._entered.__exit__(kind, error, trace)

    def see(self, name: str, start: int, images: Images, logits: Tensor) -> None:
        """Run every file on images (N, C, H, W) of a part, the first of which is number `start`.

        Raises:
            ExportError: If one computes something else than `logits`; file, image and both values are named.
        """
        for check in self.checks.values():
            check.see(name, start, images, logits.numpy())

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return what the manifest says of each format."""
        return {
            name: {**known, **(self.checks[name].facts() if name in self.checks else {})} for name, known in self.known.items()
        }


def write_deployed(frozen: Network, digest: str, dataset: ImageDataset, given_bytes: int, beat: Beat = no_beat) -> Deployed:
    """Write every format that is made from the trace; what a network has no form for is said, and not written.

    Args:
        frozen: The network.
        digest: SHA-256 of its weights.safetensors.
        dataset: With its test part.
        given_bytes: Of test images that may be in a bundle.
        beat: Called while files are run.
    """
    deployed = Deployed()
    try:
        program = trace_network(frozen, dataset.class_names)
    except ExportError as error:
        deployed.known = {name.value: {"written": False, "reason": str(error)} for name in FROM_TRACE}
        return deployed
    origin, test = Origin(digest, version("nas-service")), dataset.test
    assert test is not None  # noqa: S101 - for the type checker; who bundles a candidate has looked
    writers: dict[DownloadFormat, Callable[[], _Written]] = {
        DownloadFormat.C: lambda: _written_c(
            c_folder(frozen, program, origin.weights_sha256, origin.version, test, given_bytes), beat
        ),
        DownloadFormat.ONNX: lambda: _written_onnx(write_onnx(program, origin), beat),
        DownloadFormat.QONNX: lambda: (
            _one_file(QONNX, write_qonnx(program, origin)),
            {"verified": False, "reason": NOT_RUN},
            None,
        ),
    }
    for file_format, write in writers.items():
        try:
            files, known, check = write()
        except ExportError as error:
            deployed.known[file_format.value] = {"written": False, "reason": str(error)}
        else:
            deployed.files |= files
            deployed.known[file_format.value] = {"written": True, **known}
            deployed.checks |= {file_format.value: check} if check is not None else {}
    return deployed


def _written_c(folder: Folder, beat: Beat) -> _Written:
    return folder.files, folder.facts, Verification(folder.files, beat)


def _written_onnx(content: bytes, beat: Beat) -> _Written:
    return _one_file(ONNX, content), {}, OnnxVerification(content, beat)


def _one_file(name: str, content: bytes) -> dict[str, bytes]:
    most = LIMITS[name].unpacked
    if len(content) > most:
        raise ExportError(f"{name} has {len(content) / MIB:,.1f} MiB; allowed: up to {most // MIB} MiB")
    return {name: content}
