"""Showing that a bundle's ONNX computes what its network computes, in ONNX Runtime, where that is installed."""

import importlib.util
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from nas_service.deploy.pointwise import Floats
from nas_service.deploy.verifying import TOLERANCE, refuse_others
from nas_service.errors import ExportError
from nas_service.reports import Beat, no_beat

NO_RUNTIME = "onnxruntime is not installed where this bundle was made"
_LEVELS = np.float32(255)
_CHUNK = 64  # images at a time


def _load(content: bytes) -> tuple[Any, str]:
    """Return a session of a file, and the runtime's version."""
    import onnxruntime  # noqa: PLC0415 - an extra: bundles are made without it, too

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()  # those of this worker, not of the machine
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]), str(onnxruntime.__version__)


def _logits(session: Any, images: NDArray[np.uint8]) -> Floats:  # noqa: ANN401 - the runtime's, which has no types
    logits: Floats = session.run(None, {"pixels": images.astype(np.float32) / _LEVELS})[0]
    return logits


def classify_in_onnx(content: bytes, images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the class (N,) that ONNX Runtime takes each of `images` (N, C, H, W) for.

    Raises:
        ExportError: If it is not installed here, or cannot load or run the file.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise ExportError("onnxruntime is not installed here (pip install onnxruntime); --with torch and --with c need none")
    try:
        session, _ = _load(content)
        chunks = [_logits(session, images[start : start + _CHUNK]).argmax(1) for start in range(0, len(images), _CHUNK)]
    except Exception as error:
        raise ExportError(f"onnxruntime cannot run the network here: {error}") from error
    return np.concatenate(chunks)


class OnnxVerification:
    """A session of ONNX Runtime, compared image by image with what is expected; a context."""

    def __init__(self, content: bytes, beat: Beat = no_beat) -> None:
        """Keep the file."""
        self._content, self._beat = content, beat
        self._session: Any = None
        self._version = ""
        self._reason = NO_RUNTIME
        self._images = self._near = 0

    def __enter__(self) -> Self:
        """Load the file, if there is a runtime; what it cannot load here is not run, and `facts` says why."""
        if importlib.util.find_spec("onnxruntime") is not None:
            try:
                self._session, self._version = _load(self._content)
            except Exception as error:  # noqa: BLE001 - it has exceptions of its own, of no common kind
                self._reason = f"the runtime cannot load it where this bundle was made: {error}"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the session go."""
        self._session = None

    def see(self, name: str, start: int, images: NDArray[np.uint8], expected: Floats) -> None:
        """Run the file on images (N, C, H, W) of a part, the first of which is number `start`.

        Raises:
            ExportError: If it differs from `expected` by more than TOLERANCE, or in a class that is no near-tie; image and both
                logits are named.
        """
        if self._session is not None:
            self._beat()
            self._near += refuse_others(f"network.onnx's logits of {name} image", start, _logits(self._session, images), expected)
        self._images += len(images)

    def facts(self) -> dict[str, Any]:
        """Return what was seen, for the manifest: `verified`, and how or why not."""
        if self._session is None:
            return {"verified": False, "reason": self._reason}
        seen = {"images": self._images, "other_class": self._near, "tolerance": TOLERANCE}
        return {"verified": True, **seen, "runtime": f"onnxruntime {self._version}"}
