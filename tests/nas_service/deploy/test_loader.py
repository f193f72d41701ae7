"""`packed.py`: the C of a bundle from Python, with numpy alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from nas_service.deploy.loader import SHARED, PackedError, compile_c, find_compiler
from nas_service.deploy.packed_network import Network, read_test_images
from tests.nas_service.deploy.folders import WEIGHTS_DIGEST, c_files, frozen_network, write_bundle
from tests.samples import digits

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")
ALONE = "import sys; sys.modules.update(dict.fromkeys(['nas_service', 'search_spaces', 'torch', 'safetensors']))"


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a bundle's folder; what is compiled is kept beside it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_bundle(tmp_path / "bundle", c_files())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Return a bundle's network, compiled once for tests that only call it."""
    folder = tmp_path_factory.mktemp("called")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        return Network(write_bundle(folder / "bundle", c_files()))


def _images() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    test = digits().test
    assert test is not None
    return test.images


def test_logits_are_those_of_the_frozen_network(network: Network) -> None:
    pixels = torch.tensor(_images()).to(torch.float32).div(255)
    with torch.no_grad():
        expected = frozen_network()(pixels).numpy()
    logits = network(pixels)
    assert logits.dtype == np.float32
    assert np.abs(logits - expected).max() < 1e-5 * np.abs(expected).max()  # the order of the classifier's sum
    assert (logits.argmax(1) == expected.argmax(1)).all()


