"""A compiled network in a process of its own: if its C ends that process, the caller learns the signal's name.

As a program, `python -m nas_service.deploy.apart LIBRARY HEADER`, it is that process. It writes a line with the number of classes
once the library is loaded. Each request is a line: a number of images, followed by their bytes (N, C, H, W), is answered with
their logits, float32; `selftest` with what that returns, int32.
"""

import ctypes
import os
import subprocess
import sys
import tempfile
from math import prod
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from nas_service.deploy.loader import Library, PackedError, signal_name
from nas_service.deploy.pointwise import Floats
from nas_service.errors import ExportError

_ROOT = Path(__file__).parents[2]


class Apart:
    """A library that another process has loaded; close it."""

    def __init__(self, library: Path, header: Path, what: str) -> None:
        """Load a shared library of a network with such a network.h; errors call it `what`.

        Raises:
            PackedError: If it cannot be loaded.
            ExportError: If it ends the process.
        """
        self._what = what
        paths = os.pathsep.join([str(_ROOT), *filter(None, sys.path)])
        # -P: nothing is imported from whatever folder this runs in. OMP_NUM_THREADS: numpy's, which has nothing to compute there.
        command = [sys.executable, "-P", "-m", "nas_service.deploy.apart", str(library), str(header)]
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        self._told = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told, env=environment
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: PT018, S101 - for the type checker
        self._requests, self._answers = self._process.stdin, self._process.stdout
        try:
            self._classes = int(self._answers.readline() or self._stop(PackedError))
        except BaseException:
            self.close()
            raise

    def logits(self, images: NDArray[np.uint8]) -> Floats:
        """Return logits, float32 (N, classes), of images (N, C, H, W).

        Raises:
            ExportError: If the network's C ends the process, or refuses an image.
        """
        given = b"%d\n" % len(images) + np.ascontiguousarray(images, np.uint8).tobytes()
        return np.frombuffer(self._ask(given, 4 * len(images) * self._classes), np.float32).reshape(len(images), self._classes)

    def selftest(self) -> int:
        """Return what `nn_selftest` returns, which has to be compiled in.

        Raises:
            ExportError: If it ends the process.
        """
        return int(np.frombuffer(self._ask(b"selftest\n", 4), np.int32)[0])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._told.close()

    def _ask(self, request: bytes, size: int) -> bytes:
        try:
            self._requests.write(request)
            self._requests.flush()
            answer = self._answers.read(size)
        except BrokenPipeError:
            answer = b""
        if len(answer) < size:
            self._stop(ExportError)
        return answer

    def _stop(self, kind: type[Exception]) -> NoReturn:
        """Raise why the process ended: an ExportError where a signal did it, else a `kind` with its last line."""
        status = self._process.wait()
        if status < 0:
            raise ExportError(f"{self._what} ends its process with {signal_name(status)}")
        self._told.seek(0)
        lines = self._told.read().decode(errors="replace").split("\n")
        raise kind(next((line for line in reversed(lines) if line), f"{self._what} ends its process with {status}"))


def main() -> None:
    """Load a library and answer requests, until there are no more."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    try:
        library = Library(Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8"))
        answers.write(b"%d\n" % library.classes)
        answers.flush()
        while request := requests.readline():
            answers.write(_answer(library, request.strip()))
            answers.flush()
    except PackedError as error:
        sys.exit(" ".join(str(error).split()))


def _answer(library: Library, request: bytes) -> bytes:
    if request == b"selftest":
        arena = np.zeros(library.arena_words, np.uint64)
        return np.array([library.library.nn_selftest(ctypes.c_void_p(arena.ctypes.data))], np.int32).tobytes()
    count = int(request)
    content = sys.stdin.buffer.read(count * prod(library.shape))
    return library.logits(np.frombuffer(content, np.uint8).reshape(count, *library.shape)).tobytes()


if __name__ == "__main__":
    main()
