"""The guide in a notebook: it runs, and what it shows is small and of no machine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from docs.notebook import NOTEBOOK, executed, read
from tests.serving import nas_serve

CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


@pytest.mark.ray
@pytest.mark.slow
def test_the_notebook_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with nas_serve(tmp_path / "home", NAS_POLL_S="0.1") as served:
        ran = executed(read(), served.url, tmp_path / "work")
    shown = [json.dumps(cell.outputs) for cell in ran.cells if cell.cell_type == "code"]
    kept = [json.dumps(cell["outputs"]) for cell in CODE]
    assert [bool(text) for text in shown] == [bool(text) for text in kept]
    assert "succeeded" in shown[1]  # the card that wait() draws
    assert "<svg" in shown[2]  # the arms with their bounds
    assert "manifest_accuracy" in shown[-2]
    assert shown[-2].count("as written") == 4  # model.py, C, ONNX, QONNX
    assert (tmp_path / "work" / "network.zip").is_file()


def test_the_notebook_is_kept_as_it_ran_once_from_top_to_bottom() -> None:
    assert [cell["execution_count"] for cell in CODE] == list(range(1, len(CODE) + 1))
    assert not [output for cell in CODE for output in cell["outputs"] if output["output_type"] == "error"]


def test_what_the_notebook_shows_is_small_and_of_no_machine() -> None:
    assert NOTEBOOK.stat().st_size < 100_000
    for cell in CODE:
        shown = json.dumps(cell["outputs"])
        assert not re.search(r"/(tmp|home|root|Users|work|mnt|var)/|<script|127\.0\.0\.1|Warning", shown), shown[:300]


def test_what_the_notebook_links_is_there() -> None:
    text = "".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    assert all((NOTEBOOK.parent / link).exists() for link in links)
