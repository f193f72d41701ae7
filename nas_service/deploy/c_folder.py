"""A network's C as the files of a bundle: the network, its self-test, a Makefile, and a loader for Python."""

from collections.abc import Mapping
from importlib.resources import files as resources
from typing import Any, NamedTuple

from nas_service.data.part import Images, Part
from nas_service.deploy import loader, packed_network
from nas_service.deploy.c_source import CSource, write_c
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.program import Program
from nas_service.deploy.selftest import choose_images, logits_in_order, write_selftest
from nas_service.errors import ExportError
from nas_service.export.bundle_archive import C_HEADER, C_MAKEFILE, C_SELFTEST, C_SOURCE, LIMITS, LOADER, MIB
from nas_service.export.one_file import joined_source
from search_spaces.network import Network


class Folder(NamedTuple):
    """C and what is known of it.

    Attributes:
        files: By name.
        facts: For the manifest.
    """

    files: dict[str, bytes]
    facts: dict[str, Any]


def packed_source() -> str:
    """Return the text of `packed.py`."""
    lines = joined_source((loader, packed_network), last="numpy")
    return "\n".join([f'"""{packed_network.__doc__}"""', "", *lines, ""])


def network_files(program: Program, digest: str, version: str) -> Folder:
    """Return what depends on the network alone: all but the self-test.

    Args:
        program: The network.
        digest: SHA-256 of its weights.safetensors.
        version: Of this service.

    Raises:
        ExportError: If it cannot be written as C.
    """
    return source_files(write_c(program, digest, version))


def source_files(source: CSource) -> Folder:
    """Return the same of C that is written.

    Raises:
        ExportError: If it is too large for a bundle.
    """
    files = {
        C_SOURCE: source.source.encode(),
        C_HEADER: source.header.encode(),
        C_MAKEFILE: (resources("nas_service.deploy") / "c_parts" / "Makefile").read_bytes(),
        LOADER: packed_source().encode(),
    }
    _check_sizes(files)
    facts = {"arena_bytes": source.arena_bytes, "constant_bytes": source.constant_bytes, "checksum": source.checksum}
    return Folder(files, facts)


def c_folder(frozen: Network, program: Program, digest: str, version: str, test: Part, given_bytes: int) -> Folder:
    """Return all files, with a self-test of images of `test`, up to `given_bytes` of them.

    Raises:
        ExportError: As above.
    """
    folder, chosen = network_files(program, digest, version), choose_images(test, program.image, given_bytes)
    return with_selftest(folder, digest, chosen, logits_in_order(frozen, chosen[0]))


def with_selftest(folder: Folder, digest: str, chosen: tuple[Images, str], logits: Floats) -> Folder:
    """Return files of C with a self-test of chosen images, whose logits are these to the last bit."""
    images, origin = chosen
    files = {**folder.files, C_SELFTEST: write_selftest(folder.facts["checksum"], digest, images, origin, logits).encode()}
    _check_sizes(files)
    return Folder(files, {**folder.facts, "selftest_images": len(images)})


def _check_sizes(files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        if len(content) > LIMITS[name].unpacked:
            raise ExportError(f"{name} has {len(content) / MIB:,.1f} MiB; allowed: up to {LIMITS[name].unpacked // MIB} MiB")
