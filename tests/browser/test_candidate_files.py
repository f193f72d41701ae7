"""Files of a candidate: every format has a link, and why there is none of one is told beside it."""

import json
import re

import pytest
from playwright.sync_api import expect

from nas_service.export.bundle_archive import MANIFEST, ONNX, pack
from nas_service.settings import Settings
from nas_service.storage import candidates
from nas_service.storage.artifacts import ArtifactStore, StoredFile, record_artifact
from nas_service.storage.session import Database
from tests.browser.conftest import OpenPage
from tests.browser.trainings import write_training
from tests.browser.watched import Watch, axe, overflow

_REASON = "one channel more than a program in C may have"


@pytest.mark.parametrize("kind", ["trainings", "architectures"])
def test_files_of_every_format_are_offered_and_why_there_is_none_is_told(
    open_page: OpenPage, store: Database, settings: Settings, watch: Watch, kind: str
) -> None:
    watch.forgive("status of 409")  # what is asked for and is not there
    written = write_training(store, seeds=1, count=1)
    with store.write() as session:
        name = candidates.candidates_of(session, written.training)[0].id
        content = pack({MANIFEST: json.dumps({"c": {"reason": _REASON}}).encode(), ONNX: b"network"})
        ArtifactStore(settings.artifacts).put("bundle.zip", content)
        record_artifact(session, name, "bundle", StoredFile.of("bundle.zip", content))
    page = open_page(f"/{kind}/{written.training if kind == 'trainings' else written.architectures[0]}")
    row = page.locator("tr", has=page.locator(f'a[href="/v1/candidates/{name}/download?format=onnx"]'))
    expect(row.locator(".files a")).to_have_text(["bundle", "weights", "C", "ONNX", "QONNX"])
    with page.expect_download() as file:
        row.get_by_role("link", name=re.compile("^ONNX of")).click()
    assert file.value.path().read_bytes() == b"network"
    assert file.value.suggested_filename == f"candidate-{name}.onnx"
    row.get_by_role("link", name="C of").click()
    expect(row.get_by_role("status")).to_have_text(f"this candidate has no c: {_REASON}")
    assert axe(page) == []
    assert overflow(page) == []
