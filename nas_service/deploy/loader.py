"""The bundle's network as C behind ctypes, from numpy and the standard library alone.

This file is every bundle's `packed.py`, to the letter: it imports nothing of this project and runs on Python 3.9. It compiles
`c/network.c` once, keeps the library in the user's cache, and is called as `model.py` is:

    from packed import Network

    logits = Network()(pixels)  # float32 in [0, 1] or uint8, (N, C, H, W); logits float32 (N, classes)

It runs the C of whoever made the bundle, as `model.py` runs his Python: SHA-256 tells damage, not who wrote it.
"""

from __future__ import annotations

import _ctypes
import argparse
import ctypes
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any, Optional

import numpy as np

HERE = Path(__file__).resolve().parent
SOURCES = ("c/network.c", "c/network.h")
COMPILERS = ("cc", "gcc", "clang")
Command = tuple[str, ...]
# Products and sums are rounded one by one: a fused multiply-add would give other bits, and now and then another sign.
EXACT = ("-std=c99", "-ffp-contract=off")
SHARED = ("-shared", "-fPIC")
FASTEST = (("-O3", "-march=native"), ("-O3", "-mcpu=native"), ("-O3",))  # the first that the compiler knows
PATIENCE_S = 600  # for a compiler
_LEVELS = 255
_ROUNDING = 1e-3  # that a pixel may be off one of 256 grey levels by, in levels: 40 times what float32 rounds by
_PROBE = b"#include <stdint.h>\n#include <stddef.h>\n#include <string.h>\n"
_DTYPES = {"U8": np.uint8, "I64": np.int64, "I32": np.int32, "F32": np.float32}


class PackedError(Exception):
    """The network cannot be run here, or its files are not those that the manifest describes."""


def find_compiler() -> Optional[Command]:  # noqa: UP045 - Python 3.9
    """Return the command of a C compiler that finds the standard headers: what CC says, else one of COMPILERS; None: no such.

    Raises:
        PackedError: If CC is set, and is no such command.
    """
    named = os.environ.get("CC", "").strip()
    if not named:
        return next(filter(None, map(_working, COMPILERS)), None)
    command = _working(named)
    if command is None:
        raise PackedError(
            f"CC is {named!r}, which is not the command of a C compiler that works here; unset, it is {COMPILERS[0]}"
        )
    return command


def _working(named: str) -> Optional[Command]:  # noqa: UP045 - as above
    try:
        name, *flags = shlex.split(named)
    except ValueError:  # a quotation without end, or nothing
        return None
    path = shutil.which(name)
    command = (path or name, *flags)
    return command if path is not None and predefined(command, ()) is not None else None


def predefined(compiler: Command, flags: Command) -> Optional[bytes]:  # noqa: UP045 - as above
    """Return all macros under such flags: they tell a compiler's version and the processor it writes for; None: it fails."""
    command = [*compiler, *flags, "-dM", "-E", "-x", "c", "-"]
    try:
        done = subprocess.run(command, input=_PROBE, capture_output=True, check=False, timeout=PATIENCE_S)  # noqa: S603 - a compiler
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def compile_c(compiler: Command, flags: Command, sources: tuple[Path, ...], output: Path) -> None:
    """Compile C.

    Raises:
        PackedError: With what the compiler says.
    """
    command = [*compiler, *EXACT, *flags, "-o", str(output), *map(str, sources)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=PATIENCE_S)  # noqa: S603 - as above
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackedError(f"{shlex.join(compiler)} cannot be run: {error}") from error
    if done.returncode != 0:
        raise PackedError(f"{shlex.join(command)} fails with {done.returncode}: {done.stderr.strip()[:400]}")


