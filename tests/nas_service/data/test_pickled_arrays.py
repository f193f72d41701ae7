"""Pickles of strangers: arrays as numpy pickles them, and nothing that takes memory or runs code."""

import pickle
import subprocess
import sys
from contextlib import suppress
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


def _array(shape: bytes, order_of_axes: bytes, order: str = "|") -> bytes:
    """Return what numpy writes of an array of two bytes, with a shape, and a byte order, of somebody else's."""
    kind = _dtype("u1") + b"(K\x03" + _plain(order) + b"NNNK\x00K\x00K\x00tb"
    made = _call("numpy.core.multiarray _reconstruct", b"cnumpy\nndarray\n", _plain((0,)), _plain(b"b"))
    return made + b"(K\x01" + shape + kind + order_of_axes + _plain(b"ab") + b"tb"


_BYTES = _plain(b"ab" * 500)
_DEEP = b")" + b"\x85" * 100_000  # a tuple in a tuple, and so on: looking for it in a dictionary takes the stack of C
_SCALAR = "numpy.core.multiarray scalar"
HOSTILE = {
    "a text in the place of arguments": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nX"
        + (6 * 10**6).to_bytes(4, "little")
        + "ж".encode() * (3 * 10**6)
        + b"R.",
        "str in the place of arguments",
    ),
    "an array of a petabyte": (_batch(_call("numpy ndarray", _plain((10**15,)), _plain("u1"))), "object is not callable"),
    "an array of a gigabyte": (_batch(_call("numpy ndarray", _plain((10**9,)), _plain("u1"))), "object is not callable"),
    "an array of a size that its bytes lack": (
        _batch(_call("numpy.core.numeric _frombuffer", _BYTES, _dtype("u1"), _plain((10**15,)), _plain("C"))),
        "cannot reshape array",
    ),
    "objects": (_batch(_dtype("O8")), "numbers of type 'O8'"),
    "a number of a gigabyte": (_batch(_call(_SCALAR, _dtype("V1000000000"))), "numbers of type 'V1000000000'"),
    "numbers for one": (_batch(_call(_SCALAR, _dtype("u1"), _BYTES)), "a number of 1000 bytes; allowed: 1"),
    "text that doubles": (_batch(_call("_codecs encode", _plain("x"), _plain("hex_codec"))), "text in 'hex_codec'"),
    "a reference of a high number": (b"\x80\x02}r\xff\xff\xff\x7f.", "b'data'"),
    "bytes of a petabyte": (b"\x80\x05\x96" + (10**15).to_bytes(8, "little") + b".", "of which the file has 1"),
    "a call": (_batch(_call("os system", _plain("true"))), "os.system has no place in one"),
    "numpy's own functions": (_batch(_call("numpy zeros", _plain(10**9))), "numpy.zeros has no place in one"),
    "bytes of a gigabyte, again and again": (
        b"\x80\x05}" + (b"\x96" + (10**9).to_bytes(8, "little")) * 50 + b".",
        "of which the file has",
    ),
    "a key that is a tuple of tuples of tuples": (b"\x80\x02}(" + _DEEP + _plain(1) + b"u.", "tuple as a key of dict"),
    "a kind that is one": (_batch(_call("numpy dtype", _DEEP)), "tuple in the place of a text"),
    "an encoding that is one": (_batch(_call("_codecs encode", _plain("x"), _DEEP)), "tuple in the place of a text"),
    "a byte order that is one": (
        _batch(_dtype("u1") + b"(K\x03" + _DEEP + b"tb"),
        "tuple in the place of a text",
    ),
    "an encoding that is a list of lists of lists, each ten times": (
        b"\x80\x02]q\x00"
        + b"".join(b"](" + (b"h" + bytes([n])) * 10 + b"eq" + bytes([n + 1]) for n in range(20))
        + _call("_codecs encode", _plain("x"), b"h\x14")
        + b".",
        "list in the place of a text",
    ),
    "a text that is encoded ten thousand times": (
        b"\x80\x02c_codecs\nencode\nq\x01X"
        + (10**6).to_bytes(4, "little")
        + b"x" * 10**6
        + _plain("latin1")
        + b"\x86q\x02"
        + b"h\x01h\x02R" * 10_000
        + b".",
        "the same text again and again",
    ),
    "five million lists": (b"\x80\x02" + b"]" * 5 * 10**6 + b".", "more than 300,000 steps"),
    "five million marks": (b"\x80\x02" + b"(" * 5 * 10**6 + b".", "more than 300,000 steps"),
    "sets": (b"\x80\x04\x8f.", "the step EMPTY_SET has no place in one"),
    "frozen sets": (b"\x80\x04(" + _DEEP + b"\x91.", "the step FROZENSET has no place in one"),
    "an instance, of protocol 0": (b"(ios\nsystem\n.", "the step INST has no place in one"),
    "an instance, of protocol 1": (b"(cos\nsystem\no.", "os.system has no place in one"),
    "an instance of what is known": (b"(cnumpy\ndtype\n" + _plain("u1") + b"o.", "the step OBJ has no place in one"),
    "an instance, of protocol 2": (b"\x80\x02cnumpy\ndtype\n)\x81.", "the step NEWOBJ has no place in one"),
    "an instance, of protocol 4": (b"\x80\x04cnumpy\ndtype\n)}\x92.", "the step NEWOBJ_EX has no place in one"),
    "a name on the stack": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "os.system has no place in one"),
    "a name with dots": (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__base__\x93.", "has no place in one"),
    "a name that is no text": (b"\x80\x04K\x01K\x02\x93.", "STACK_GLOBAL requires str"),
    "a long name": (b"c" + b"o" * 10**6 + b"\nsystem\n.", "has no place in one"),
    "an extension": (b"\x80\x02\x82\x01.", "the step EXT1 has no place in one"),
    "something kept elsewhere": (b"P1\n.", "the step PERSID has no place in one"),
    "something kept elsewhere, by its number": (b"\x80\x02K\x01Q.", "the step BINPERSID has no place in one"),
    "a buffer elsewhere": (b"\x80\x05\x97.", "the step NEXT_BUFFER has no place in one"),
    "a state of a function": (b"\x80\x02c_codecs\nencode\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.", "a state of method"),
    "a state of a class": (b"\x80\x02cnumpy\ndtype\n(K\x03U\x01<tb.", "a state of type"),
    "an item of an array": (
        b"\x80\x02"
        + _call("numpy.core.numeric _frombuffer", _BYTES, _dtype("u1"), _plain((1000,)), _plain("C"))
        + _plain(0)
        + _plain(1)
        + b"s.",
        "int as a key of ndarray",
    ),
    "a key without a value": (b"\x80\x02}(" + _plain(b"data") + b"u.", "zip() argument 2 is shorter"),
    "a number of a million digits": (b"I" + b"9" * 10**6 + b"\n.", "Exceeds the limit"),
    "a number of four gigabytes": (b"\x80\x02\x8b\xff\xff\xff\x7f\x01.", "EOFError"),
    "a number of a negative size": (b"\x80\x02\x8b\xff\xff\xff\xff\x01.", "LONG pickle has negative byte count"),
    "a frame of a petabyte": (b"\x80\x04\x95" + (10**15).to_bytes(8, "little") + b"N.", "NoneType instead of a dictionary"),
    "a frame in a frame": (b"\x80\x04\x95\x14" + b"\0" * 7 + b"\x95\x02" + b"\0" * 7 + b"N.", "beginning of a new frame"),
    "bytes beyond a frame": (b"\x80\x04\x95\x04" + b"\0" * 7 + b"C\x20ab" + b"c" * 60, "pickle exhausted before end of frame"),
    "numbers in no order": (_batch(_array(_plain((2,)), b"\x89", order="x")), "byteorder"),
    "a shape below nothing": (_batch(_array(_plain((-5,)), b"\x89")), "cannot reshape array"),
    "a shape of nothing times a lot": (_batch(_array(_plain((0, 2**40)), b"\x89")), "reshape"),
    "a hundred dimensions": (_batch(_array(_plain((1,) * 100), b"\x89")), "dimension"),
    "a shape that is one": (_batch(_array(_DEEP, b"\x89")), "tuple"),
    "floats": (_batch(_dtype("f8")), "numbers of type 'f8'"),
    "records": (_batch(_dtype("V8")), "numbers of type 'V8'"),
    "an end that never comes": (b"\x80\x02}", "EOFError"),
    "nothing": (b"", "EOFError"),
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


def test_wherever_a_file_ends_too_early_it_is_refused() -> None:
    whole = pickle.dumps({b"labels": [*range(300)], b"data": cifar_rows(20, 0)[0], b"filenames": [b"a.png"] * 20}, 2)
    assert len(whole) > 60_000
    for end in range(0, len(whole) - 1, 100):
        with pytest.raises(ValueError):  # noqa: PT011 - any: which one, the place decides
            read_pickle(whole[:end])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 40))])
