"""Downloads: whole or in ranges, from a folder and from S3, never damaged, and not read where their tag says enough."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from nas_service.settings import Settings
from nas_service.storage.artifacts import ArtifactStore, StoredFile
from tests.api.conftest import write_bundled

CONTENT = bytes(range(251)) * 17_000  # more than one piece


@pytest.fixture
def stored(settings: Settings, store_url: str) -> Settings:
    """Return the settings of a service with either kind of store."""
    return settings.model_copy(update={"artifact_url": store_url})


@pytest.fixture
def asking(stored: Settings) -> Iterator[TestClient]:
    """Return a client of a service with either kind of store."""
    with TestClient(create_app(stored), base_url="http://localhost", raise_server_exceptions=False) as connected:
        yield connected


@pytest.fixture
def path(stored: Settings, finished_search: str, asking: TestClient) -> str:
    """Return where a bundle is downloaded."""
    found = asking.get("/v1/architectures", params={"search": finished_search}).json()["items"]
    return f"/v1/candidates/{write_bundled(stored, found[0]['id'], CONTENT)}/download"


def test_a_download_comes_whole_or_as_the_range_that_is_asked_for(asking: TestClient, path: str) -> None:
    whole = asking.get(path)
    tag, size = whole.headers["ETag"], len(CONTENT)
    assert (whole.status_code, whole.content, whole.headers["Accept-Ranges"]) == (200, CONTENT, "bytes")
    assert tag == f'"{StoredFile.of("", CONTENT).sha256}"'
    ranges = {
        "bytes=0-0": (0, 1),
        "bytes=4200000-": (4_200_000, size),
        "bytes=-7": (size - 7, size),
        "bytes=9-99999999": (9, size),
    }
    for asked, (start, end) in ranges.items():
        for more in ({}, {"If-Range": tag}):
            part = asking.get(path, headers={"Range": asked, **more})
            assert (part.status_code, part.content) == (206, CONTENT[start:end]), asked
            assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
            assert (part.headers["ETag"], "content-encoding" in part.headers) == (tag, False)
    for asked in ("bytes=7-3", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,3-4"):
        assert asking.get(path, headers={"Range": asked}).status_code == 200, asked
    assert asking.get(path, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).content == CONTENT
    for asked in (f"bytes={size}-", "bytes=-0", "bytes=999999999999999999-"):
        refused = asking.get(path, headers={"Range": asked})
        assert (refused.status_code, refused.headers["Content-Range"]) == (416, f"bytes */{size}")
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert f"allowed: bytes=FIRST-LAST of its {size} bytes" in refused.json()["detail"]


def test_a_reader_that_was_cut_off_goes_on_where_it_was(asking: TestClient, path: str) -> None:
    begun = asking.get(path, headers={"Range": "bytes=0-1234567"})
    rest = asking.get(path, headers={"Range": "bytes=1234568-", "If-Range": begun.headers["ETag"]})
    assert begun.content + rest.content == CONTENT


def test_tags_and_heads_are_answered_without_a_look_at_the_file(asking: TestClient, path: str, stored: Settings) -> None:
    whole = asking.get(path)
    ArtifactStore(stored.artifacts).delete("bundle.zip")
    head = asking.head(path)
    said = ("ETag", "Content-Length", "Content-Type", "Content-Disposition", "Accept-Ranges")
    assert (head.status_code, head.content) == (200, b"")
    assert [head.headers[name] for name in said] == [whole.headers[name] for name in said]
    held = asking.get(path, headers={"If-None-Match": whole.headers["ETag"], "Range": "bytes=0-1"})
    assert (held.status_code, held.headers["ETag"]) == (304, whole.headers["ETag"])


def test_what_is_lost_or_damaged_is_an_error_in_words_and_never_sent(asking: TestClient, path: str, stored: Settings) -> None:
    store = ArtifactStore(stored.artifacts)
    assert asking.get(path).status_code == 200  # found right once
    store.put("bundle.zip", CONTENT[:-1] + b"?")
    for headers in ({}, {"Range": "bytes=0-1"}):
        refused = asking.get(path, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (500, "urn:nas:problem:broken-file")
        assert refused.json()["detail"] == (
            "bundle.zip in the artifact store is damaged: its bytes are not those that were written"
        )
    assert asking.get(path, params={"format": "c"}).json()["type"] == "urn:nas:problem:broken-file"
    store.delete("bundle.zip")
    assert asking.get(path).json()["detail"] == "the artifact store has lost bundle.zip"


def test_what_is_made_for_the_request_comes_in_ranges_too(client: TestClient, finished_search: str, tmp_path: Path) -> None:
    (first, _) = client.get("/v1/architectures", params={"search": finished_search}).json()["items"]
    made = f"/v1/architectures/{first['id']}/download"
    whole = client.get(made)
    half = len(whole.content) // 2
    parts = [client.get(made, headers={"Range": asked}).content for asked in (f"bytes=0-{half - 1}", f"bytes={half}-")]
    (tmp_path / "joined.zip").write_bytes(b"".join(parts))
    with zipfile.ZipFile(tmp_path / "joined.zip") as archive:
        assert archive.testzip() is None
    assert re.fullmatch(r'"[0-9a-f]{64}"', client.head(made).headers["ETag"])