def test_images_and_their_pixels_give_the_same_bits_in_each_type_that_holds_grey_levels(network: Network) -> None:
    images = _images()[:20]
    expected = network(images)
    for pixels in (images.astype(np.float32) / 255, images / 255, images.astype(np.float32) * np.float32(1 / 255)):
        assert (network(pixels) == expected).all()
    assert network(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((1, 1, 8, 8), 0.3 / 255 + 0.1), r"a pixel of 0\.10\d+ is not allowed; allowed: k / 255"),
        (np.full((1, 1, 8, 8), np.nan), "a pixel of nan is not allowed"),
        (np.full((1, 1, 8, 8), 256 / 255), r"a pixel of 1\.0\d+ is not allowed"),
        (np.full((1, 1, 8, 8), -1 / 255), r"a pixel of -0\.0\d+ is not allowed"),
        (np.zeros((1, 1, 8, 8), np.int64), "pixels of int64 are not allowed; allowed: uint8, or float"),
        (np.zeros((1, 8, 8)), r"pixels of shape \(1, 8, 8\) are not allowed; allowed: \(N, 1, 8, 8\)"),
        (np.zeros((1, 1, 9, 8)), r"pixels of shape \(1, 1, 9, 8\)"),
    ],
)
def test_what_is_no_image_is_refused(
    network: Network, pixels: np.ndarray[tuple[int, ...], np.dtype[np.float64]], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        network(pixels)


def test_it_is_compiled_once_and_what_was_compiled_is_found_again(bundle: Path) -> None:
    Network(bundle)
    (library,) = (bundle.parent / "cache" / "nas-packed").iterdir()
    before = library.stat()
    Network(bundle)
    (again,) = (bundle.parent / "cache" / "nas-packed").iterdir()
    assert (again, again.stat().st_mtime_ns, again.stat().st_ino) == (library, before.st_mtime_ns, before.st_ino)


def _script(bundle: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    script = f"{ALONE}; import runpy; sys.argv = {['packed.py', *words]}; runpy.run_path('packed.py', run_name='__main__')"
    told = {**os.environ, **environment}
    return subprocess.Popen(
        [sys.executable, "-I", "-c", script], cwd=bundle, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_scripts_that_start_at_once_end_with_one_library_and_the_same_accuracy(bundle: Path) -> None:
    """In interpreters without torch, safetensors and this project."""
    images = _images()
    labels = Network(bundle)(images).argmax(1)
    labels[:9] = (labels[:9] + 1) % 10
    save_file({"images": images, "labels": labels}, bundle / "test.safetensors")
    shutil.rmtree(bundle.parent / "cache")
    running = [_script(bundle) for _ in range(3)]
    for script in running:
        out, err = script.communicate(timeout=60)
        assert (out, err) == (f"accuracy: {350 / 359!r} (350 of 359)\n", "")
    assert len(list((bundle.parent / "cache" / "nas-packed").iterdir())) == 1


def test_where_there_is_no_compiler_it_says_so(bundle: Path) -> None:
    (bundle / "test.safetensors").write_bytes(b"")
    out, err = (script := _script(bundle, PATH="/nowhere", CC="")).communicate(timeout=60)
    assert (script.returncode, out) == (1, "")
    assert err.startswith("packed.py: no C compiler: none of cc, gcc, clang is on PATH")
    assert "model.py, in the whole bundle, needs torch instead" in err
    assert "neither NN_LIBRARY nor c/libnetwork.so is a library" in err


def test_a_compiler_that_is_named_is_taken_with_its_flags_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cc -DNN_PORTABLE")
    assert find_compiler() == (shutil.which("cc"), "-DNN_PORTABLE")
    for named in ("nosuch", "cc --nosuch", "cc 'open"):
        monkeypatch.setenv("CC", named)
        with pytest.raises(PackedError, match=r"^CC is .*, which is not the command of a C compiler that works here") as refused:
            find_compiler()
        assert repr(named) in str(refused.value)


@pytest.mark.parametrize("damage", ["cut off", "a bit"])
def test_a_damaged_library_in_the_cache_is_compiled_anew(bundle: Path, damage: str) -> None:
    expected = Network(bundle)(_images()[:2])
    (library,) = (bundle.parent / "cache" / "nas-packed").iterdir()
    whole = library.read_bytes()
    changed = bytes([whole[0] ^ 1]) + whole[1:]
    library.unlink()  # it is loaded: what is written into it would be run
    library.write_bytes(whole[:5000] if damage == "cut off" else changed)
    assert (Network(bundle)(_images()[:2]) == expected).all()
    (again,) = (bundle.parent / "cache" / "nas-packed").iterdir()
    assert again.read_bytes() == whole


def _native(bundle: Path, *changes: tuple[str, str, str]) -> Path:
    """Return a library that was compiled elsewhere, of files of which one text is another one."""
    files = c_files()
    for name, old, new in changes:
        assert old.encode() in files[name]
        files[name] = files[name].replace(old.encode(), new.encode(), 1)
    folder = write_bundle(bundle.parent / "elsewhere", files)
    compile_c(("cc",), ("-O0", *SHARED), (folder / "c" / "network.c",), bundle.parent / "given.so")
    return bundle.parent / "given.so"


def _run_alone(bundle: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    """Run packed.py with no compiler on PATH; return its status and what it says."""
    (script := _script(bundle, *words, PATH="/nowhere", CC="", **environment)).wait(timeout=60)
    out, err = script.communicate()
    return script.returncode, out, err


@pytest.mark.parametrize("way", ["argument", "NN_LIBRARY", "beside it"])
def test_a_library_that_was_compiled_elsewhere_needs_no_compiler(bundle: Path, way: str) -> None:
    images, library = _images(), _native(bundle)
    save_file({"images": images, "labels": Network(bundle, library)(images).argmax(1)}, bundle / "test.safetensors")
    if way == "beside it":
        library.rename(bundle / "c" / "libnetwork.so")
    words = ["--library", str(library)] if way == "argument" else []
    environment = {"NN_LIBRARY": str(library)} if way == "NN_LIBRARY" else {}
    assert _run_alone(bundle, *words, **environment) == (0, "accuracy: 1.0 (359 of 359)\n", "")
    assert not (bundle.parent / "cache").exists()


@pytest.mark.parametrize("damage", ["cut off", "empty", "no library", "crashes", "stops at once"])
def test_a_damaged_library_is_refused_in_one_sentence(bundle: Path, damage: str) -> None:
    (bundle / "test.safetensors").write_bytes(b"")
    crashes = {"crashes": "*(volatile int *)8 = 1;", "stops at once": "__builtin_trap();"}
    changes = [("c/network.c", "return NN_OK;", f"{crashes[damage]} return NN_OK;")] if damage in crashes else []
    library = _native(bundle, *changes)
    if damage not in crashes:
        whole = library.read_bytes()
        library.write_bytes({"cut off": whole[: len(whole) // 3], "empty": b"", "no library": b"no library"}[damage])
    status, out, err = _run_alone(bundle, NN_LIBRARY=str(library))
    assert (status, out) == (1, "")
    assert re.fullmatch(rf"packed\.py: [^\n]*{library}[^\n]*\n", err)
    if damage in {"cut off", *crashes}:
        assert re.search(r"ends a process with SIG\w+: it is damaged, or compiled for another processor", err)


@pytest.mark.parametrize("other", ["weights", "arena", "constant"])
def test_a_library_of_another_network_is_refused(bundle: Path, other: str) -> None:
    changes = {
        "weights": ("c/network.h", WEIGHTS_DIGEST, "0" * 64),
        "arena": ("c/network.h", "#define NN_ARENA_BYTES ", "#define NN_ARENA_BYTES 1"),
        "constant": ("c/network.c", "= {\n  0x", "= {\n  0xf"),
    }
    library = _native(bundle, changes[other])
    words = {
        "weights": f"digest b'{'0' * 64}' instead of",
        "arena": r"arena_bytes \d+ instead of \d+",
        "constant": "has other constants than",
    }
    with pytest.raises(PackedError, match=words[other]):
        Network(bundle, library=library)


def test_a_library_that_is_not_there_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PackedError, match=r"^/nowhere/x\.so is no file; library, and NN_LIBRARY, name a shared library"):
        Network(bundle, library="/nowhere/x.so")
    monkeypatch.setenv("NN_LIBRARY", str(bundle))
    with pytest.raises(PackedError, match="is no file; library, and NN_LIBRARY, name a shared library"):
        Network(bundle)


def test_a_network_says_what_it_takes_and_gives(bundle: Path) -> None:
    network = Network(bundle, _native(bundle))
    assert (network.image_shape, network.class_names, network.digest) == ((1, 8, 8), tuple("0123456789"), WEIGHTS_DIGEST)
    told = f"images uint8 (N, 1, 8, 8); 10 classes: {', '.join(map(repr, '0123456789'))}; weights of SHA-256 {WEIGHTS_DIGEST}"
    assert repr(network) == f"Network({told}; library {network.library})"
    status, out, err = _run_alone(bundle, "--help")
    assert (status, err) == (0, "")
    assert out.endswith(f"\nnetwork: {told}\n")


@pytest.mark.parametrize("names", [["100 %(prog)s", "\x1b[31m"] * 5, [f"class {place}" for place in range(10)]])
def test_whatever_classes_are_called_is_told(bundle: Path, names: list[str]) -> None:
    stated = json.loads((bundle / "manifest.json").read_bytes())
    (bundle / "manifest.json").write_text(json.dumps({**stated, "class_names": names}))
    assert repr(names[1]) in repr(Network(bundle, _native(bundle)))
    status, out, _ = _run_alone(bundle, "--help")
    assert (status, repr(names[0]) in out) == (0, True)


_IMAGES = np.zeros((3, 1, 8, 8), np.uint8)
_LABELS = np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"images": _IMAGES}, "there is no labels, but ['images']; allowed: whole numbers (N,) from 0 to 9, one of N images"),
        ({"labels": _LABELS}, "there is no images, but ['labels']; allowed: uint8 (N, 1, 8, 8)"),
        (
            {"images": _IMAGES.astype(np.float32), "labels": _LABELS},
            "images: float32 (3, 1, 8, 8) is not allowed; allowed: uint8",
        ),
        ({"images": _IMAGES[:, 0], "labels": _LABELS}, "images: uint8 (3, 8, 8) is not allowed; allowed: uint8 (N, 1, 8, 8)"),
        ({"images": _IMAGES[..., :7], "labels": _LABELS}, "images: uint8 (3, 1, 8, 7) is not allowed"),
        ({"images": _IMAGES[:0], "labels": _LABELS[:0]}, "images: uint8 (0, 1, 8, 8) is not allowed"),
        ({"images": _IMAGES, "labels": _LABELS[:2]}, "labels: int64 (2,) is not allowed"),
        (
            {"images": _IMAGES, "labels": _LABELS.astype(np.float64)},
            "labels: float64 (3,) is not allowed; allowed: whole numbers",
        ),
        ({"images": _IMAGES, "labels": _LABELS + 10}, "labels: int64 (3,) from 10 to 10 is not allowed"),
        ({"images": _IMAGES, "labels": _LABELS - 1}, "labels: int64 (3,) from -1 to -1 is not allowed"),
        ({"images": _IMAGES, "labels": _LABELS, "more": _LABELS > 0}, "is no safetensors file with tensors of U8, I8"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_test_images_that_are_none_are_refused(tmp_path: Path, tensors: dict[str, np.ndarray[Any, Any]], words: str) -> None:
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, tmp_path / "x.safetensors")
    with pytest.raises(PackedError) as refused:
        read_test_images(tmp_path / "x.safetensors", (1, 8, 8), 10)
    assert str(refused.value).startswith(str(tmp_path / "x.safetensors"))
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no tensors",
        b"\xff" * 40,
        (3).to_bytes(8, "little") + b"[1]",
        (5).to_bytes(8, "little") + b'{"a":',
        (60).to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,9]}}   ',
        (60).to_bytes(8, "little") + b'{"a":{"dtype":"U8","shape":[9],"data_offsets":["a",9]}}     ',
        (200000).to_bytes(8, "little") + b"[" * 200000,
    ],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(PackedError, match=r"x is no safetensors file with tensors of U8, "):
        read_test_images(tmp_path / "x", (1, 8, 8), 10)


