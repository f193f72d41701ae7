"""The pages over HTTP: which addresses they are, how browsers keep them, and what they may load."""

import gzip
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient

from api.pages import BUILT, PATHS

ROOT = BUILT.parents[2]
PACKAGES = ("api", "migrations", "nas_service", "search_spaces", "workers")
ADDRESSES = [path.replace("{part}", "01a217e1-0000") for path in PATHS]


@pytest.mark.parametrize("path", [*ADDRESSES, "/?state=running&text=%3Cb%3E", "/searches/%3Cscript%3E?edge=a:0-2&at=61"])
def test_an_address_of_a_page_gives_the_one_index(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.text == (BUILT / "index.html").read_text()
    assert reply.headers["cache-control"] == "no-cache"


def test_a_page_may_load_nothing_foreign_and_run_nothing_inline(client: TestClient) -> None:
    reply = client.get("/")
    policy = dict(entry.strip().split(" ", 1) for entry in reply.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["style-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|//[a-z]", reply.text)


def test_every_file_that_the_index_names_is_there_for_good(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(/assets/[^"]+)"', client.get("/").text)
    assert len(named) >= 2
    for path in named:
        reply = client.get(path)
        assert reply.status_code == 200
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["content-type"].split(";")[0] in {"text/javascript", "text/css"}


def test_files_are_compressed_for_who_reads_that_and_not_sent_again_to_who_has_them(client: TestClient) -> None:
    path = next(f"/assets/{file.name}" for file in (BUILT / "assets").iterdir() if file.stat().st_size > 20_000)
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as reply:
        packed = b"".join(reply.iter_raw())
    assert gzip.decompress(packed) == plain.content
    assert len(packed) < len(plain.content) / 2
    again = client.get(path, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/assets/nothing.js", "/assets/../index.html", "/assets/%2e%2e/index.html", "/nothing", "/v1/nothing"]
)
def test_what_is_no_page_is_a_problem_in_json(client: TestClient, path: str) -> None:
    reply = client.get(path)
    assert reply.status_code == 404
    assert reply.headers["content-type"] == "application/problem+json"


def test_head_tells_the_same_without_a_body(client: TestClient) -> None:
    reply = client.head("/")
    assert (reply.status_code, reply.content) == (200, b"")
    assert client.post("/").status_code == 405


def test_the_description_of_the_api_still_loads_without_the_pages_policy(client: TestClient) -> None:
    reply = client.get("/docs")
    assert reply.status_code == 200
    assert not re.search("(script|style|img|default)-src", reply.headers["content-security-policy"])
    assert not [path for path in client.get("/openapi.json").json()["paths"] if path in PATHS or path.startswith("/assets")]


def _with_imports(name: str, seen: set[str]) -> set[str]:
    """Return a file of code and all that it loads before it runs."""
    if name not in seen:
        seen.add(name)
        for other in re.findall(r'(?:from|import)"\./([^"]+\.js)"', (BUILT / "assets" / name).read_text()):
            _with_imports(other, seen)
    return seen


def test_no_page_takes_more_than_150_kb_of_code() -> None:
    (first,) = re.findall(r'<script[^>]*src="/assets/([^"]+)"', (BUILT / "index.html").read_text())
    shared = _with_imports(first, set())
    pages = {entry for name in shared for entry in re.findall(r"import\(`\./([^`]+\.js)`", (BUILT / "assets" / name).read_text())}
    assert len(pages) >= 6
    for page in pages:
        code = _with_imports(page, set(shared))
        assert sum((BUILT / "assets" / name).stat().st_size for name in code) <= 150_000, page


def test_a_wheel_holds_the_pages_and_none_of_what_they_are_made_of(tmp_path: Path) -> None:
    source, wheels = tmp_path / "source", tmp_path / "wheels"  # what building leaves behind is not for the checkout
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    words = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source)]
    command = [sys.executable, "-m", "pip", "wheel", *words]
    built = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("*.whl")
    with ZipFile(wheel) as packed:
        names = [name for name in packed.namelist() if name.startswith("api/dashboard/")]
        assert packed.read("api/dashboard/built/index.html") == (BUILT / "index.html").read_bytes()
    there = {f"api/dashboard/built/{file.relative_to(BUILT).as_posix()}" for file in BUILT.rglob("*") if file.is_file()}
    assert set(names) == there