def test_steps_in_any_order_run_no_code_and_end_soon(seed: int, tmp_path: Path) -> None:
    """Thousands of files of opcodes with arguments that fit, names of what is dangerous among them."""
    trace = tmp_path / "ran"
    texts = [
        "os",
        "system",
        f"touch {trace}",
        "builtins",
        "eval",
        "numpy",
        "dtype",
        "u1",
        "_codecs",
        "encode",
        "latin1",
        "x" * 99,
    ]
    pieces = [b"c%s\n%s\n" % (a.encode(), b.encode()) for a in texts for b in texts[:10] if " " not in a + b]
    pieces += [_plain(text) for text in texts] + [_plain(n) for n in (0, 1, 255, -1, 2**40)] + [_plain(b"ab"), _DEEP[:50]]
    pieces += [bytes([code]) for code in b"()0125NR}]abdeilostu\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x97\x98"] * 3
    pieces += [b"h\x00", b"h\x01", b"q\x00", b"q\x01", b"\x96" + b"\x02" + b"\0" * 7 + b"ab", b"\x8a\x01\x05"]
    drawn = np.random.default_rng(seed)
    for _ in range(2000):
        chosen = drawn.integers(0, len(pieces), drawn.integers(1, 40))
        content = b"\x80\x04}(" + b"".join(pieces[place] for place in chosen) + b"."
        with suppress(ValueError):
            assert isinstance(read_pickle(content), dict)
    assert not trace.exists()
