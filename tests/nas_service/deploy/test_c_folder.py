"""The folder of C: it builds wherever there is a compiler, and its self-test sees what was changed."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_service.data.part import Part
from nas_service.deploy.c_folder import network_files
from nas_service.deploy.c_tables import literal
from nas_service.deploy.loader import SHARED, Library, compile_c
from nas_service.deploy.program import Shape
from nas_service.deploy.selftest import choose_images, logits_in_order
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from tests.nas_service.deploy.folders import WEIGHTS_DIGEST, c_files, frozen_network, make, write_bundle
from tests.samples import digits

CC = (shutil.which("cc") or "",)
pytestmark = pytest.mark.skipif(not (CC[0] and shutil.which("make")), reason="no C compiler and make here")
NETWORKS = [("tiny", "bnn", "shortcut"), ("tiny", "xnor-net", "plain"), ("vgg-binarynet", "bnn", "")]


def test_the_self_test_passes_where_the_network_was_not_changed(tmp_path: Path) -> None:
    made = make(write_bundle(tmp_path, c_files()), "selftest", "CFLAGS=-O1 -Wpedantic -Werror")
    assert made.returncode == 0, made.stderr
    assert "self-test passed: 8 images, the same bits of all 10 logits" in made.stdout


def _changed_constants(source: str) -> list[str]:
    """Return the source with one number changed, in the last place: once for each kind of table and of number in it."""
    sources, seen = [], set[tuple[str, bool]]()
    for table in re.finditer(r"static const (\w+) nn_t\d+\[\d+\] = \{([^}]*)\}", source):
        for number in re.finditer(r"(?<=[ \n])(?:0x[0-9a-f]+(?=u)|-?\d+\.\d+(?=[fe])|-?\d+(?=[,}]))", f"{table[2]}}}"):
            kind = (table[1], "." in number[0])
            if kind in seen or not number[0][-1].isdigit():
                continue
            seen.add(kind)
            at = table.start(2) + number.end() - 1
            sources.append(f"{source[:at]}{(int(source[at]) + 1) % 8}{source[at + 1 :]}")
    return sources


def test_one_changed_number_of_any_table_is_seen(tmp_path: Path) -> None:
    """Also the last digit of a threshold, which changes no logit of eight images: constants have a checksum."""
    files = c_files("tiny", "xnor-net", "plain")
    changed = _changed_constants(files["c/network.c"].decode())
    assert len(changed) >= 3  # bits, floats and the stem's integers at least
    for place, source in enumerate(changed):
        folder = write_bundle(tmp_path / str(place), {**files, "c/network.c": source.encode()})
        made = make(folder, "selftest", "CFLAGS=-O0")
        assert made.returncode != 0
        assert "self-test FAILED: the constants of network.c are not those that were written" in made.stdout


def test_another_digest_is_seen(tmp_path: Path) -> None:
    files = c_files()
    files["c/network.h"] = files["c/network.h"].replace(WEIGHTS_DIGEST.encode(), b"0" * 64)
    made = make(write_bundle(tmp_path, files), "selftest", "CFLAGS=-O0")
    assert made.returncode != 0
    assert f"self-test FAILED: network.h was made for other weights ({'0' * 64})" in made.stdout


def _firmware(folder: Path, files: dict[str, bytes]) -> ctypes.CDLL:
    write_bundle(folder, files)
    sources = (folder / "c" / "network.c", folder / "c" / "selftest.c")
    compile_c(CC, ("-O1", "-DNN_NO_MAIN", *SHARED), sources, folder / "firmware.so")
    return ctypes.CDLL(str(folder / "firmware.so"))


def test_firmware_learns_the_first_image_whose_logits_differ(tmp_path: Path) -> None:
    """The last bit of the first logit of the third image."""
    files = c_files()
    text = files["c/selftest.c"].decode()
    rows = list(re.finditer(r"\{(0x[0-9a-f]{8})u,", text))
    assert len(rows) == 8
    number = f"{int(rows[2][1], 16) ^ 1:#010x}"
    files["c/selftest.c"] = f"{text[: rows[2].start(1)]}{number}{text[rows[2].end(1) :]}".encode()
    arena = np.zeros(2**16, np.uint64)
    assert _firmware(tmp_path / "a", files).nn_selftest(ctypes.c_void_p(arena.ctypes.data)) == 3
    assert _firmware(tmp_path / "b", c_files()).nn_selftest(ctypes.c_void_p(arena.ctypes.data)) == 0
    assert _firmware(tmp_path / "c", c_files()).nn_selftest(ctypes.c_void_p(arena.ctypes.data + 1)) == -3


def test_firmware_needs_neither_files_nor_stdio(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, c_files())
    objects = []
    for name in ("network", "selftest"):
        objects.append(str(folder / f"{name}.o"))
        compile_c(CC, ("-O1", "-DNN_NO_MAIN", "-c"), (folder / "c" / f"{name}.c",), Path(objects[-1]))
    told = subprocess.run([shutil.which("nm") or "", "-u", *objects], check=True, capture_output=True, text=True).stdout
    wanted = set(re.findall(r"U (\w+)", told))
    assert wanted - {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"} <= {"memcpy", "memset", "memcmp", "nn_run", "nn_checksum"}


def test_libraries_are_made_and_strict_compilers_have_nothing_to_say(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, c_files())
    made = make(folder, "lib", "native", "CFLAGS=-O1 -Wpedantic -Werror")
    assert (made.returncode, made.stderr) == (0, "")
    assert (folder / "c" / "libnetwork.a").exists()
    logits = Library(folder / "c" / "libnetwork.so", (folder / "c" / "network.h").read_text()).logits(_images())
    assert logits.shape == (359, 10)


@pytest.mark.skipif(not shutil.which("arm-none-eabi-gcc"), reason="no compiler for Cortex-M here")
def test_an_object_for_a_cortex_m4_is_made_and_its_size_told(tmp_path: Path) -> None:
    made = make(write_bundle(tmp_path, c_files()), "cortex-m4")
    assert made.returncode == 0, made.stderr
    assert re.search(r"^ *\d{4,5}\s+0\s+0\s", made.stdout, re.MULTILINE)  # text; neither data nor bss


def _images() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    test = digits().test
    assert test is not None
    return test.images


@pytest.mark.parametrize(("space", "method", "template"), NETWORKS)
def test_logits_of_the_self_test_are_known_to_the_last_bit_without_a_compiler(
    space: str, method: str, template: str, tmp_path: Path
) -> None:
    folder = write_bundle(tmp_path, c_files(space, method, template))
    compile_c(CC, ("-O1", *SHARED), (folder / "c" / "network.c",), folder / "network.so")
    images = _images()[:40]
    computed = Library(folder / "network.so", (folder / "c" / "network.h").read_text()).logits(images)
    expected = logits_in_order(frozen_network(space, method, template), images)
    assert (computed.view(np.uint32) == expected.view(np.uint32)).all()
    with torch.no_grad():
        logits = frozen_network(space, method, template)(torch.tensor(images).float().div(255)).numpy()
    assert np.abs(computed - logits).max() < 1e-5 * np.abs(logits).max()


@pytest.mark.parametrize(
    ("given", "count", "words"), [(10**6, 8, "test images 0, 44, 89"), (130, 2, "test images 0, 179"), (63, 8, "noise")]
)
def test_images_of_a_self_test_are_as_many_as_may_be_given_away(given: int, count: int, words: str) -> None:
    test = digits().test
    assert test is not None
    images, origin = choose_images(test, Shape(8, 8, 1), given)
    assert images.shape == (count, 1, 8, 8)
    assert origin.startswith(words)
    if count == 2:
        assert (images == test.images[[0, 179]]).all()


def test_images_of_a_self_test_take_little_flash() -> None:
    large = Part(np.zeros((9, 3, 100, 100), np.uint8), np.zeros(9, np.int64))
    assert len(choose_images(large, Shape(100, 100, 3), 10**9)[0]) == 1
    assert len(choose_images(large, Shape(100, 100, 3), 0)[0]) == 1


@pytest.mark.parametrize(
    "name", ['a"b\\', "??=??/", "caf\u00e9 1", "\U0001f600", "line\nbreak", "\x07" + "7", "\udcff", "@NAME@"]
)
def test_whatever_classes_are_called_is_c(name: str, tmp_path: Path) -> None:
    program = f"#include <stdio.h>\nint main(void) {{ fputs({literal(name)}, stdout); return 0; }}\n"
    (tmp_path / "x.c").write_text(program)
    compile_c(CC, ("-Wall", "-Wextra", "-Wpedantic", "-Werror"), (tmp_path / "x.c",), tmp_path / "x")
    assert subprocess.run([tmp_path / "x"], check=True, capture_output=True).stdout == name.encode(errors="replace")


def test_what_is_too_large_for_a_bundle_is_not_written() -> None:
    """A million classes' names."""
    program = trace_network(frozen_network(), ["a class"] * 10**6)
    with pytest.raises(ExportError, match=r"^c/network\.h has 10\.\d MiB; allowed: up to 4 MiB$"):
        network_files(program, WEIGHTS_DIGEST, "1")
