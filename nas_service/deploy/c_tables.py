"""Constants of generated C: arrays by content, each written once, numbers so that they are read back to the last bit."""

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_TYPES = {
    np.dtype(np.float32): ("float", 8),
    np.dtype(np.uint32): ("uint32_t", 10),
    np.dtype(np.int32): ("int32_t", 12),
    np.dtype(np.int16): ("int16_t", 16),
    np.dtype(np.uint8): ("uint8_t", 20),
    np.dtype(np.int8): ("int8_t", 20),
}


def number(value: np.generic) -> str:
    """Return a number as C reads it back exactly."""
    if isinstance(value, np.float32):
        text = f"{value!s}" if np.isfinite(value) and float(str(value)) == float(value) else float(value).hex()
        return (text if "." in text or "e" in text or "p" in text else text + ".0") + "f"
    if isinstance(value, np.int32):
        return f"{int(value)}" if int(value) > -(2**31) else "(-2147483647 - 1)"
    return f"{int(value):#010x}u" if isinstance(value, np.uint32) else f"{int(value)}"


def literal(text: str) -> str:
    """Return a string as C99 has it: UTF-8, octal where it is no plain letter, or might begin an escape or a trigraph."""
    plain = set(range(0x20, 0x7F)) - set(b'"\\?')
    return '"' + "".join(chr(byte) if byte in plain else f"\\{byte:03o}" for byte in text.encode(errors="replace")) + '"'


class Tables:
    """The arrays of a network, by name."""

    def __init__(self) -> None:
        """Begin with none."""
        self._names: dict[tuple[str, bytes], str] = {}
        self._lines: list[str] = []

    def add(self, values: NDArray[np.generic]) -> str:
        """Return the name of an array of these numbers, in row-major order."""
        flat = np.ascontiguousarray(values).reshape(-1)
        kind, across = _TYPES[flat.dtype]
        key = (kind, flat.tobytes())
        if key not in self._names:
            name = f"nn_t{len(self._names)}"
            self._names[key] = name
            starts = range(0, len(flat), across)
            rows = ",\n".join("  " + ", ".join(map(number, flat[start : start + across])) for start in starts)
            self._lines.append(f"static const {kind} {name}[{len(flat)}] = {{\n{rows}}};\n")
        return self._names[key]

    @property
    def names(self) -> Sequence[str]:
        """The names, in order."""
        return tuple(self._names.values())

    @property
    def constant_bytes(self) -> int:
        """Of all numbers."""
        return sum(len(content) for _, content in self._names)

    @property
    def checksum(self) -> int:
        """CRC-32 of all numbers as they lie in memory, little-endian, array by array."""
        sum_so_far = 0
        for _, content in self._names:
            sum_so_far = zlib.crc32(content, sum_so_far)
        return sum_so_far

    def lines(self) -> Iterator[str]:
        """Yield their definitions."""
        yield from self._lines
