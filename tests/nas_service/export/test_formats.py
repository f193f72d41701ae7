"""Downloads are taken out of a bundle, or it is said why it has none."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from nas_service.errors import ConflictError, ExportError
from nas_service.export.bundle_archive import C_CARD, C_FILES, C_FORMAT, CARD, MANIFEST, ONNX, QONNX, WEIGHTS, listing, pack
from nas_service.export.formats import DOWNLOADS, DownloadFormat, take

OLD = Path(__file__).parent / "given" / "bundle-before-offsets.zip"


def _bundle(*names: str, **stated: object) -> bytes:
    listed = {name: listing(name.encode()) for name in ("README.md", WEIGHTS, *names)}
    return pack(
        {
            MANIFEST: json.dumps({"files": listed, **stated}).encode(),
            "README.md": b"card",
            **{name: name.encode() for name in names},
        }
    )


def test_every_format_is_described() -> None:
    assert DOWNLOADS.keys() == set(DownloadFormat)


def test_c_is_what_a_program_in_c_needs_and_what_it_is_checked_against() -> None:
    content = take(DownloadFormat.C, _bundle(*C_FILES, "model.py", "weights.safetensors"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert set(archive.namelist()) == {*C_FILES, MANIFEST, "README.md"}
        assert archive.read("c/network.c") == b"c/network.c"
        stated = json.loads(archive.read(MANIFEST))
        own = {name: listing(archive.read(name)) for name in archive.namelist() if name != MANIFEST}
    assert stated["format"] == C_FORMAT  # which nobody takes for a whole bundle
    assert stated["files"] == own | {WEIGHTS: listing(WEIGHTS.encode())}


def test_c_has_a_card_of_its_own_in_bundles_that_have_one() -> None:
    for names, card in (((C_CARD,), C_CARD.encode()), ((), b"card")):
        with zipfile.ZipFile(io.BytesIO(take(DownloadFormat.C, _bundle(*C_FILES, *names)))) as archive:
            assert archive.read(CARD) == card
            assert C_CARD not in archive.namelist()


def test_one_file_is_sent_as_it_is_and_a_bundle_untouched() -> None:
    bundle = _bundle(ONNX)
    assert take(DownloadFormat.ONNX, bundle) == b"network.onnx"
    assert take(DownloadFormat.QONNX, _bundle(QONNX)) == b"network-qonnx.onnx"
    assert take(DownloadFormat.BUNDLE, bundle) == bundle
    assert take(DownloadFormat.SAFETENSORS, b"weights") == b"weights"


@pytest.mark.parametrize("file_format", [DownloadFormat.C, DownloadFormat.ONNX, DownloadFormat.QONNX])
def test_a_bundle_without_it_says_why(file_format: DownloadFormat) -> None:
    told = {file_format.value: {"written": False, "reason": "a layer has no form"}}
    with pytest.raises(ConflictError, match=f"^this candidate has no {file_format}: a layer has no form$"):
        take(file_format, _bundle(**told))
    with pytest.raises(
        ConflictError, match=f"^this candidate's bundle was made before bundles had {file_format}; train it again"
    ):
        take(file_format, OLD.read_bytes())


def test_what_is_no_bundle_is_refused() -> None:
    with pytest.raises(ExportError, match=r"^the stored bundle cannot be read: "):
        take(DownloadFormat.C, b"the bundle")
