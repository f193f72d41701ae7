"""Compiling a network's C, and calling what was compiled.

This file is the first part of every bundle's `packed.py`, in front of `packed_network.py`: it imports nothing of this project,
nothing but numpy and the standard library, and runs on Python 3.9.
"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Optional

import numpy as np

COMPILERS = ("cc", "gcc", "clang")
Command = tuple[str, ...]
# Products and sums are rounded one by one: a fused multiply-add would give other bits, and now and then another sign.
EXACT = ("-std=c99", "-ffp-contract=off")
SHARED = ("-shared", "-fPIC")
FASTEST = (("-O3", "-march=native"), ("-O3", "-mcpu=native"), ("-O3",))  # the first that the compiler knows
PATIENCE_S = 600  # for a compiler
_PROBE = b"#include <stdint.h>\n#include <stddef.h>\n#include <string.h>\n"


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


def signal_name(status: int) -> str:
    """Return the name of the signal that ended a process with such a (negative) status."""
    try:
        return signal.Signals(-status).name
    except ValueError:  # one without a name
        return f"signal {-status}"


class Facts(ctypes.Structure):
    """What a compiled network says of itself: `nn_facts` of network.h."""

    _fields_ = (
        ("digest", ctypes.c_char * 65),
        ("arena_bytes", ctypes.c_uint32),
        ("height", ctypes.c_uint32),
        ("width", ctypes.c_uint32),
        ("channels", ctypes.c_uint32),
        ("classes", ctypes.c_uint32),
    )


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
            PackedError: If the header lacks something, the system refuses the library, or it was not compiled with this header.
        """
        defined = dict(re.findall(r'^#define NN_(\w+) "?(\w+)"?', header, re.MULTILINE))
        try:
            self.shape = (int(defined["CHANNELS"]), int(defined["HEIGHT"]), int(defined["WIDTH"]))
            self.classes, self.digest = int(defined["CLASSES"]), defined["DIGEST"]
            arena_bytes = int(defined["ARENA_BYTES"])
        except (KeyError, ValueError) as error:
            raise PackedError(f"network.h does not define {error}") from error
        self.arena_words = -(-arena_bytes // 8)
        try:
            self.library = ctypes.CDLL(str(path))
            self._run, self._checksum = self.library.nn_run, self.library.nn_checksum
            told = Facts.in_dll(self.library, "nn_facts")
        except (OSError, AttributeError, ValueError) as error:
            raise PackedError(f"the compiled network cannot be loaded: {error}") from error
        wanted = Facts(self.digest.encode(), arena_bytes, *self.shape[1:], self.shape[0], self.classes)
        for name, _ in Facts._fields_:
            if getattr(told, name) != getattr(wanted, name):
                given = f"{name} {getattr(told, name)!r} instead of {getattr(wanted, name)!r}"
                raise PackedError(f"{path} was not compiled with this network.h: it has {given}")
        self._checksum.restype = ctypes.c_uint32
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

    @property
    def checksum(self) -> int:
        """CRC-32 of its constants."""
        return int(self._checksum())
