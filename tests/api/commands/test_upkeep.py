"""`nas gc`, `nas backup`, `nas restore` as people call them."""

import os
import time
from pathlib import Path

from nas_service.settings import Settings
from nas_service.storage.architectures import list_architectures
from nas_service.storage.artifacts import ArtifactStore
from nas_service.storage.session import Database
from tests.api.conftest import run_here, run_json, write_bundled

ORPHAN = "supernets/0190a1b2-0000-7000-8000-000000000000/00000004.safetensors"


def test_garbage_is_told_by_kind_and_goes_only_where_that_is_asked_for(
    settings: Settings, finished_search: str, tmp_path: Path
) -> None:
    store, home = ArtifactStore(settings.artifacts), {"NAS_HOME": str(settings.home)}
    with Database(settings.database).read() as session:
        (first, *_) = list_architectures(session, limit=1, job_id=finished_search)
    write_bundled(settings, first.id)
    (ours,) = store.files()
    store.put(ORPHAN, b"x" * 2_000_000)
    moment = time.time() - 7200
    os.utime(settings.home / "artifacts" / ORPHAN, (moment, moment))
    told = run_here("gc", "--dry-run", cwd=tmp_path, **home)
    assert (told.returncode, told.stderr) == (0, "")
    assert [line.split() for line in told.stdout.splitlines() if "orphans" in line] == [
        ["orphans", "1", "2.0", "MB", "would", "go"]
    ]
    assert store.exists(ORPHAN)
    kept = {"kind": "results", "files": 1, "size_bytes": ours.size_bytes, "goes": False, "why": "rows describe them"}
    piles = [kept, {"kind": "orphans", "files": 1, "size_bytes": 2_000_000, "goes": True, "why": ""}]
    assert run_json("gc", cwd=tmp_path, **home) == {"piles": piles, "lost": [], "lost_count": 0, "stuck": []}
    assert not store.exists(ORPHAN)
    assert run_json("gc", cwd=tmp_path, **home) == {"piles": [kept], "lost": [], "lost_count": 0, "stuck": []}


def test_what_rows_describe_and_the_store_has_lost_is_named(settings: Settings, finished_search: str, tmp_path: Path) -> None:
    with Database(settings.database).read() as session:
        (first, *_) = list_architectures(session, limit=2, job_id=finished_search)
    write_bundled(settings, first.id)
    ArtifactStore(settings.artifacts).delete("bundle.zip")
    told = run_here("gc", "--dry-run", cwd=tmp_path, NAS_HOME=str(settings.home))
    assert told.returncode == 1
    assert told.stderr.startswith("lost: a row describes bundle.zip, and the store has no such file")
    saved = run_here("backup", "saved", cwd=tmp_path, NAS_HOME=str(settings.home))
    assert (saved.returncode, saved.stderr) == (1, "lost before the backup: bundle.zip: the store has lost it\n")


def test_a_backup_is_made_checked_and_restored(settings: Settings, tmp_path: Path) -> None:
    assert run_here("demo", cwd=tmp_path, NAS_HOME=str(settings.home)).returncode == 0
    here, there = {"NAS_HOME": str(settings.home)}, {"NAS_HOME": str(tmp_path / "there")}
    made = run_here("backup", "saved", cwd=tmp_path, **here)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("saved: whole, as of 20")
    assert run_here("backup", "saved", "--check", cwd=tmp_path).stdout == made.stdout
    again = run_here("backup", "saved", cwd=tmp_path, **here)
    assert (again.returncode, again.stderr) == (
        1,
        "error: folder: 'saved' is not allowed; allowed: a folder that is not there yet, or is empty\n",
    )
    none = run_here("restore", "nothing", cwd=tmp_path, **there)
    assert (none.returncode, "a backup that was finished" in none.stderr) == (1, True)
    restored = run_here("restore", "saved", cwd=tmp_path, **there)
    assert (restored.returncode, restored.stderr) == (0, "")
    assert restored.stdout.startswith("restored what was there at 20")
    keys = [file.key for file in ArtifactStore(settings.artifacts).files()]
    assert keys
    assert [file.key for file in ArtifactStore(f"file://{tmp_path / 'there' / 'artifacts'}").files()] == keys
    occupied = run_here("restore", "saved", cwd=tmp_path, **there)
    assert (occupied.returncode, "there is a database already" in occupied.stderr) == (1, True)
