"""`packed.py`: the C of a bundle from Python, with numpy alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from nas_service.deploy.loader import Network, PackedError, find_compiler
from tests.nas_service.deploy.folders import c_files, frozen_network, write_bundle
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


def _script(bundle: Path, **environment: str) -> subprocess.Popen[str]:
    script = f"{ALONE}; import runpy; sys.argv = ['packed.py']; runpy.run_path('packed.py', run_name='__main__')"
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
    assert "model.py needs torch instead" in err


def test_a_compiler_that_is_named_is_taken_with_its_flags_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "cc -DNN_PORTABLE")
    assert find_compiler() == (shutil.which("cc"), "-DNN_PORTABLE")
    for named in ("nosuch", "cc --nosuch", "cc 'open"):
        monkeypatch.setenv("CC", named)
        with pytest.raises(PackedError, match=r"^CC is .*, which is not the command of a C compiler that works here") as refused:
            find_compiler()
        assert repr(named) in str(refused.value)


def test_a_library_that_cannot_be_loaded_is_told(bundle: Path) -> None:
    Network(bundle)._library.close()
    (library,) = (bundle.parent / "cache" / "nas-packed").iterdir()
    library.rename(library.with_suffix(".old"))
    library.write_bytes(b"no library")
    with pytest.raises(PackedError, match=r"^the compiled network cannot be loaded: "):
        Network(bundle)


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
