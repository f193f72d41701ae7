"""Lists of the command line where jobs have owners."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from nas_service.access import Whose
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.api.conftest import run_here, run_json
from tests.api.owners.owning import make_keys
from tests.serving import in_thread


def test_a_list_tells_owners_where_there_are_several_and_is_narrowed_to_one(
    app: FastAPI, whole: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_keys(whole)["ada"]
    with whole.write() as session:
        for owner, project in (("ada", "vision"), ("grace", "vision"), ("bob", "audio")):
            jobs.create_job(session, jobs.SEARCH, f"by {owner}", {}, whose=Whose(owner, project))
    monkeypatch.setenv("COLUMNS", "200")
    with in_thread(app) as url:

        def told(*words: str) -> str:
            return run_here(*words, cwd=tmp_path, NAS_URL=url, NAS_KEY=key).stdout

        both, own = told("jobs", "list"), told("search", "list", "--owner", "ada")
        assert "owner" in both
        assert all(word in both for word in ("by ada", "by grace"))
        assert "by bob" not in both
        others = told("search", "list", "--owner", "grace")
        assert "owner" in others.split("by grace")[0], "it is another's"
        assert "by ada" in own
        assert "grace" not in own
        assert "owner" not in own.split("by ada")[0], "one owner needs no column"
        counted = run_json("jobs", "counts", "--owner", "grace", cwd=tmp_path, NAS_URL=url, NAS_KEY=key)
        assert isinstance(counted, dict)
        assert counted["total"] == 1
