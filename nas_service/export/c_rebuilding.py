"""The C of a bundle's rebuilt network: compared with the bundle's own, and run; nothing in the bundle is compiled."""

import hashlib
import re
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from nas_service.deploy.c_folder import network_files
from nas_service.deploy.loader import FASTEST, SHARED, Library, PackedError, compile_c, find_compiler, predefined
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_HEADER, C_SOURCE, WEIGHTS
from nas_service.export.bundle_reading import Bundle
from search_spaces.network import Network

_VERSION = re.compile(rb"^#define NN_VERSION .*$", re.MULTILINE)  # of who wrote a header: no part of the network
_SELDOM = 64  # images between two looks at a Control-C


def rebuilt_c(bundle: Bundle, network: Network) -> dict[str, bytes]:
    """Return what this version writes of a rebuilt network, by name: all files of C but the self-test.

    Raises:
        ExportError: If it cannot be written as C.
    """
    digest = hashlib.sha256(bundle.file(WEIGHTS)).hexdigest()
    program = trace_network(network, bundle.candidate.class_names)
    return network_files(program, digest, version("nas-service")).files


def state_of_c(bundle: Bundle, network: Network) -> str:
    """Return how a bundle's C compares with what this version writes but for its number: "as written", "differs", "not there"."""
    try:
        own = rebuilt_c(bundle, network)
    except ExportError:
        own = {}
    given = {name: bundle.files[name] for name in (own or (C_SOURCE, C_HEADER)) if name in bundle.files}
    if not given:
        return "not there"
    return "as written" if _without_version(given) == _without_version(own) else "differs"


def _without_version(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: _VERSION.sub(b"", content) if name == C_HEADER else content for name, content in files.items()}


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
        for name in (C_SOURCE, C_HEADER):
            (Path(folder) / Path(name).name).write_bytes(files[name])
        output = Path(folder) / "network.so"
        try:
            compile_c(compiler, (*flags, *SHARED), (Path(folder) / "network.c",), output)
            with closing(Library(output, files[C_HEADER].decode())) as library:
                chunks = [library.logits(chunk.numpy()).argmax(1) for chunk in images.split(_SELDOM)]
        except (PackedError, OSError) as error:
            raise ExportError(f"the network's C cannot be run here: {error}") from error
    return torch.cat([torch.tensor(chunk) for chunk in chunks])