class Library:
    """A compiled network.

    Attributes:
        shape: Channels, height and width of an image.
        classes: As many as there are logits.
        digest: SHA-256 of the weights it was made from.
        arena_words: Of 8 bytes, that a call writes over.
        library: As ctypes has it.
    """

    def __init__(self, path: Path, header: str) -> None:
        """Load a shared library; `header` is the text of its network.h.

        Raises:
            PackedError: If the header lacks something, or the system refuses the library.
        """
        defined = dict(re.findall(r'^#define NN_(\w+) "?(\w+)"?', header, re.MULTILINE))
        try:
            self.shape = (int(defined["CHANNELS"]), int(defined["HEIGHT"]), int(defined["WIDTH"]))
            self.classes, self.digest = int(defined["CLASSES"]), defined["DIGEST"]
            self.arena_words = -(-int(defined["ARENA_BYTES"]) // 8)
        except (KeyError, ValueError) as error:
            raise PackedError(f"network.h does not define {error}") from error
        try:
            self.library = ctypes.CDLL(str(path))
            self._run = self.library.nn_run
        except (OSError, AttributeError) as error:
            raise PackedError(f"the compiled network cannot be loaded: {error}") from error
        self._run.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
        self._run.restype = ctypes.c_int

    def logits(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return logits, float32 (N, classes), of uint8 images (N, C, H, W); may be called from several threads at a time.

        Raises:
            PackedError: If the network refuses an image.
        """
        rows = np.ascontiguousarray(images.transpose(0, 2, 3, 1), np.uint8)
        arena = np.empty(self.arena_words, np.uint64)
        outputs = np.empty((len(rows), self.classes), np.float32)
        for image, output in zip(rows, outputs):  # noqa: B905 - Python 3.9; as many of each, made above
            if wrong := self._run(arena.ctypes.data, image.ctypes.data, output.ctypes.data):
                raise PackedError(f"nn_run returns {wrong}")
        return outputs

    def close(self) -> None:
        """Unload it, which ctypes never does; nothing of it may be called afterwards."""
        _ctypes.dlclose(self.library._handle)  # noqa: SLF001 - ctypes has no other way


class Network:
    """The network of this bundle."""

    def __init__(self, folder: Path = HERE) -> None:
        """Check the bundle's C against its manifest, and load it; the first time it is compiled.

        Raises:
            PackedError: If a file is not what the manifest says, or there is no C compiler, cache or loadable library.
        """
        sources, weights = _checked(folder)
        compiler = find_compiler()
        if compiler is None:
            names = ", ".join(COMPILERS)
            raise PackedError(
                f"no C compiler: none of {names} is on PATH with its headers (nor CC set); model.py needs torch instead"
            )
        header = sources["c/network.h"].decode()
        self._library = _load(compiler, sources, header)
        if self._library.digest != weights:
            raise PackedError(f"network.h was made for weights of SHA-256 {self._library.digest}, the bundle has {weights}")

    def __call__(self, pixels: object) -> np.ndarray[Any, Any]:
        """Return logits, float32 (N, classes), of pixels (N, C, H, W): uint8, or floats in [0, 1] that are k / 255.

        Raises:
            ValueError: If the pixels are none.
        """
        return self._library.logits(_grey_levels(np.asarray(pixels), self._library.shape))


def _grey_levels(pixels: np.ndarray[Any, Any], shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    if tuple(pixels.shape[1:]) != shape or pixels.ndim != len(shape) + 1:
        wanted = f"(N, {shape[0]}, {shape[1]}, {shape[2]})"
        raise ValueError(f"pixels of shape {pixels.shape} are not allowed; allowed: {wanted}, N images at once")
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise ValueError(f"pixels of {pixels.dtype} are not allowed; allowed: uint8, or float in [0, 1], as images / 255")
    levels = pixels.astype(np.float64) * _LEVELS
    nearest = np.rint(levels)
    is_level = (np.abs(levels - nearest) <= _ROUNDING) & (nearest >= 0) & (nearest <= _LEVELS)  # NaN is not
    if not is_level.all():
        given = pixels[~is_level].flat[0]
        raise ValueError(
            f"a pixel of {given:g} is not allowed; allowed: k / 255 for a whole number k from 0 to 255, as in images"
        )
    grey: np.ndarray[Any, Any] = nearest.astype(np.uint8)
    return grey


def _checked(folder: Path) -> tuple[dict[str, bytes], str]:
    """Return the C and the digest of the weights, once it is known that they are what the manifest describes."""
    try:
        listed = {
            name: str(entry["sha256"]) for name, entry in json.loads((folder / "manifest.json").read_bytes())["files"].items()
        }
        weights = listed["weights.safetensors"]
        sources = {name: (folder / name).read_bytes() for name in SOURCES}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise PackedError(f"{folder} is no bundle with C: {error!r}") from error
    for name, content in sources.items():
        if hashlib.sha256(content).hexdigest() != listed.get(name):
            raise PackedError(f"{name} is not the file that manifest.json describes (SHA-256 differs): it is not compiled")
    return sources, weights


def _load(compiler: Command, sources: dict[str, bytes], header: str) -> Library:
    """Load the compiled network, from the cache if it is there; where a cache is not the user's alone it is not used."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas-packed"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(cache):
            return Library(_cached(compiler, sources, cache), header)
        warnings.warn(f"{cache} is not this user's alone: the network is compiled anew every time", stacklevel=3)
        with tempfile.TemporaryDirectory(prefix="nas-packed-") as private:
            return Library(_cached(compiler, sources, Path(private)), header)  # which stays loaded without its file
    except (OSError, RuntimeError) as error:  # the latter: there is no home
        message = f"the compiled network cannot be kept in the user's cache ({error}); XDG_CACHE_HOME names another folder"
        raise PackedError(message) from error


def _is_own(folder: Path) -> bool:
    """Return whether a folder belongs to this user and nobody else may write into it: what lies there is run."""
    known = folder.stat()
    return known.st_uid == os.getuid() and not known.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _cached(compiler: Command, sources: dict[str, bytes], cache: Path) -> Path:
    """Return the library in a folder, compiled if it is not there; processes that compile at once end with the same file."""
    flags = macros = None
    for flags in FASTEST:
        macros = predefined(compiler, flags)
        if macros is not None:
            break
    if flags is None or macros is None:
        raise PackedError(f"{shlex.join(compiler)} takes none of the flags {FASTEST}")
    parts = [repr((compiler, EXACT, flags, SHARED)).encode(), macros, *sources.values()]
    key = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    library = cache / f"{key}.so"
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        for name, content in sources.items():
            (Path(scratch) / Path(name).name).write_bytes(content)
        compile_c(compiler, (*flags, *SHARED), (Path(scratch) / "network.c",), Path(scratch) / library.name)
        (Path(scratch) / library.name).replace(library)
    return library


def read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a safetensors file: 8 bytes of header length, a JSON header, raw little-endian tensors."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], np.dtype(_DTYPES[entry["dtype"]])).reshape(entry["shape"])
    return tensors


def main() -> None:
    """Classify test images, print the accuracy."""
    parser = argparse.ArgumentParser(description="Classify test images with the bundled 1-bit network, compiled from C.")
    parser.add_argument("--data", type=Path, default=HERE / "test.safetensors", help="images (uint8 NCHW) and labels")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        parser.error(f"{arguments.data} is not there: this bundle carries no test images; give --data FILE.safetensors")
    try:
        network = Network()
    except PackedError as error:
        parser.exit(1, f"packed.py: {error}\n")
    data = read_safetensors(arguments.data)
    labels = data["labels"]
    correct = int((network(data["images"]).argmax(1) == labels).sum())
    print(f"accuracy: {correct / len(labels)!r} ({correct} of {len(labels)})")  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()
