"""Counting differing bits by carry-save adders: right for every number of words, and for every count that can come."""

import ctypes
from typing import ClassVar

import numpy as np
import pytest

from nas_service.deploy.c_pieces import part
from nas_service.deploy.c_popcount import LANES, chunks, differ_function, dot_function
from tests.nas_service.deploy.c_builds import WARNINGS, compile_c, processor_flags

WORDS = [*range(1, 70), 126, 127, 130, 256]


PATCH = "struct nn_patch {\n  const uint32_t *bits;\n  unsigned rows, words;\n  size_t row, pixel;\n};"  # as head.c has it


class _Patch(ctypes.Structure):
    _fields_: ClassVar = [
        ("bits", ctypes.c_void_p),
        ("rows", ctypes.c_uint),
        ("words", ctypes.c_uint),
        ("row", ctypes.c_size_t),
        ("pixel", ctypes.c_size_t),
    ]


@pytest.fixture(
    scope="module", params=["", "#define NN_SSE2 1\n#include <emmintrin.h>\n#define NN_UNROLLED"], ids=["words", "vectors"]
)
def counting(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Every size with one number of lanes, which changes with it: word by word, and four of them at once."""
    if request.param and "sse2" not in processor_flags():
        pytest.skip("this processor has no SSE2")
    folder = tmp_path_factory.mktemp("popcount")
    sizes = sorted({(size, _lanes(words)) for words in WORDS for size in chunks(words)})
    functions = [differ_function(*size) for size in sizes] + [dot_function(words, _lanes(words)) for words in WORDS]
    text = "\n".join(["#include <stddef.h>", "#include <stdint.h>", request.param, PATCH, part("words"), *functions]).replace(
        "static void nn_dot", "void nn_dot"
    )
    (folder / "count.c").write_text(text, encoding="utf-8")
    library = str(folder / "count.so")
    compile_c(["gcc", *WARNINGS, "-O1", "-shared", "-fPIC", "-o", library, str(folder / "count.c")])
    return ctypes.CDLL(library)


def _lanes(words: int) -> int:
    return LANES[words % len(LANES)]


@pytest.mark.parametrize("words", WORDS)
def test_every_number_of_words_is_counted(words: int, counting: ctypes.CDLL) -> None:
    lanes, random = _lanes(words), np.random.default_rng(words)
    count = getattr(counting, f"nn_dot_{words}_{lanes}")
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        patch = random.integers(0, 2**32, words, dtype=np.uint32)
        differing = np.packbits(random.random((words, lanes, 32)) < share, axis=-1).view(np.uint32)[..., 0]
        weights = np.ascontiguousarray(patch[:, None] ^ differing)
        counts = np.zeros(lanes, np.int32)
        at = [array.ctypes.data_as(ctypes.c_void_p) for array in (patch, weights, counts)]
        count(ctypes.byref(_Patch(at[0], 1, words, words, words)), at[1], at[2], ctypes.c_uint(1))
        expected = np.unpackbits(differing.view(np.uint8).reshape(words, lanes, 4), axis=-1).sum((0, 2))
        assert np.array_equal(counts, expected)
