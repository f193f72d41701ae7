"""`nas compile`: a bundle in, C with int16 activations out."""

from pathlib import Path

from tests.api.conftest import run_here, run_json
from tests.nas_service.export.test_bundle import _made


def test_a_bundle_is_compiled_and_told_of(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(_made(0)[0])
    result = run_json("compile", "b.zip", "--activations", "int16", "-o", "n.zip", cwd=tmp_path)
    assert isinstance(result, dict)
    assert (result["path"], result["activations"]) == ("n.zip", "int16")
    assert set(result["c"]["accuracy"]) == {"validation", "test"}
    assert (tmp_path / "n.zip").read_bytes()[:2] == b"PK"
    result = run_json("compile", "b.zip", "--activations", "float32", "--weights", "int8", cwd=tmp_path)
    assert isinstance(result, dict)
    assert (result["path"], result["activations"], result["weights"]) == ("network-int8.zip", "float32", "int8")
    refused = run_here("evaluate", "n.zip", cwd=tmp_path)
    assert (refused.returncode, "n.zip is no bundle but C alone: `packed.py` in it runs it" in refused.stderr) == (1, True)


def test_what_is_no_bundle_or_no_kind_of_numbers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"no zip")
    refused = run_here("compile", "b.zip", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: b.zip is not a bundle")
    assert run_here("compile", "b.zip", "--activations", "int8", cwd=tmp_path).returncode == 2
    nothing = run_here("compile", "b.zip", "--activations", "float32", cwd=tmp_path)
    assert (nothing.returncode, "--weights int8" in nothing.stderr) == (1, True)
    itself = run_here("compile", "b.zip", "-o", "./b.zip", cwd=tmp_path)
    assert (itself.returncode, "another file than the bundle" in itself.stderr) == (1, True)
    assert (tmp_path / "b.zip").read_bytes() == b"no zip"
