"""The bundle's network as C behind ctypes, from numpy and the standard library alone.

This file is the second part of every bundle's `packed.py`, behind `loader.py`: besides that it imports nothing of this project,
and runs on Python 3.9. It compiles `c/network.c` once, keeps the library in the user's cache, and is called as `model.py` is:

    from packed import Network

    logits = Network()(pixels)  # float32 in [0, 1] or uint8, (N, C, H, W); logits float32 (N, classes)

Where there is no compiler it takes a library that was compiled elsewhere for such a processor: `Network(library=...)`, the
environment variable NN_LIBRARY, or `c/libnetwork.so` beside it, as `make -C c native` writes it. Its
digest, sizes and constants have to be those of the bundle.

It runs the C of whoever made the bundle, as `model.py` runs his Python: SHA-256 tells damage, not who wrote it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import stat
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from nas_service.deploy.loader import (
    COMPILERS,
    EXACT,
    FASTEST,
    PATIENCE_S,
    SHARED,
    Command,
    Library,
    PackedError,
    compile_c,
    find_compiler,
    predefined,
    signal_name,
)

HERE = Path(__file__).resolve().parent
SOURCES = ("c/network.c", "c/network.h")
BESIDE = Path("c", "libnetwork.so")
_LEVELS = 255
_ROUNDING = 1e-3  # that a pixel may be off one of 256 grey levels by, in levels: 40 times what float32 rounds by
_DTYPES = {"U8": "u1", "I8": "i1", "I16": "<i2", "I32": "<i4", "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
_NAMED = 20  # classes
# Run in an interpreter of its own, which a damaged library may end: loads it, and runs it once in the room that it says it needs.
_TRIAL = """
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
arena, height, width, channels, classes = (ctypes.c_uint32 * 22).in_dll(library, "nn_facts")[17:]
room, image, logits = (ctypes.c_uint64 * (arena // 8 + 1))(), bytes(height * width * channels), (ctypes.c_float * classes)()
library.nn_run(room, image, logits)
"""


class Network:
    """The network of this bundle.

    Attributes:
        class_names: In the order of the logits.
        image_shape: Channels, height and width.
        digest: SHA-256 of the bundle's weights.safetensors.
        library: The file that was loaded.
    """

    def __init__(self, folder: Path = HERE, library: Path | str | None = None) -> None:
        """Check the bundle's C against its manifest, and load it; the first time it is compiled, unless there is a library.

        Args:
            folder: Of the bundle.
            library: A shared library of its C; None: what NN_LIBRARY names, or c/libnetwork.so if it is there.

        Raises:
            PackedError: If a file is not what the manifest says, the library is not of this network or cannot be loaded, or
                there is neither a library nor a C compiler with a cache.
        """
        manifest, sources = _checked(folder)
        header = sources["c/network.h"].decode()
        given = _given(folder, library)
        self.library, self._library = _compiled(sources, header) if given is None else (given, _tried(given, header))
        self.image_shape, self.digest, self.class_names = self._library.shape, self._library.digest, manifest.class_names
        if self.digest != manifest.weights:
            raise PackedError(f"network.h was made for weights of SHA-256 {self.digest}, the bundle has {manifest.weights}")
        if self._library.checksum != manifest.checksum:
            raise PackedError(f"{self.library} has other constants than manifest.json describes: it is not used")

    def __repr__(self) -> str:
        """Say what it takes and gives."""
        return f"Network({_described(self.image_shape, self.class_names, self.digest)}; library {self.library})"

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


class _Manifest:
    """What manifest.json states of the network, as far as it is needed here."""

    def __init__(self, folder: Path) -> None:
        stated = json.loads((folder / "manifest.json").read_bytes())
        self.sha256 = {name: str(entry["sha256"]) for name, entry in stated["files"].items()}
        self.weights, self.checksum = self.sha256["weights.safetensors"], int(stated["c"]["checksum"])
        self.class_names = tuple(map(str, stated["class_names"]))
        self.image_shape = tuple(int(stated["image"][side]) for side in ("channels", "height", "width"))


_NO_MANIFEST = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)


def _checked(folder: Path) -> tuple[_Manifest, dict[str, bytes]]:
    """Return manifest and C, once it is known that the C is what the manifest describes."""
    try:
        manifest = _Manifest(folder)
        sources = {name: (folder / name).read_bytes() for name in SOURCES}
    except _NO_MANIFEST as error:
        raise PackedError(f"{folder} is no bundle with C: {error!r}") from error
    for name, content in sources.items():
        if hashlib.sha256(content).hexdigest() != manifest.sha256.get(name):
            raise PackedError(f"{name} is not the file that manifest.json describes (SHA-256 differs): it is not compiled")
    return manifest, sources


def _described(shape: tuple[int, ...], names: tuple[str, ...], digest: str) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    classes = ", ".join(map(repr, names[:_NAMED])) + rest
    return f"images uint8 (N, {', '.join(map(str, shape))}); {len(names)} classes: {classes}; weights of SHA-256 {digest}"


def _given(folder: Path, library: Path | str | None) -> Path | None:
    """Return the library that is to be loaded instead of what a compiler makes; None: there is none."""
    named = library or os.environ.get("NN_LIBRARY", "").strip()
    if named and not Path(named).is_file():
        raise PackedError(f"{named} is no file; library, and NN_LIBRARY, name a shared library, as `make -C c native` writes it")
    path = Path(named) if named else folder / BESIDE
    return path.resolve() if path.is_file() else None


def _tried(path: Path, header: str) -> Library:
    """Load a library that was compiled elsewhere, once another process has shown that loading and running it ends nothing."""
    command = [sys.executable, "-I", "-c", _TRIAL, str(path)]
    try:
        ended = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S).returncode  # noqa: S603 - this interpreter
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackedError(f"{path} cannot be tried: {error}") from error
    if ended < 0:
        raise PackedError(
            f"{path} ends a process with {signal_name(ended)}: it is damaged, or compiled for another processor; "
            "`make -C c native` makes it anew, and without it a C compiler is used"
        )
    try:
        return Library(path, header)
    except PackedError as error:  # the system's words for a library of another processor are that there is none
        raise PackedError(f"{path} is refused: {error}; it has to be of this network, and for this kind of processor") from error


def _compiled(sources: dict[str, bytes], header: str) -> tuple[Path, Library]:
    """Load the compiled network, from the cache if it is there; where a cache is not the user's alone it is not used."""
    compiler = find_compiler()
    if compiler is None:
        names = ", ".join(COMPILERS)
        raise PackedError(
            f"no C compiler: none of {names} is on PATH with its headers (nor CC set), and neither NN_LIBRARY nor {BESIDE} is a "
            "library that was compiled elsewhere; model.py, in the whole bundle, needs torch instead"
        )
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas-packed"
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _is_own(cache):
            path = _cached(compiler, sources, cache)
            return path, Library(path, header)
        warnings.warn(f"{cache} is not this user's alone: the network is compiled anew every time", stacklevel=3)
        with tempfile.TemporaryDirectory(prefix="nas-packed-") as private:
            path = _cached(compiler, sources, Path(private))
            return path, Library(path, header)  # which stays loaded without its file
    except (OSError, RuntimeError) as error:  # the latter: there is no home
        message = f"the compiled network cannot be kept in the user's cache ({error}); XDG_CACHE_HOME names another folder"
        raise PackedError(message) from error


def _is_own(folder: Path) -> bool:
    """Return whether a folder belongs to this user and nobody else may write into it: what lies there is run."""
    known = folder.stat()
    return known.st_uid == os.getuid() and not known.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _cached(compiler: Command, sources: dict[str, bytes], cache: Path) -> Path:
    """Return the library in a folder, compiled if it is not there; processes that compile at once end with the same file.

    Its name has the SHA-256 of what is in it: what was damaged is compiled anew.
    """
    flags = macros = None
    for flags in FASTEST:
        macros = predefined(compiler, flags)
        if macros is not None:
            break
    if flags is None or macros is None:
        raise PackedError(f"{shlex.join(compiler)} takes none of the flags {FASTEST}")
    parts = [repr((compiler, EXACT, flags, SHARED)).encode(), macros, *sources.values()]
    key = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    for kept in cache.glob(f"{key}-*.so"):
        if kept.name == _name(key, kept):
            return kept
        kept.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / "network.so"
        for name, content in sources.items():
            (Path(scratch) / Path(name).name).write_bytes(content)
        compile_c(compiler, (*flags, *SHARED), (Path(scratch) / "network.c",), made)
        return made.replace(cache / _name(key, made))


def _name(key: str, library: Path) -> str:
    return f"{key}-{hashlib.sha256(library.read_bytes()).hexdigest()}.so"


def read_safetensors(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Read a safetensors file: 8 bytes of header length, a JSON header, raw little-endian tensors.

    Raises:
        PackedError: If it cannot be read, or is something else.
    """
    tensors = {}
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")
        header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
        for name, entry in header.items():
            if name != "__metadata__":
                start, end = entry["data_offsets"]
                tensors[name] = np.frombuffer(body[start:end], np.dtype(_DTYPES[entry["dtype"]])).reshape(entry["shape"])
    except OSError as error:
        raise PackedError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise PackedError(
            f"{path} is no safetensors file with tensors of {', '.join(_DTYPES)}: {type(error).__name__}"
        ) from error
    return tensors


def read_test_images(path: Path, shape: tuple[int, ...], classes: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return images (N, C, H, W) and labels (N,) from a safetensors file.

    Raises:
        PackedError: If a tensor is not there, or not such as a network for such images takes and gives; file and field are named.
    """
    tensors = read_safetensors(path)
    wanted = {"images": f"uint8 (N, {', '.join(map(str, shape))})", "labels": f"whole numbers (N,) from 0 to {classes - 1}"}
    for name, allowed in wanted.items():
        if name not in tensors:
            raise PackedError(f"{path}: there is no {name}, but {sorted(tensors)}; allowed: {allowed}, one of N images")
    images, labels = (tensors[name] for name in wanted)
    is_image = images.dtype == np.uint8 and images.ndim == len(shape) + 1 and images.shape[1:] == shape and len(images)
    is_label = np.issubdtype(labels.dtype, np.integer) and labels.shape == images.shape[:1]
    is_class = is_image and is_label and labels.min() >= 0 and labels.max() < classes
    for name, is_right in (("images", is_image), ("labels", is_class)):
        if not is_right:
            given = f"{tensors[name].dtype} {tensors[name].shape}"
            if name == "labels" and is_label:
                given = f"{given} from {labels.min()} to {labels.max()}"
            raise PackedError(f"{path}: {name}: {given} is not allowed; allowed: {wanted[name]}, of the same N from 1")
    return images, labels


class _Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        """Say in `--help` what the network takes and gives, too."""
        try:
            known = _Manifest(HERE)
        except _NO_MANIFEST:
            return super().format_help()
        return f"{super().format_help()}\nnetwork: {_described(known.image_shape, known.class_names, known.weights)}\n"


def main() -> None:
    """Classify test images, print the accuracy."""
    parser = _Parser(description="Classify test images with the bundled 1-bit network, compiled from C.")
    parser.add_argument("--data", type=Path, default=HERE / "test.safetensors", help="images (uint8 NCHW) and labels")
    parser.add_argument(
        "--library", type=Path, help=f"compiled elsewhere; without: what NN_LIBRARY names, or {BESIDE}, or it is compiled here"
    )
    arguments = parser.parse_args()
    if arguments.data == parser.get_default("data") and not arguments.data.exists():
        parser.error(f"{arguments.data} is not there: this bundle carries no test images; give --data FILE.safetensors")
    try:
        network = Network(library=arguments.library)
        images, labels = read_test_images(arguments.data, network.image_shape, len(network.class_names))
        correct = int((network(images).argmax(1) == labels).sum())
    except PackedError as error:
        parser.exit(1, f"packed.py: {error}\n")
    print(f"accuracy: {correct / len(labels)!r} ({correct} of {len(labels)})")  # noqa: T201 - a script's result


if __name__ == "__main__":
    main()
