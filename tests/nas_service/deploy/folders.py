"""Small networks as folders of C, made once for all tests that only read them."""

import hashlib
import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from nas_service.catalogue import build_space
from nas_service.deploy.c_folder import c_folder
from nas_service.deploy.tracing import trace_network
from nas_service.specs import Component
from search_spaces.network import Network
from tests.nas_service.deploy import given
from tests.samples import digits

WEIGHTS_DIGEST = hashlib.sha256(b"weights").hexdigest()


@cache
def frozen_network(space_name: str = "tiny", method_name: str = "bnn", template: str = "shortcut") -> Network:
    """Return a frozen network for digits."""
    space = build_space(Component(name=space_name, settings={"template": template} if template else {}))
    return given.frozen_network(space, method_name, digits().image_format)


@cache
def _files(space_name: str, method_name: str, template: str) -> dict[str, bytes]:
    frozen, dataset = frozen_network(space_name, method_name, template), digits()
    assert dataset.test is not None
    program = trace_network(frozen, dataset.class_names)
    return c_folder(frozen, program, WEIGHTS_DIGEST, "1.2", dataset.test, 10**6).files


def c_files(space_name: str = "tiny", method_name: str = "bnn", template: str = "shortcut") -> dict[str, bytes]:
    """Return all files of a network's C by name."""
    return dict(_files(space_name, method_name, template))


def write_bundle(folder: Path, files: dict[str, bytes], weights_digest: str = WEIGHTS_DIGEST) -> Path:
    """Write files and the manifest that lists them, as a bundle has them."""
    listed = {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    listed["weights.safetensors"] = {"sha256": weights_digest}
    (checksum,) = re.findall(rb"nn_expected_checksum = (0x[0-9a-f]{8})u", files["c/selftest.c"])
    image = {"channels": 1, "height": 8, "width": 8}
    stated = {"files": listed, "c": {"checksum": int(checksum, 16)}, "class_names": list("0123456789"), "image": image}
    for name, content in {**files, "manifest.json": json.dumps(stated).encode()}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make in a bundle's folder of C."""
    command = [shutil.which("make") or "", "-C", str(folder / "c"), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
