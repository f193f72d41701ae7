"""What a bundle's rebuilt network is as C and as ONNX: compared with the bundle's own, and run; nothing in the bundle is."""

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from nas_service.deploy.apart import Apart
from nas_service.deploy.c_folder import network_files, with_selftest
from nas_service.deploy.loader import FASTEST, SHARED, PackedError, compile_c, find_compiler, predefined
from nas_service.deploy.onnx_file import Origin, write_onnx, write_qonnx
from nas_service.deploy.program import Program
from nas_service.deploy.selftest import logits_in_order, stated_images
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_HEADER, C_SELFTEST, C_SOURCE, ONNX, QONNX, WEIGHTS
from nas_service.export.bundle_reading import Bundle
from nas_service.export.deployed import FROM_TRACE
from nas_service.export.formats import DOWNLOADS, DownloadFormat
from search_spaces.network import Network

_VERSION = re.compile(rb"^#define NN_VERSION .*$", re.MULTILINE)  # of who wrote a header: no part of the network
_SELDOM = 64  # images between two looks at a Control-C


class Rewritten:
    """What this version writes for programs without torch of a bundle's rebuilt network; its self-test is of the bundle's images.

    Attributes:
        states: By format: "as written" if the bundle's own files are that to the letter, but for the number of this version, else
            "differs" or "not there".
        differing: The names of those that are not, by format.
    """

    def __init__(self, bundle: Bundle, network: Network) -> None:
        """Write all formats, and compare."""
        digest, own = hashlib.sha256(bundle.file(WEIGHTS)).hexdigest(), version("nas-service")
        origin = Origin(digest, _stated_version(bundle) or own)
        writers: dict[DownloadFormat, Callable[[Program], dict[str, bytes]]] = {
            DownloadFormat.C: lambda program: _in_c(bundle, network, digest, program),
            DownloadFormat.ONNX: lambda program: {ONNX: write_onnx(program, origin)},
            DownloadFormat.QONNX: lambda program: {QONNX: write_qonnx(program, origin)},
        }
        self._files: dict[DownloadFormat, dict[str, bytes]] = {name: {} for name in FROM_TRACE}
        self._reasons: dict[DownloadFormat, str] = {}
        for name in FROM_TRACE:
            try:
                self._files[name] = writers[name](trace_network(network, bundle.candidate.class_names))
            except ExportError as error:
                self._reasons[name] = str(error)
        self.differing = {name.value: _differing(name, bundle, own) for name, own in self._files.items()}
        names = {name: DOWNLOADS[name].files for name in FROM_TRACE}
        there = {name: any(file in bundle.files for file in files) for name, files in names.items()}
        self.states = {
            name.value: ("differs" if self.differing[name.value] else "as written") if is_there else "not there"
            for name, is_there in there.items()
        }

    def files(self, name: DownloadFormat) -> dict[str, bytes]:
        """Return the files of a format, by name.

        Raises:
            ExportError: If it cannot be written in that format.
        """
        if name in self._reasons:
            raise ExportError(self._reasons[name])
        return self._files[name]


def _in_c(bundle: Bundle, network: Network, digest: str, program: Program) -> dict[str, bytes]:
    """Return files of C, with a self-test of the images that the bundle's own has; without, where that has none."""
    folder = network_files(program, digest, version("nas-service"))
    try:
        chosen = stated_images(bundle.files.get(C_SELFTEST, b"").decode(), program.image)
    except ValueError:  # nor is it text
        return folder.files
    return with_selftest(folder, digest, chosen, logits_in_order(network, chosen[0])).files


def _stated_version(bundle: Bundle) -> str | None:
    """Return the number of the version that wrote a bundle: it stands in files of ONNX, and is no part of the network."""
    stated = bundle.manifest.get("versions")
    number = stated.get("nas-service") if isinstance(stated, dict) else None
    return number if isinstance(number, str) else None


def _differing(name: DownloadFormat, bundle: Bundle, own: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the names of a bundle's files of a format that are not as they are written here; () if it has none at all."""
    compared = DOWNLOADS[name].files
    if not any(file in bundle.files for file in compared):
        return ()
    there, here = ({file: _without_version(file, files.get(file)) for file in compared} for files in (bundle.files, own))
    return tuple(file for file in compared if here[file] is None or there[file] != here[file])


def _without_version(name: str, content: bytes | None) -> bytes | None:
    return _VERSION.sub(b"", content) if name == C_HEADER and content is not None else content


def classify_in_c(files: dict[str, bytes], images: Tensor) -> Tensor:
    """Return the class (N,) that C, compiled here for this processor, takes each of uint8 `images` (N, C, H, W) for.

    Raises:
        ExportError: If there is no C compiler here, or it refuses.
    """
    try:
        compiler = find_compiler()
    except PackedError as error:
        raise ExportError(f"{error}; --with torch needs none") from error
    if compiler is None:
        raise ExportError("no C compiler (cc, gcc or clang, with its headers) is on PATH here; --with torch needs none")
    flags = next((each for each in FASTEST if predefined(compiler, each) is not None), ())
    with tempfile.TemporaryDirectory(prefix="nas-c-") as folder:
        written = {Path(folder) / Path(name).name: files[name] for name in (C_SOURCE, C_HEADER, C_SELFTEST) if name in files}
        for path, content in written.items():
            path.write_bytes(content)
        output, sources = Path(folder) / "network.so", tuple(path for path in written if path.suffix == ".c")
        try:
            compile_c(compiler, (*flags, "-DNN_NO_MAIN", *SHARED), sources, output)
            with closing(Apart(output, Path(folder) / "network.h", "the network's C")) as library:
                if C_SELFTEST in files and (wrong := library.selftest()):
                    raise ExportError(f"the self-test of the network's C returns {wrong} here with {' '.join(flags)}")
                chunks = [library.logits(chunk.numpy()).argmax(1) for chunk in images.split(_SELDOM)]
        except (PackedError, OSError) as error:
            raise ExportError(f"the network's C cannot be run here: {error}") from error
    return torch.cat([torch.tensor(chunk) for chunk in chunks])
