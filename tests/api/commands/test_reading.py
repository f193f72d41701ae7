"""Commands that read one thing each, pictures in letters, ids of one moment, and misspelt settings."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner, Result

from api.app import create_app
from api.cli import app
from api.client import NasClient
from api.commands.environment import misspelt
from api.commands.failures import told
from api.commands.identifiers import find_job, find_result, named_in, recent_results
from api.commands.pictures import course, interval, spread_of
from api.commands.schemas import field_rows
from api.console import console, short_ids
from nas_service.errors import InvalidInputError, NotFoundError
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from tests.api.conftest import run_here
from tests.api.whole_training import Written
from tests.serving import in_thread

Nas = Callable[..., Result]


@pytest.fixture
def address(settings: Settings, whole: Written, finished_search: str) -> Iterator[str]:
    """Serve a training of many candidates and, newer, a search with samples."""
    del whole, finished_search
    with in_thread(create_app(settings)) as url:
        yield url


@pytest.fixture
def nas(address: str) -> Nas:
    """Return what runs a command in this process."""
    return lambda *words: CliRunner().invoke(app, list(words), env={"NAS_URL": address}, catch_exceptions=True)


READ = [
    (["status"], "ready"),
    (["system"], "version of torch"),
    (["usage"], "GPU time"),
    (["usage", "--owner", "nobody"], "GPU time"),
    (["jobs", "list"], "search"),
    (["jobs", "counts"], "succeeded"),
    (["spec", "search"], "training.recipe.epochs"),
    (["catalogue", "strategies", "abandit-plus"], "balanced_share"),
    (["search", "leader", "latest"], "genotype"),
    (["search", "series", "latest"], "reward"),
    (["search", "correlation", "latest"], "Spearman"),
    (["search", "stream", "latest", "--after", "0"], "end"),
    (["training", "stream", "latest", "--after", "0"], "end"),
    (["training", "best", "latest"], "over 3 seeds"),
    (["training", "curves", "latest"], "validation accuracy"),
    (["architecture", "show", "latest"], "genotype"),
    (["architecture", "cost", "latest"], "stem: 3x3 convolution"),
    (["candidate", "show", "latest"], "test accuracy"),
    (["candidate", "curves", "latest"], "validation"),
]


def test_a_command_prints_for_people_and_as_json(nas: Nas) -> None:
    for words, said in READ:
        for_people, for_programs = nas(*words), nas(*words, "--json")
        assert (for_people.exit_code, for_programs.exit_code) == (0, 0), (words, for_people.exception, for_programs.exception)
        assert said in for_people.stdout, (words, for_people.stdout)
        texts = for_programs.stdout.splitlines() if "stream" in words else [for_programs.stdout]
        assert all(json.loads(text) for text in texts), words


def test_tables_are_files_too_and_pictures_are_drawn(nas: Nas, tmp_path: Path) -> None:
    for words in (
        ["search", "series", "latest"],
        ["search", "history", "latest", "--cell", "a", "--edge", "0-1"],
        ["training", "curves", "latest"],
        ["architecture", "cost", "latest"],
        ["candidate", "curves", "latest"],
    ):
        printed, path = nas(*words, "--csv"), tmp_path / f"{words[1]}-{words[0]}.parquet"
        assert nas(*words, "--parquet", str(path)).exit_code == 0, words
        rows = list(csv.reader(io.StringIO(printed.stdout)))
        table = pq.read_table(path)
        assert (table.column_names, table.num_rows) == (rows[0], len(rows) - 1)
        assert table.num_rows > 0
    for words in (["search", "diagram", "latest", "--sample", "1"], ["architecture", "diagram", "latest"]):
        path = tmp_path / f"{words[0]}.svg"
        assert nas(*words, "-o", str(path)).exit_code == 0
        assert path.read_text().startswith("<svg")


def test_a_job_is_changed_and_cloned_with_a_part_of_its_spec_changed(nas: Nas, address: str) -> None:
    assert nas("search", "change", "latest", "--name", "new", "--tag", "a", "--tag", "b").exit_code == 0
    with NasClient(address) as client:
        first = client.search(find_job(client, "search", "new"))
        made = nas("search", "clone", "new", "--set", "evaluation.epochs=3").stdout.strip()
        again = client.search(made)
    assert (first.name, first.tags) == ("new", ["a", "b"])
    assert again.spec == first.spec | {"name": "new", "evaluation": {**first.spec["evaluation"], "epochs": 3}}
    assert "one or more of --name" in str(nas("search", "change", made).exception)
    assert "not both" in str(nas("search", "change", made, "--tag", "a", "--no-tags").exception)


def test_all_faults_of_a_spec_are_told_at_once_wherever_they_were_given(nas: Nas, tmp_path: Path) -> None:
    file = tmp_path / "spec.json"
    file.write_text(json.dumps({"space": "tinny", "wav": 2}))
    words = ["search", "submit", "--spec", str(file), "--seed", "x", "--train", "xnor", "--set", "name.x=1", "--set", "keep"]
    refused = nas(*words, "--set", "strategy.settings.momentm=0.5", "--set", "name=n", "--eps", "1").exception
    assert isinstance(refused, InvalidInputError)
    said = told(refused)
    assert said is not None
    assert [line.split(": ")[0] for line in said[:2]] == ["--set", "--eps"]
    for part in (
        "space.name: 'tinny' is not allowed; allowed: did you mean tiny?",
        "wav: 2 is not allowed; allowed: nothing: there is no such field; did you mean wave?",
        "seed: 'x' is not allowed; allowed: a whole number",
        "training.methods.0.name: 'xnor' is not allowed; allowed: did you mean xnor-net?",
        "strategy.settings.momentm: 0.5 is not allowed; allowed: nothing: there is no such field; did you mean momentum?",
    ):
        assert any(part in line for line in said), (part, said)
    assert json.loads(nas("search", "list", "--text", "n", "--json").stdout) == []


def test_shells_complete_results_and_names_of_the_catalogue(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_URL", address)
    assert [word for word, _ in named_in("spaces")("abandit")] == ["abandit", "abandit-general", "abandit-mini"]
    assert named_in("strategies")("random")[0][0] == "random"
    assert len(recent_results("candidates")("")) == 20
    assert recent_results("architectures")("")
    assert recent_results("architectures")("zz") == named_in("methods")("zz") == []


def test_ids_of_one_moment_are_told_apart_and_taken_as_they_are_shown(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(console, "_width", 80)
    with NasClient(address) as client:
        ids = [row.id for row in client.candidates()]
        shown = short_ids(ids)
        assert len(set(shown)) == len(ids)
        assert max(map(len, shown)) <= 16
        assert [find_result(client, "candidates", word) for word in shown] == ids
        with pytest.raises(NotFoundError):
            find_result(client, "candidates", f"{ids[0][:8]}..zzzz")
    far = ["01a21afc-8cdf-7188-b63c-f04b46afe013", "01a21aff-8cdf-7188-b63c-f04b46afe013"]
    assert short_ids(far) == ["01a21afc-8cdf", "01a21aff-8cdf"]
    monkeypatch.setattr(console, "_force_terminal", False)
    assert short_ids(ids) == ids


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(nas: Nas, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(console, "_force_terminal", True)
    monkeypatch.setattr(console, "_width", width)
    monkeypatch.setattr(console, "_color_system", None)
    for words in (["search", "arms", "latest"], ["candidates"], ["architectures"], ["search", "list"], ["jobs", "list"]):
        lines = nas(*words).stdout.splitlines()
        assert max(map(cell_len, lines)) <= width, words
        if width == 80 and "arms" in words:
            assert any("\N{BLACK CIRCLE}" in line for line in lines)
            assert any("dilated-conv-3x3" in line for line in lines)


def test_an_arm_is_drawn_between_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_file", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    assert interval(0.0, 0.5, 1.0, (0.0, 1.0), 9) == "────●────"
    assert interval(0.25, 0.25, 0.5, (0.0, 1.0), 9) == "  ●──"
    assert interval(None, 1.0, None, (0.0, 1.0), 9) == "        ●"
    assert interval(None, None, None, (0.0, 1.0), 9) == ""
    assert course([0.0, None, 0.5, 1.0], (0.0, 1.0)) == "▁ ▅█"
    assert course([2.0, 2.0], spread_of([2.0, None])) == "▁▁"
    monkeypatch.setattr(console, "_file", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert interval(0.0, 0.5, 1.0, (0.0, 1.0), 9).isascii()


def test_a_misspelt_setting_of_the_environment_is_named_with_the_one_that_is_meant(tmp_path: Path) -> None:
    assert misspelt(["NAS_HOEM", "nas_urll", "NAS_HOME", "nas_url", "NAS_IP", "NAS", "HOME"]) == {
        "NAS_HOEM": "NAS_HOME",
        "nas_urll": "NAS_URL",
    }
    done = run_here("catalogue", "spacs", cwd=tmp_path, NAS_DATABASE_ULR="sqlite://")
    assert done.stderr.startswith("warning: NAS_DATABASE_ULR is no setting and changes nothing; did you mean NAS_DATABASE_URL?\n")
    assert "did you mean spaces?" in done.stderr


def test_fields_of_a_schema_are_told_with_what_they_take() -> None:
    rows = {row[0]: row[1:] for row in field_rows(SearchSpec.model_json_schema())}
    assert rows["seed"][0].startswith("whole number, at least 0")
    assert (rows["seed"][1], rows["training.methods"][1]) == ("0", "needed")
    assert rows["training.recipe.epochs"][0].startswith("whole number, at least 1")
    assert not [field for field in rows if field.count(".") > 4]  # an object in itself would have no end
