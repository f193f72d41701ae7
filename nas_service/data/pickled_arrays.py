"""Pickled dictionaries, lists and arrays of whole numbers, from strangers: no code is run, and no array outgrows its file."""

import io
import pickle
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = {f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)}  # as numpy calls whole numbers
# What unpickling of a file that is no pickle, or of one that states nonsense, was seen to raise.
_NO_PICKLE = (
    pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, ImportError, OverflowError,
    AssertionError, RecursionError, MemoryError, struct.error,
)  # fmt: skip


def _text(given: str | bytes) -> str:
    return given.decode("ascii") if isinstance(given, bytes) else given


class _Kind:
    """Stands for `numpy.dtype`."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        if _text(name) not in _KINDS:
            raise pickle.UnpicklingError(f"numbers of type {_text(name)[:20]!r}; allowed: whole numbers")
        self.dtype = np.dtype(_text(name))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.dtype = self.dtype.newbyteorder(_text(state[1]))  # type: ignore[arg-type]  # any other text is a ValueError


class _Array:
    """Stands for an array: its numbers are bytes of the file, so that it is never larger than that."""

    values: npt.NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, raw = state
        self.values = _from_buffer(raw, kind, shape, "F" if is_fortran else "C")


def _empty(*_: object) -> _Array:
    return _Array()


def _from_buffer(raw: bytes, kind: _Kind, shape: tuple[int, ...], order: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - numpy's own
    return np.frombuffer(raw, kind.dtype).reshape(shape, order=order)


def _scalar(kind: _Kind, raw: bytes) -> int:
    (value,) = np.frombuffer(raw, kind.dtype).tolist()
    return int(value)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text in {encoding[:20]!r}; allowed: latin1")
    return text.encode("latin1")


_STANDS_FOR = {"dtype": _Kind, "_reconstruct": _empty, "ndarray": None, "_frombuffer": _from_buffer, "scalar": _scalar}


class _Unpickler(pickle._Unpickler):  # noqa: SLF001 - that of C takes memory for as many references as a number in the file says
    """Knows by name what arrays are pickled with, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's protocol
        if module.split(".", maxsplit=1)[0] == "numpy" and name in _STANDS_FOR:
            return _STANDS_FOR[name]
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"{module}.{name} has no place in one")


def read_pickle(content: bytes) -> dict[Any, Any]:
    """Return the dictionary that was pickled; texts of Python 2 are bytes, and arrays are read-only.

    Raises:
        ValueError: If it is something else, or holds other classes than arrays of whole numbers.
    """
    try:
        value = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except _NO_PICKLE as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of a dictionary")  # noqa: TRY004 - of a file, not of an argument
    return {key: entry.values if isinstance(entry, _Array) else entry for key, entry in value.items()}
