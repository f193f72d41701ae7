"""Searches without a table: what is left to do follows from what is kept, and a page from that alone."""

import sys
from pathlib import Path

import pytest

from benchmarks import without_table
from benchmarks.kept import add_row, read_rows
from benchmarks.without_table_report import page


def _run(monkeypatch: pytest.MonkeyPatch, kept: Path, *more: str) -> None:
    given = ["--smoke", "--space", "tiny", "--dataset-bench", "digits", "--trainings", "5", "--searches", "1", "--seeds", "1"]
    monkeypatch.setattr(sys, "argv", ["without_table", *given, "--jobs", "1", "--kept", str(kept), *more])
    without_table.main()


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_and_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept.jsonl"
    _run(monkeypatch, kept)
    rows = read_rows(kept)
    roles = [row["role"] for row in rows[1:]]
    assert {role: roles.count(role) for role in roles} == {"searched": 16, "drawn": 5, "pick": 1, "random": 1, "like": 3}
    assert len({row["seed"] for row in rows[1:] if row["role"] in {"searched", "drawn"}}) == 1
    new = [row for row in rows[1:] if row["role"] in {"pick", "random", "like"}]
    assert {row["seed"] for row in new} == {without_table.RETRAINED}
    lines = kept.read_text().splitlines(keepends=True)
    kept.write_text("".join(lines[:-1]) + lines[-1][:20])  # cut off within the last line
    _run(monkeypatch, kept)
    assert [row["arms"] for row in read_rows(kept)[1:]] == [row["arms"] for row in rows[1:]]
    with pytest.raises(SystemExit, match="another setting"):
        _run(monkeypatch, kept, "--trainings", "6")


def test_a_page_tells_gains_and_what_is_missing(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    setting = {"space": {"name": "tiny", "settings": {}}, "bench": "digits", "device": "cpu", "trainings": 5, "smoke": False}
    add_row(kept, {"setting": setting, "conditions": "here"})
    tests = {"pick": [0.6], "like": [0.5, 0.4, 0.45], "random": [0.58], "drawn": [0.4, 0.5]}
    for search in range(3):
        for role, values in tests.items():
            for index, test in enumerate(values):
                row = {"search": search, "role": role, "index": index, "seed": 1, "ops": 10, "parameters": 5, "steps": 2}
                if (search, role) != (2, "random"):
                    add_row(kept, row | {"test": test + search / 100 * (role == "pick")})
    told = page([kept])
    assert "Pick less the mean of those of like cost: **+16.00 ± 0.58 points**, above in 3 of 3" in told
    assert "Pick less random search's pick: **+2.50 ± 0.50 points**, above in 2 of 2" in told
    assert "not done" not in told
    assert "| 2 | 0, 4 | 62.00 | - | 45.00 (3) | 10 | 5 | 0 |" in told