def test_the_script_says_what_is_wrong_with_its_data_in_one_sentence(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NN_LIBRARY", str(_native(bundle)))
    assert _run_told(bundle, "--data", "nothing") == (1, "", "packed.py: nothing cannot be read: No such file or directory\n")
    assert _run_told(bundle, "--data", "c") == (1, "", "packed.py: c cannot be read: Is a directory\n")
    status, _, err = _run_told(bundle)
    assert (status, "this bundle carries no test images; give --data FILE.safetensors" in err) == (2, True)


def _run_told(bundle: Path, *words: str) -> tuple[int, str, str]:
    out, err = (script := _script(bundle, *words)).communicate(timeout=60)
    return script.returncode, out, err


def test_a_cache_that_others_may_write_to_is_not_used(bundle: Path) -> None:
    cache = bundle.parent / "cache" / "nas-packed"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    with pytest.warns(UserWarning, match="is not this user's alone: the network is compiled anew every time"):
        network = Network(bundle)
    assert network(_images()[:2]).shape == (2, 10)
    assert list(cache.iterdir()) == []


def test_where_there_is_no_home_it_says_which_folder_to_name(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", _no_home)
    with pytest.raises(PackedError, match=r"\(no home\); XDG_CACHE_HOME names another folder"):
        Network(bundle)


def _no_home() -> Path:
    raise RuntimeError("no home")


@pytest.mark.parametrize("name", ["c/network.c", "c/network.h"])
def test_a_changed_file_is_not_compiled(bundle: Path, name: str) -> None:
    path = bundle / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(PackedError, match=rf"^{name} is not the file that manifest.json describes"):
        Network(bundle)
    assert not (bundle.parent / "cache").exists()


def test_c_that_was_made_for_other_weights_is_refused(bundle: Path) -> None:
    write_bundle(bundle, c_files(), weights_digest="0" * 64)
    with pytest.raises(PackedError, match=r"^network\.h was made for weights of SHA-256 [0-9a-f]{64}, the bundle has 0{64}$"):
        Network(bundle)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackedError, match="is no bundle with C"):
        Network(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": []}))
    with pytest.raises(PackedError, match="is no bundle with C"):
        Network(tmp_path)


def test_a_cache_that_cannot_be_written_is_named(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(PackedError, match="XDG_CACHE_HOME names another folder"):
        Network(bundle)
