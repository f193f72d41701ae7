"""Constants of generated C: arrays by content, each written once, numbers so that they are read back to the last bit."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TYPES = {
    np.dtype(np.float32): ("float", 8),
    np.dtype(np.uint32): ("uint32_t", 10),
    np.dtype(np.int32): ("int32_t", 12),
    np.dtype(np.int16): ("int16_t", 16),
    np.dtype(np.uint8): ("uint8_t", 20),
}


def number(value: np.generic) -> str:
    """Return a number as C reads it back exactly."""
    if isinstance(value, np.float32):
        text = f"{value!s}" if np.isfinite(value) and float(str(value)) == float(value) else float(value).hex()
        return (text if "." in text or "e" in text or "p" in text else text + ".0") + "f"
    if isinstance(value, np.int32):
        return f"{int(value)}" if int(value) > -(2**31) else "(-2147483647 - 1)"
    return f"{int(value):#010x}u" if isinstance(value, np.uint32) else f"{int(value)}"


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

    def lines(self) -> Iterator[str]:
        """Yield their definitions."""
        yield from self._lines
