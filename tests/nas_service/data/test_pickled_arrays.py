"""Pickles of strangers: arrays as numpy pickles them, and nothing that takes memory or runs code."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from nas_service.data.datasets.cifar10 import Cifar10
from nas_service.data.pickled_arrays import read_pickle
from search_spaces.errors import InvalidFieldError
from tests.nas_service.data.files import cifar_rows, write_cifar_python

ARRAYS = [
    np.arange(12, dtype=np.uint8).reshape(3, 4),
    np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4)),
    np.arange(5, dtype=">i4"),
    np.arange(12, dtype=np.int16)[::2],
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("array", ARRAYS, ids=range(len(ARRAYS)))
def test_arrays_are_read_as_numpy_pickles_them(array: npt.NDArray[np.int64], protocol: int) -> None:
    found = read_pickle(pickle.dumps({b"data": array, b"labels": [1, np.int64(2)]}, protocol))
    assert np.array_equal(found[b"data"], array)
    assert found[b"data"].dtype == array.dtype
    assert found[b"labels"] == [1, 2]


def test_a_batch_as_python_2_wrote_it_is_read() -> None:
    """Texts without an encoding (opcode U), as in the published files."""
    batch = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87Rq\x05"
        b"(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x02\x07\x08tbU\x06labelsq\x07]q\x08K\x09au."
    )
    found = read_pickle(batch)
    assert (found[b"data"].tolist(), found[b"labels"]) == ([[7, 8]], [9])


def _plain(value: object) -> bytes:
    """Return what pickle writes of a plain value, without what begins and ends a file."""
    return pickle.dumps(value, 2)[2:-1]


def _call(name: str, *given: bytes) -> bytes:
    """Return the call of what `module name` says with what others wrote."""
    return b"".join((b"c", name.replace(" ", "\n").encode(), b"\n(", *given, b"tR"))


def _batch(value: bytes) -> bytes:
    return b"\x80\x02}(" + _plain(b"data") + value + _plain(b"labels") + b"]u."


def _dtype(name: str) -> bytes:
    return _call("numpy dtype", _plain(name), _plain(False), _plain(True))  # noqa: FBT003 - as numpy pickles it


_BYTES = _plain(b"ab" * 500)
_SCALAR = "numpy.core.multiarray scalar"
HOSTILE = {
    "an array of a petabyte": (_batch(_call("numpy ndarray", _plain((10**15,)), _plain("u1"))), "object is not callable"),
    "an array of a gigabyte": (_batch(_call("numpy ndarray", _plain((10**9,)), _plain("u1"))), "object is not callable"),
    "an array of a size that its bytes lack": (
        _batch(_call("numpy.core.numeric _frombuffer", _BYTES, _dtype("u1"), _plain((10**15,)), _plain("C"))),
        "cannot reshape array",
    ),
    "objects": (_batch(_dtype("O8")), "numbers of type 'O8'"),
    "a number of a gigabyte": (_batch(_call(_SCALAR, _dtype("V1000000000"))), "numbers of type 'V1000000000'"),
    "numbers for one": (_batch(_call(_SCALAR, _dtype("u1"), _BYTES)), "too many values to unpack"),
    "text that doubles": (_batch(_call("_codecs encode", _plain("x"), _plain("hex_codec"))), "text in 'hex_codec'"),
    "a reference of a high number": (b"\x80\x02}r\xff\xff\xff\x7f.", "b'data'"),
    "bytes of a petabyte": (b"\x80\x05\x96" + (10**15).to_bytes(8, "little") + b".", "MemoryError"),
    "a call": (_batch(_call("os system", _plain("true"))), "os.system has no place in one"),
    "numpy's own functions": (_batch(_call("numpy zeros", _plain(10**9))), "numpy.zeros has no place in one"),
    "a list": (pickle.dumps([1]), "list instead of a dictionary"),
}


def test_hostile_pickles_are_refused_without_the_memory_that_they_ask_for(tmp_path: Path) -> None:
    """In a process that may have 256 MiB more than it starts with."""
    write_cifar_python(tmp_path)
    for number, (content, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.pickle").write_bytes(content)
    script = f"""
import resource
from pathlib import Path
from nas_service.data.datasets.cifar10 import Cifar10
from search_spaces.errors import InvalidFieldError
root = Path(".")
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 256 * 2**20,) * 2)
for number in range({len(HOSTILE)}):
    Path("cifar-10-batches-py/data_batch_3").write_bytes(Path(f"{{number}}.pickle").read_bytes())
    try:
        print(Cifar10.from_settings({{}}).facts(root))
    except InvalidFieldError as error:
        print(error)
"""
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    told = ran.stdout.splitlines()
    for (name, (_, reason)), said in zip(HOSTILE.items(), told, strict=True):
        start = "path: 'cifar-10-batches-py/data_batch_3' is not allowed; allowed: a published CIFAR-10 batch ("
        assert said.startswith(start), name
        assert reason in said, name


def test_a_file_larger_than_any_batch_is_not_read(tmp_path: Path) -> None:
    write_cifar_python(tmp_path)
    with (tmp_path / "cifar-10-batches-py" / "data_batch_4").open("ab") as file:
        file.truncate(2**40)
    with pytest.raises(
        InvalidFieldError, match=r"^path: 'cifar-10-batches-py/data_batch_4' .* 31 MB; this file has 1099511627776"
    ):
        Cifar10.from_settings({}).facts(tmp_path)


def test_whatever_bytes_are_wrong_no_other_error_escapes() -> None:
    whole = bytearray(pickle.dumps({b"labels": [1, 2], b"data": cifar_rows(2, 0)[0], b"filenames": [b"a.png"]}, 2))
    drawn, refused = np.random.default_rng(0), 0
    for _ in range(3000):
        damaged = bytearray(whole)
        for place in drawn.choice([*range(300), *range(len(whole) - 80, len(whole))], 2):
            damaged[place] = drawn.integers(0, 256)
        try:
            read_pickle(bytes(damaged))
        except ValueError:
            refused += 1
    assert refused > 1000
