"""Verification: C that computes something else than the network is refused, with image and values."""

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from nas_service.deploy.apart import Apart
from nas_service.deploy.loader import SHARED, compile_c
from nas_service.deploy.onnx_file import Origin, write_onnx
from nas_service.deploy.onnx_verifying import OnnxVerification
from nas_service.deploy.pointwise import Floats
from nas_service.deploy.tracing import trace_network
from nas_service.deploy.verifying import NO_COMPILER, TOLERANCE, Verification, refuse_others
from nas_service.errors import ExportError
from tests.nas_service.deploy.folders import WEIGHTS_DIGEST, c_files, frozen_network, write_bundle
from tests.samples import digits

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
COPY = b"return NN_OK;"  # the end of nn_run


def _given() -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], Floats]:
    test = digits().test
    assert test is not None
    images = test.images[:100]
    with torch.no_grad():
        return images, frozen_network()(torch.tensor(images).float().div(255)).numpy()


@needs_compiler
def test_every_build_is_run_on_every_image_and_told() -> None:
    images, logits = _given()
    beats = list[int]()
    with Verification(c_files(), lambda: beats.append(1)) as verification:
        verification.see("validation", 0, images[:60], logits[:60])
        verification.see("test", 0, images[60:], logits[60:])
        facts = verification.facts()
    assert (facts["verified"], facts["images"]) == (True, 100)
    assert facts["builds"][0]["flags"] == "-O1 -DNN_PORTABLE"
    assert len(facts["builds"]) == 2
    assert len(facts["compiler"]) > 2
    assert facts["flash_bytes"] > 4000
    assert len(beats) == 2 + 2 + 2  # builds; 60 and 40 images, 32 at a time


@needs_compiler
@pytest.mark.parametrize("change", [3 * TOLERANCE, float("nan")])
def test_logits_that_differ_by_more_than_the_order_of_a_sum_are_refused(change: float) -> None:
    images, logits = _given()
    logits[70, 2] += change * max(1, float(np.abs(logits[70]).max()))
    with Verification(c_files()) as verification:
        verification.see("test", 0, images[:40], logits[:40])
        with pytest.raises(ExportError, match=r"^the C's logits of test image 70 are \[.* instead of \["):
            verification.see("test", 40, images[40:], logits[40:])


@needs_compiler
def test_builds_that_differ_in_one_bit_are_refused() -> None:
    """On one image, which is none of the self-test's, in the last place of one logit."""
    images, logits = _given()
    images[50, 0, 0, 0] = 177  # a pixel that no digit has there
    with torch.no_grad():
        logits[50] = frozen_network()(torch.tensor(images[50:51]).float().div(255)).numpy()
    files = c_files()
    other = b"#ifndef NN_PORTABLE\n  if (image[0] == 177) ((uint8_t *)logits)[4] ^= 1;\n#endif\n  "
    assert files["c/network.c"].count(COPY) == 1
    files["c/network.c"] = files["c/network.c"].replace(COPY, other + COPY)
    with (
        Verification(files) as verification,
        pytest.raises(ExportError, match=r"^the C's logits with -O3 .*of test image 50 are"),
    ):
        verification.see("test", 0, images, logits)


@needs_compiler
def test_a_self_test_that_fails_is_refused() -> None:
    files = c_files()
    files["c/network.c"] = files["c/network.c"].replace(COPY, b"logits[0] += 1;\n  " + COPY)
    with pytest.raises(ExportError, match=r"^the self-test of the network's C returns 1 with -O1 -DNN_PORTABLE$"):
        Verification(files).__enter__()


def _compiler(folder: Path, *lines: str) -> Path:
    """Write a program that tells macros as a compiler does, and then does something else with files."""
    path = folder / "odd-cc"
    path.write_text("\n".join(["#!/bin/sh", 'case "$*" in *-dM*) exec cc "$@";; esac', *lines]))
    path.chmod(0o755)
    return path


@needs_compiler
@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("echo 'cannot find ld' >&2; exit 1", "fails with 1: cannot find ld"),
        ("kill -9 $$", "fails with -9"),
        (
            "for last; do :; done; while [ $1 != -o ]; do shift; done; echo no library > $2",
            "the compiled network cannot be loaded",
        ),
    ],
    ids=["without a linker", "killed", "what it makes is not loaded"],
)
def test_where_c_cannot_be_compiled_or_loaded_it_is_told_and_nothing_is_refused(tmp_path: Path, does: str, words: str) -> None:
    images, logits = _given()
    with Verification(c_files(), choose=lambda: (str(_compiler(tmp_path, does)),)) as verification:
        verification.see("test", 0, images, logits)
        facts = verification.facts()
    assert facts.keys() == {"verified", "reason"}
    assert facts["verified"] is False
    assert facts["reason"].startswith("the C cannot be run where this bundle was made: ")
    assert words in facts["reason"]
    assert "nas-c-" not in facts["reason"]  # folders of that machine


