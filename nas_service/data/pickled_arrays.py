"""Pickled dictionaries, lists and arrays of whole numbers, from strangers: no code is run, and nothing outgrows its file."""

import io
import pickle
import pickletools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = {f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)}  # as numpy calls whole numbers
_MOST_STEPS = 300_000  # of a file: thirty for each of the 10,000 pictures of a published one
_SHOWN = 60  # letters of what was given
# What unpickling of a file that is no pickle, or of one that states nonsense, was seen to raise.
_NO_PICKLE = (
    pickle.UnpicklingError, EOFError, LookupError, ValueError, TypeError, AttributeError, ImportError, OverflowError,
    AssertionError, RecursionError, MemoryError, struct.error,
)  # fmt: skip


def _text(given: object) -> str:
    """Return a text, of Python 2 or 3; what is none is neither shown nor compared, for both may take for ever."""
    if not isinstance(given, str | bytes):
        raise pickle.UnpicklingError(f"{type(given).__name__} in the place of a text")
    return given.decode("ascii") if isinstance(given, bytes) else given


class _Kind:
    """Stands for `numpy.dtype`."""

    def __init__(self, given: object, *_: object) -> None:
        name = _text(given)
        if name not in _KINDS:
            raise pickle.UnpicklingError(f"numbers of type {name[:_SHOWN]!r}; allowed: whole numbers")
        self.dtype = np.dtype(name)

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
    if len(raw) != kind.dtype.itemsize:
        raise pickle.UnpicklingError(f"a number of {len(raw)} bytes; allowed: {kind.dtype.itemsize}")
    (value,) = np.frombuffer(raw, kind.dtype).tolist()
    return int(value)


_STANDS_FOR = {"dtype": _Kind, "_reconstruct": _empty, "ndarray": None, "_frombuffer": _from_buffer, "scalar": _scalar}

# What dictionaries, lists and arrays are written with; sets, instances, extensions and buffers elsewhere are not.
_ALLOWED = """
PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT
STRING BINSTRING SHORT_BINSTRING UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8
BYTEARRAY8 EMPTY_LIST LIST APPEND APPENDS EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_DICT DICT SETITEM SETITEMS PUT
BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_NAMES = {code.code.encode("latin1")[0]: code.name for code in pickletools.opcodes}
_DISPATCH: dict[int, Callable[[Any], None]] = {
    code: read
    for code, read in pickle._Unpickler.dispatch.items()  # noqa: SLF001 - as below
    if _NAMES[code] in _ALLOWED.split()
}


class _Steps(dict[int, Callable[[Any], None]]):
    """What every opcode does, as often as a file of pictures has need of it: each may make an object of a few hundred bytes."""

    left = _MOST_STEPS

    def __getitem__(self, code: int) -> Callable[[Any], None]:
        self.left -= 1
        if self.left < 0:
            raise pickle.UnpicklingError(f"more than {_MOST_STEPS:,} steps")
        if code not in self:
            raise pickle.UnpicklingError(f"the step {_NAMES.get(code, code)} has no place in one")
        return super().__getitem__(code)


class _Unpickler(pickle._Unpickler):  # noqa: SLF001 - that of C takes memory for as many references as a number in the file says
    """Knows by name what arrays are pickled with, and refuses everything else."""

    read: Callable[[int], bytes]  # what the types of the standard library leave out
    append: Callable[[object], None]
    pop_mark: Callable[[], list[Any]]
    stack: list[Any]

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        own = {"BYTEARRAY8": self._read_bytearray, "BUILD": self._build, "DICT": self._make_dict}
        own |= {"REDUCE": self._reduce, "SETITEM": self._set_item, "SETITEMS": self._set_items}
        codes = {name: code for code, name in _NAMES.items()}
        self.dispatch = _Steps(_DISPATCH | {codes[name]: lambda _, do=do: do() for name, do in own.items()})  # type: ignore[misc]  # counted by file
        self._encodable = len(content)

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - pickle's protocol
        if module.split(".", maxsplit=1)[0] == "numpy" and name in _STANDS_FOR:
            return _STANDS_FOR[name]
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        raise pickle.UnpicklingError(f"{f'{module}.{name}'[:_SHOWN]} has no place in one")

    def _encode(self, text: str, given: object) -> bytes:
        """Make bytes of a text, each letter of the file once: protocols before the third have no other."""
        encoding = _text(given)
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"text in {encoding[:_SHOWN]!r}; allowed: latin1")
        self._encodable -= len(text)
        if self._encodable < 0:
            raise pickle.UnpicklingError("the same text again and again")
        return text.encode("latin1")

    def _read_bytearray(self) -> None:
        """Read first, and then make room: not as many bytes as a number in the file says."""
        (length,) = struct.unpack("<Q", self.read(8))
        content = self.read(length)
        if len(content) < length:
            raise EOFError(f"{length} bytes, of which the file has {len(content)}")
        self.append(bytearray(content))

    def _build(self) -> None:
        """Give an array, or the kind of its numbers, its state; nothing else has one, functions least of all."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) not in {_Array, _Kind}:
            raise pickle.UnpicklingError(f"a state of {type(target).__name__}")
        target.__setstate__(state)

    def _reduce(self) -> None:
        """Call what is known with a tuple of the file: a text would be taken apart, into one object a letter."""
        given = self.stack.pop()
        if type(given) is not tuple:
            raise pickle.UnpicklingError(f"{type(given).__name__} in the place of arguments")
        self.stack[-1] = self.stack[-1](*given)

    def _make_dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._put(items)

    def _set_items(self) -> None:
        self._put(self.pop_mark())

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put([key, value])

    def _put(self, items: list[Any]) -> None:
        """Put keys and values into a dictionary; looking for a key that is a tuple of tuples would end the process."""
        target = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(target) is not dict or type(key) not in {str, bytes, int}:
                raise pickle.UnpicklingError(f"{type(key).__name__} as a key of {type(target).__name__}")
            target[key] = value


def read_pickle(content: bytes) -> dict[Any, Any]:
    """Return the dictionary that was pickled; texts of Python 2 are bytes, and arrays are read-only.

    Raises:
        ValueError: If it is something else, or holds other classes than arrays of whole numbers.
    """
    try:
        value = _Unpickler(content).load()
    except _NO_PICKLE as error:
        raise ValueError(str(error) or type(error).__name__) from error
    if not isinstance(value, dict):
        raise ValueError(f"{type(value).__name__} instead of a dictionary")  # noqa: TRY004 - of a file, not of an argument
    return {key: entry.values if isinstance(entry, _Array) else entry for key, entry in value.items()}
