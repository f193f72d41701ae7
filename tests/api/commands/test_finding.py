"""Jobs by the beginning of their id, by name and as the latest; lists that are cut; rows as tables, CSV and Parquet."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from api import console
from api.app import create_app
from api.cli import app
from api.client import NasClient
from api.commands.identifiers import find_job, recent_jobs
from nas_service.errors import NotFoundError
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError
from tests.serving import in_thread

Nas = Callable[..., Result]


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Serve the application without a controller on a real socket."""
    with in_thread(create_app(settings)) as url:
        yield url


@pytest.fixture
def nas(address: str) -> Nas:
    """Return what runs a command in this process."""
    return lambda *words: CliRunner().invoke(app, list(words), env={"NAS_URL": address}, catch_exceptions=True)


def _submit(nas: Nas, *more: str) -> str:
    done = nas("search", "submit", "--space", "tiny", *more)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_a_job_is_found_by_its_beginning_its_name_and_as_the_latest(nas: Nas, address: str) -> None:
    first, second = _submit(nas, "--name", "one"), _submit(nas, "--name", "two")
    with NasClient(address) as client:
        assert find_job(client, "search", first) == first
        assert find_job(client, "search", "one") == first
        assert find_job(client, "search", second[:30]) == second
        assert find_job(client, "search", second[:30].upper()) == second
        assert find_job(client, "search", "latest") == second
        with pytest.raises(InvalidFieldError, match=f"it means 2 of them: {second} \\(two\\), {first} \\(one\\)"):
            find_job(client, "search", first[:5])
        with pytest.raises(NotFoundError, match="there is no search 'on'"):
            find_job(client, "search", "on")  # a part of a name is none
        with pytest.raises(InvalidFieldError, match="search: '' is not allowed"):
            find_job(client, "search", "")  # an unset variable of a shell means no job
        with pytest.raises(NotFoundError, match="there is no training 'latest'"):
            find_job(client, "training", "latest")


def test_two_jobs_of_one_name_are_both_told(nas: Nas, address: str) -> None:
    found = [_submit(nas, "--name", "same") for _ in range(2)]
    with NasClient(address) as client, pytest.raises(InvalidFieldError) as refused:
        find_job(client, "search", "same")
    assert all(entry in str(refused.value) for entry in found)


@pytest.mark.parametrize(
    "words",
    [
        ["search", "show"],
        ["search", "events"],
        ["search", "logs"],
        ["search", "arms"],
        ["search", "samples"],
        ["search", "rounds"],
        ["architectures", "--search"],
        ["candidates", "--search"],
    ],
)
def test_commands_take_the_beginning_of_an_id(nas: Nas, finished_search: str, words: list[str]) -> None:
    whole, short = (nas(*words, word, "--json") for word in (finished_search, finished_search[:13]))
    assert whole.exit_code == 0, whole.output
    assert short.stdout == whole.stdout != ""


def test_an_unset_variable_deletes_nothing(nas: Nas) -> None:
    found = _submit(nas)
    assert isinstance(nas("search", "delete", "").exception, InvalidFieldError)
    assert [row["id"] for row in json.loads(nas("search", "list", "--json").stdout)] == [found]


def test_architectures_are_downloaded_by_the_beginning_of_their_id(nas: Nas, finished_search: str, tmp_path: Path) -> None:
    found = json.loads(nas("architectures", "--search", finished_search, "--json").stdout)
    path = tmp_path / "a.zip"
    assert nas("download", found[0]["id"][:-1], "--architecture", "-o", str(path)).exit_code == 0
    assert path.stat().st_size > 0
    assert isinstance(nas("download", "", "--architecture").exception, InvalidFieldError)
    assert isinstance(nas("download", "latest").exception, NotFoundError)  # nothing was trained


def test_a_list_shows_the_newest_and_says_that_there_are_more(nas: Nas) -> None:
    found = [_submit(nas, "--name", f"job {number}") for number in range(3)]
    listed = nas("search", "list", "--limit", "2")
    assert "job 2" in listed.stdout
    assert "job 0" not in listed.stdout
    assert "there are more: --limit 4" in listed.stderr
    assert nas("search", "list").stderr == ""
    assert [row["id"] for row in json.loads(nas("search", "list", "--json").stdout)] == found[::-1]
    only = json.loads(nas("search", "list", "--text", "job 1", "--state", "queued", "--json").stdout)
    assert [row["id"] for row in only] == [found[1]]
    assert json.loads(nas("search", "list", "--state", "failed", "--json").stdout) == []