def test_a_compiler_that_is_named_and_does_not_work_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "nosuch -m32")
    with Verification(c_files()) as verification:
        assert "CC is 'nosuch -m32'" in verification.facts()["reason"]


@needs_compiler
def test_what_was_compiled_is_never_loaded_here_and_no_process_is_left() -> None:
    before = {child.pid for child in psutil.Process().children()}
    with Verification(c_files()):
        assert len({child.pid for child in psutil.Process().children()} - before) == 2
        assert "/nas-c-" not in Path("/proc/self/maps").read_text()
    assert {child.pid for child in psutil.Process().children()} <= before


def _crashing(code: str) -> dict[str, bytes]:
    files = c_files()
    source = files["c/network.c"].replace(b'#include "network.h"', b'#include <signal.h>\n#include "network.h"', 1)
    files["c/network.c"] = source.replace(COPY, code.encode() + b"\n  " + COPY)
    return files


@needs_compiler
def test_c_that_crashes_on_an_image_fails_with_the_name_of_the_signal() -> None:
    """On one that is none of the self-test's; the process that exports lives on."""
    images, logits = _given()
    images[50, 0, 0, 0] = 177  # a pixel that no digit has there
    with (
        Verification(_crashing("if (image[0] == 177) *(volatile int *)8 = 1;")) as verification,
        pytest.raises(ExportError, match=r"^the network's C with -O1 -DNN_PORTABLE ends its process with SIGSEGV$"),
    ):
        verification.see("test", 0, images, logits)


@needs_compiler
@pytest.mark.parametrize(
    ("crash", "name"), [("__builtin_trap();", "SIGILL"), ("raise(SIGFPE);", "SIGFPE"), ("raise(40);", "signal 40")]
)
def test_c_that_crashes_in_the_self_test_fails_with_the_name_of_the_signal(tmp_path: Path, crash: str, name: str) -> None:
    source = write_bundle(tmp_path, _crashing(crash)) / "c"
    compile_c(("cc",), ("-O0", "-DNN_NO_MAIN", *SHARED), (source / "network.c", source / "selftest.c"), tmp_path / "x.so")
    with (
        closing(Apart(tmp_path / "x.so", source / "network.h", "the C")) as apart,
        pytest.raises(ExportError, match=rf"^the C ends its process with {name}$"),
    ):
        apart.selftest()


def test_only_near_ties_may_get_another_class() -> None:
    near, far = 0.9 * TOLERANCE, 1.1 * TOLERANCE
    blank = np.array([[0.0, 1.0]], np.float32)
    swapped = np.array([[0.5, 0.5 - near / 2], [0.0, 1.0]], np.float32)
    assert refuse_others("x", 0, swapped, np.array([[0.5, 0.5 + near / 2], [0.0, 1.0]], np.float32)) == 1
    assert refuse_others("x", 0, blank, blank) == 0
    with pytest.raises(ExportError, match=r"^x 7 are "):
        refuse_others("x", 7, np.array([[0.5, 0.5 - far / 2]], np.float32), np.array([[0.5, 0.5 + far / 2]], np.float32))


def test_without_a_compiler_it_is_told_that_nothing_was_verified() -> None:
    images, logits = _given()
    with Verification(c_files(), choose=lambda: None) as verification:
        verification.see("test", 0, images, logits)
        assert verification.facts() == {"verified": False, "reason": NO_COMPILER}


def test_onnx_that_the_runtime_cannot_load_is_told() -> None:
    images, logits = _given()
    with OnnxVerification(b"of a later opset") as verification:
        verification.see("test", 0, images, logits)
        facts = verification.facts()
    assert facts["verified"] is False
    assert facts["reason"].startswith("the runtime cannot load it where this bundle was made: ")


def test_onnx_is_run_on_every_image_and_refused_where_it_computes_something_else() -> None:
    images, logits = _given()
    content = write_onnx(trace_network(frozen_network(), digits().class_names), Origin(WEIGHTS_DIGEST, "1"))
    with OnnxVerification(content) as verification:
        verification.see("validation", 0, images, logits)
        facts = verification.facts()
        logits[70, 2] += 3 * TOLERANCE * max(1, float(np.abs(logits[70]).max()))
        with pytest.raises(ExportError, match=r"^network\.onnx's logits of test image 170 are \[.* instead of \["):
            verification.see("test", 100, images, logits)
    assert (facts["verified"], facts["images"]) == (True, 100)
    assert facts["runtime"].startswith("onnxruntime 1.")