def test_rows_are_printed_as_csv_and_written_as_parquet(nas: Nas, finished_search: str, tmp_path: Path) -> None:
    told = json.loads(nas("search", "samples", finished_search, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(nas("search", "samples", finished_search, "--csv").stdout)))
    assert [float(row["reward"]) for row in rows] == [row["reward"] for row in told] == [0.5, 0.6, 0.7]
    assert [row["digest"] for row in rows] == [row["digest"] for row in told]
    path = tmp_path / "samples.parquet"
    assert nas("search", "samples", finished_search, "--last", "2", "--parquet", str(path)).exit_code == 0
    assert pq.read_table(path).column("reward").to_pylist() == [0.6, 0.7]
    for more in (["--csv", "--parquet", str(path)], ["--json", "--parquet", str(path)], ["--json", "--csv"]):
        refused = nas("search", "samples", finished_search, *more)
        assert "one of --json, --csv and --parquet" in str(refused.exception)


def test_arms_of_one_edge_and_those_that_live(nas: Nas, finished_search: str) -> None:
    arms = json.loads(nas("search", "arms", finished_search, "--json").stdout)
    one = arms[0]
    chosen = json.loads(nas("search", "arms", finished_search, "--cell", one["cell"], "--edge", one["edge"], "--json").stdout)
    assert chosen == [arm for arm in arms if (arm["cell"], arm["edge"]) == (one["cell"], one["edge"])]
    live = json.loads(nas("search", "arms", finished_search, "--live", "--json").stdout)
    assert live == [arm for arm in arms if arm["abandoned_round"] is None]


def test_what_other_programs_read_is_a_line_a_row_however_long(nas: Nas, finished_search: str) -> None:
    lines = nas("search", "show", finished_search).stdout.splitlines()
    (spec,) = [line for line in lines if line.startswith("spec")]
    assert json.loads(spec.removeprefix("spec"))["space"]["name"] == "tiny"
    assert not any("\N{BOX DRAWINGS LIGHT VERTICAL}" in line or line != line.rstrip() for line in lines)


def test_a_diagram_of_the_leader_is_written(nas: Nas, finished_search: str, tmp_path: Path) -> None:
    path = tmp_path / "leader.svg"
    assert nas("search", "diagram", finished_search, "-o", str(path)).exit_code == 0
    assert path.read_text().startswith("<svg")


def test_a_set_that_looks_like_a_number_is_a_word_where_one_is_wanted(nas: Nas, address: str) -> None:
    named = _submit(nas, "--set", "name=2024", "--set", "seed=7")
    with NasClient(address) as client:
        spec = client.search(named).spec
    assert (spec["name"], spec["seed"]) == ("2024", 7)
    refused = nas("dataset", "register", "year", "image-folder", "--set", "path=2024")
    assert "settings.path: '2024' is not allowed; allowed: " in str(refused.exception)  # read as text: there is no such folder
    assert "allowed: text" not in str(refused.exception)
    assert "seed" in str(nas("search", "submit", "--space", "tiny", "--set", "seed=true").exception)


def test_ages_are_told_in_their_largest_unit() -> None:
    now = datetime.now(UTC)
    ages = {timedelta(seconds=5): "5 s", timedelta(minutes=61): "1 h", timedelta(days=3): "3 d", timedelta(minutes=2): "2 min"}
    assert {span: console.age(now - span) for span in ages} == ages


def test_shells_complete_recent_ids(nas: Nas, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _submit(nas, "--name", "one")
    monkeypatch.setenv("NAS_URL", address)
    assert recent_jobs("search")(found[:4]) == [(found, "one queued")]
    assert recent_jobs("search")("zz") == recent_jobs("training")("") == []
    monkeypatch.setenv("NAS_URL", "http://127.0.0.1:9")
    assert recent_jobs("search")("") == []
