"""`nas`: every command against a real server, and messages that help."""

import csv
import json
import os
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import typer
import uvicorn
from typer.core import TyperGroup

from api.app import create_app
from api.cli import Commands, app
from api.client import NasClient
from api.commands.loading import DeferredCommand
from api.commands.results import finish_run
from nas_service.job_events import BestNotKept, DataRead
from nas_service.lifecycle import JobState
from nas_service.settings import Settings
from nas_service.storage import events, jobs, samples
from nas_service.storage.session import Database
from tests.api.conftest import run_here, run_json, run_nas, write_bundled, write_trained
from tests.api.whole_training import write_hand_made, write_whole
from tests.waiting import wait_until


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Serve the application without a controller on a real socket."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started, bool, 60)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_a_search_is_submitted_listed_shown_and_cancelled(address: str, tmp_path: Path) -> None:
    words = ["search", "submit", "--space", "tiny", "--seed", "7", "--set", "strategy.settings.momentum=0.5", "--train", "bnn"]
    submitted = run_here(*words, cwd=tmp_path, NAS_URL=address)
    search_id = submitted.stdout.strip()
    shown = run_json("search", "show", search_id, cwd=tmp_path, NAS_URL=address)
    assert isinstance(shown, dict)
    assert shown["spec"]["strategy"] == {"name": "abandit", "settings": {"momentum": 0.5}}
    assert shown["spec"]["seed"] == 7
    assert shown["spec"]["training"]["methods"] == [{"name": "bnn", "settings": {}, "recipe": {}}]
    listed = run_json("search", "list", cwd=tmp_path, NAS_URL=address)
    assert isinstance(listed, list)
    assert [job["id"] for job in listed] == [search_id]
    assert search_id in run_here("search", "list", cwd=tmp_path, NAS_URL=address).stdout
    cancelled = run_json("search", "cancel", search_id, cwd=tmp_path, NAS_URL=address)
    assert isinstance(cancelled, dict)
    assert cancelled["state"] == "cancelling"


def test_a_training_is_submitted_listed_shown_compared_and_cancelled(
    address: str, finished_search: str, settings: Settings, tmp_path: Path
) -> None:
    """Space and dataset are those of the search."""
    words = ["training", "submit", "--search", finished_search, "--top", "2", "--method", "bnn", "--method", "rebnn"]
    submitted = run_here(*words, "--seed", "3", "--epochs", "4", cwd=tmp_path, NAS_URL=address)
    training_id = submitted.stdout.strip()
    shown = run_json("training", "show", training_id, cwd=tmp_path, NAS_URL=address)
    assert isinstance(shown, dict)
    spec = shown["spec"]
    assert (spec["space"]["name"], spec["dataset"]["name"], spec["seeds"], spec["recipe"]["epochs"]) == ("tiny", "digits", [3], 4)
    assert [method["name"] for method in spec["methods"]] == ["bnn", "rebnn"]
    assert len(spec["architectures"]) == 2
    single = run_json(
        *("training", "submit", "--architecture", spec["architectures"][0], "--method", "bnn"), cwd=tmp_path, NAS_URL=address
    )
    assert isinstance(single, dict)
    assert single["spec"]["architectures"] == spec["architectures"][:1]
    both = ["--architecture", "a", "--method", "bnn"]
    refused = run_here("training", "submit", "--search", finished_search, *both, cwd=tmp_path, NAS_URL=address)
    assert "--search" in refused.stderr
    assert training_id in run_here("training", "list", cwd=tmp_path, NAS_URL=address).stdout
    write_trained(settings, training_id, spec["architectures"])
    compared = run_here("compare", training_id, "--csv", cwd=tmp_path, NAS_URL=address).stdout.splitlines()
    first = next(csv.DictReader(compared))
    figures = [first[name] for name in ("method", "architecture", "seeds", "test_mean", "test_spread")]
    assert figures == ["rebnn", spec["architectures"][0], "1", "0.9", ""]
    told = run_here("compare", training_id, cwd=tmp_path, NAS_URL=address).stdout
    assert "90.00 %" in told
    assert "nas training hand-made" in told
    cancelled = run_json("training", "cancel", training_id, cwd=tmp_path, NAS_URL=address)
    assert isinstance(cancelled, dict)
    assert cancelled["state"] == "cancelling"


def test_a_network_of_the_literature_is_trained_beside_a_training(address: str, settings: Settings, tmp_path: Path) -> None:
    written = write_whole(settings)
    job = run_json("training", "hand-made", written.training, "--method", "bnn", cwd=tmp_path, NAS_URL=address)
    assert isinstance(job, dict)
    assert job["spec"]["space"]["name"] == "resnet-20"
    assert [method["name"] for method in job["spec"]["training"]["methods"]] == ["bnn"]
    _, training = write_hand_made(settings)
    told = run_here("compare", written.training, cwd=tmp_path, NAS_URL=address, COLUMNS="200").stdout
    assert "resnet-20 71.00 %, 3 seeds" in told
    assert "+8.00 \N{PLUS-MINUS SIGN} 0.82" in told
    refused = run_here("training", "hand-made", training, cwd=tmp_path, NAS_URL=address)
    assert "training" in refused.stderr


def test_a_spec_file_is_changed_by_options(address: str, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps({"space": "tiny", "seed": 1, "wave": 3}))
    job = run_json("search", "submit", "--spec", "spec.json", "--seed", "2", cwd=tmp_path, NAS_URL=address)
    assert isinstance(job, dict)
    assert (job["spec"]["seed"], job["spec"]["wave"]) == (2, 3)


def test_a_dry_run_starts_nothing(address: str, tmp_path: Path) -> None:
    estimate = run_json("search", "submit", "--space", "tiny", "--dry-run", cwd=tmp_path, NAS_URL=address)
    assert isinstance(estimate, dict)
    assert estimate["samples"] == 18
    words = ["search", "submit", "--space", "tiny", "--dry-run", "--train", "bnn", "--epochs", "2"]
    shown = run_here(*words, cwd=tmp_path, NAS_URL=address).stdout
    assert "nothing was started" in shown
    assert "not known: nothing like it ran here yet" in shown
    assert re.search(r"training: disk +[\d.]+ kB: [\d.]+ kB bundles, [\d.]+ kB weights", shown), shown
    assert run_json("search", "list", cwd=tmp_path, NAS_URL=address) == []


def test_a_dry_run_of_a_training_starts_nothing(address: str, finished_search: str, tmp_path: Path) -> None:
    words = ["training", "submit", "--search", finished_search, "--method", "rbcn", "--epochs", "3", "--dry-run"]
    estimate = run_json(*words, cwd=tmp_path, NAS_URL=address)
    assert isinstance(estimate, dict)
    assert (estimate["candidates"], estimate["epochs"], estimate["full_precision_networks"]) == (1, 3, 1)
    assert "1, 3 epochs of 1,078 images" in run_here(*words, cwd=tmp_path, NAS_URL=address).stdout
    assert run_json("training", "list", cwd=tmp_path, NAS_URL=address) == []


def test_probabilities_of_arms_have_a_heading(address: str, settings: Settings, finished_search: str, tmp_path: Path) -> None:
    database = Database(settings.database)
    with database.write() as session:
        told = tuple(replace(arm, best_probability=0.25) for arm in samples.list_arms(session, finished_search))
        samples.replace_arms(session, finished_search, told)
    database.close()
    shown = run_here("search", "arms", finished_search, cwd=tmp_path, NAS_URL=address).stdout
    assert "p(best)" in shown
    assert shown.count("0.2500") == 18


def test_results_of_a_search_are_listed_and_downloaded(address: str, finished_search: str, tmp_path: Path) -> None:
    arms = run_json("search", "arms", finished_search, cwd=tmp_path, NAS_URL=address)
    assert isinstance(arms, list)
    assert len(arms) == 18
    shown = run_here("search", "arms", finished_search, cwd=tmp_path, NAS_URL=address).stdout
    assert "dilated-conv-3x3" in shown
    assert "p(best)" not in shown  # this strategy does not ask
    found = run_json("architectures", "--search", finished_search, cwd=tmp_path, NAS_URL=address)
    assert isinstance(found, list)
    in_c = run_json("architectures", "--search", finished_search, "--in-c", cwd=tmp_path, NAS_URL=address)
    assert isinstance(in_c, list)
    told = in_c[0]
    assert (told["id"], told["c_refused"]) == (found[0]["id"], None)
    shown = run_here("architectures", "--search", finished_search, "--in-c", cwd=tmp_path, NAS_URL=address).stdout
    assert f"{told['c']['arena_bytes']:,}" in shown
    words = ["download", found[0]["id"], "--architecture", "-o", "a.zip"]
    assert run_here(*words, cwd=tmp_path, NAS_URL=address).stdout.strip() == "a.zip"
    assert zipfile.is_zipfile(tmp_path / "a.zip")
    assert run_json("candidates", "--search", finished_search, cwd=tmp_path, NAS_URL=address) == []
    watched = run_here("search", "watch", finished_search, cwd=tmp_path, NAS_URL=address)
    assert (watched.returncode, "search succeeded: 3/18 samples" in watched.stdout) == (0, True)


def test_a_list_of_a_job_that_is_not_there_says_so(address: str, tmp_path: Path) -> None:
    """An empty table would say that it found nothing."""
    for words, kind in (
        (("architectures", "--search"), "search"),
        (("architectures", "--pareto", "--search"), "search"),
        (("candidates", "--search"), "search"),
        (("candidates", "--training"), "training"),
    ):
        result = run_here(*words, "nowhere", cwd=tmp_path, NAS_URL=address)
        assert (result.returncode, result.stderr.strip()) == (1, f"error: there is no {kind} 'nowhere'"), words


def test_a_run_leaves_the_report_beside_the_bundle(
    address: str, settings: Settings, finished_search: str, tmp_path: Path
) -> None:
    with NasClient(address) as client:
        (architecture, *_) = client.architectures(search=finished_search)
        candidate = write_bundled(settings, architecture.id)
        bundle, candidates = finish_run(client, finished_search, tmp_path)
        page = client.report(finished_search)
    assert bundle.read_bytes() == b"the bundle"
    assert [row.id for row in candidates] == [candidate]
    assert (bundle.parent / f"report-{finished_search}.html").read_bytes() == page
    assert b"80.00 %" in page


def test_a_report_is_written_where_it_is_asked_for(address: str, finished_search: str, tmp_path: Path) -> None:
    printed = run_json("search", "report", finished_search, cwd=tmp_path, NAS_URL=address)
    page = tmp_path / f"report-{finished_search}.html"
    assert printed == {"path": page.name, "size_bytes": page.stat().st_size}
    named = run_here("search", "report", finished_search, "-o", "report.html", cwd=tmp_path, NAS_URL=address)
    assert named.stdout.strip() == "report.html"
    assert (tmp_path / "report.html").read_bytes() == page.read_bytes()
    missing = run_here("search", "report", "gone", cwd=tmp_path, NAS_URL=address)
    assert (missing.returncode, "gone" in missing.stderr) == (1, True)


@pytest.mark.parametrize("verb", ["show", "watch"])
@pytest.mark.parametrize("kind", ["search", "training"])
def test_what_a_job_learnt_of_its_data_is_said_to_people_once(
    address: str, finished_search: str, settings: Settings, kind: str, verb: str, tmp_path: Path
) -> None:
    database, job_id = Database(settings.database), finished_search
    said = {"skipped": {"files that are no pictures": 1200}, "warnings": ["class [bold]eel[/] has few images\x1b[2J"]}
    with database.write() as session:
        if kind == "training":
            job_id = jobs.create_job(session, jobs.TRAINING, "", {"name": "", "dataset": {"name": "digits", "settings": {}}}).id
        events.record(session, job_id, BestNotKept(reason="not of data"))
        events.record(session, job_id, DataRead.model_validate({"digest": "12", **said}))
        if kind == "training":
            jobs.move(session, job_id, JobState.CANCELLING)
            jobs.move(session, job_id, JobState.CANCELLED)
    database.close()
    shown = run_here(kind, verb, job_id, cwd=tmp_path, NAS_URL=address).stdout.splitlines()
    remarks = [line for line in shown if line.startswith(("left out: ", "warning: "))]
    assert remarks == ["left out: 1,200 files that are no pictures", r"warning: class [bold]eel[/] has few images\x1b[2J"]
    run_json(kind, "show", job_id, cwd=tmp_path, NAS_URL=address)  # is JSON alone


def test_what_an_earlier_version_told_of_its_data_is_no_fault(
    address: str, finished_search: str, settings: Settings, tmp_path: Path
) -> None:
    database = Database(settings.database)
    with database.write() as session:
        events.record(session, finished_search, DataRead(digest="12", train=3))
    database.close()
    shown = run_here("search", "show", finished_search, cwd=tmp_path, NAS_URL=address)
    assert (shown.returncode, shown.stderr, "warning" in shown.stdout) == (0, "", False)


@pytest.mark.parametrize("shelf", ["spaces", "operations", "templates", "strategies", "methods", "datasets"])
def test_the_catalogue_is_printed(address: str, shelf: str, tmp_path: Path) -> None:
    entries = run_json("catalogue", shelf, cwd=tmp_path, NAS_URL=address)
    assert isinstance(entries, list)
    assert entries


BAD = [
    (["--space", "abandit-generall"], "space.name: 'abandit-generall' is not allowed; allowed: did you mean abandit-general,"),
    (["--method", "xnor"], "method.name: 'xnor' is not allowed; allowed: did you mean xnor-net?"),
    (["--dataset", "digitz"], "dataset.name: 'digitz' is not allowed; allowed: did you mean digits?"),
    (["--set", 'space={"name": "tiny", "settings": {"operations": ["skipp"]}}'], "space.settings.operations.0: 'skipp'"),
    (["--strategy", "random", "--set", "strategy.settings.samples=-4"], "strategy.settings.samples: -4 is not allowed"),
    (["--set", "resources.workers=0"], "resources.workers: 0 is not allowed"),
    (
        ["--set", "resources.gpus_per_worker=16"],
        "resources.gpus_per_worker: 16.0 is not allowed; allowed: no more than",
    ),
    (["--dataset", "cifar10"], "dataset.settings.path: '.' is not allowed; allowed: a folder under"),
    (["--set", "seed"], "--set: 'seed' is not allowed; allowed: path=value"),
    (["--set", "seed.x=1", "--seed", "3"], "--set: 'seed.x' is not allowed; allowed: a field of an object; seed is 3"),
    (["--set", "seed=NaN"], "seed: 'NaN' is not allowed"),
    (["--set", "evaluation.learning_rate=1e999"], "evaluation.learning_rate: '1e999' is not allowed"),
    (["--space", os.fsdecode(b"\xff")], "'utf-8' codec can't encode character"),
    (["--spec", "nowhere.json"], "--spec: 'nowhere.json' is not allowed; allowed: a readable JSON file"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words)[:40] for words, _ in BAD])
def test_bad_input_is_one_message_that_names_the_field(address: str, words: list[str], message: str, tmp_path: Path) -> None:
    result = run_here("search", "submit", *words, cwd=tmp_path, NAS_URL=address)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}"), result.stderr
    assert "Traceback" not in result.stderr
    assert run_here("search", "list", "--json", cwd=tmp_path, NAS_URL=address).stdout.strip() == "[]"


def test_a_spec_file_that_is_not_json_and_one_of_10_mb_are_refused(address: str, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"space": ')
    broken = run_here("search", "submit", "--spec", "broken.json", cwd=tmp_path, NAS_URL=address)
    assert "a readable JSON file (Expecting value: line 1 column 11" in broken.stderr
    (tmp_path / "infinite.json").write_text('{"seed": 1e999}')
    infinite = run_here("search", "submit", "--spec", "infinite.json", cwd=tmp_path, NAS_URL=address)
    assert "a readable JSON file (Out of range float values" in infinite.stderr
    (tmp_path / "large.json").write_text(json.dumps({"name": "x" * 10_000_000}))
    large = run_here("search", "submit", "--spec", "large.json", cwd=tmp_path, NAS_URL=address)
    assert (large.returncode, "larger than 1000000 bytes" in large.stderr) == (1, True)


def test_no_service_is_said_plainly(tmp_path: Path) -> None:
    result = run_here("search", "list", cwd=tmp_path, NAS_URL="http://127.0.0.1:1")
    assert result.returncode == 1
    assert "no service answers at http://127.0.0.1:1" in result.stderr
    assert "nas serve" in result.stderr


def test_an_id_or_an_address_that_is_none_is_said_plainly(address: str, tmp_path: Path) -> None:
    for words, said in (
        (["show", "a\nb", "--url", address], "error: there is no search 'a\\nb'\n"),
        (["list", "--url", "http://[::"], "error: 'http://[::' is no address of a service; allowed: http://HOST:PORT"),
    ):
        result = run_here("search", *words, cwd=tmp_path)
        assert (result.returncode, result.stderr.startswith(said)) == (1, True), result.stderr


def test_what_is_not_there_is_said_plainly(address: str, tmp_path: Path) -> None:
    result = run_here("search", "show", "nowhere", cwd=tmp_path, NAS_URL=address)
    assert (result.returncode, result.stderr.strip()) == (1, "error: there is no search 'nowhere'")


def test_migrating_an_empty_database_makes_its_tables(tmp_path: Path) -> None:
    assert isinstance(run_json("migrate", cwd=tmp_path, NAS_HOME=str(tmp_path / "home")), dict)
    assert (tmp_path / "home" / "nas.db").exists()


def test_a_service_refuses_to_listen_beyond_loopback_while_there_is_no_key(tmp_path: Path) -> None:
    for words, variables in ((["--host", "0.0.0.0"], {}), ([], {"NAS_REQUIRE_KEYS": "true"})):  # noqa: S104 - that is what is refused
        result = run_nas("serve", "--port", "0", *words, cwd=tmp_path, **variables)
        assert result.returncode == 1
        assert "asks for keys, and there is none: make one with `nas keys create OWNER`" in result.stderr


def test_a_service_refuses_a_database_that_was_not_migrated(postgres: object, tmp_path: Path) -> None:
    url = postgres.get_uri().replace("postgresql://", "postgresql+psycopg://")  # type: ignore[attr-defined]  # the server
    result = run_nas("serve", "--port", "0", cwd=tmp_path, NAS_DATABASE_URL=url)
    assert result.returncode != 0
    assert "run `nas migrate`" in result.stderr + result.stdout


def _commands(group: TyperGroup, *before: str) -> dict[str, set[str]]:
    """Return the options of every command below a group."""
    found: dict[str, set[str]] = {}
    for name, entry in group.commands.items():
        command = entry.loaded if isinstance(entry, DeferredCommand) else entry
        if isinstance(command, TyperGroup):
            found |= _commands(command, *before, name)
        else:
            found[" ".join([*before, name])] = {option for parameter in command.params for option in parameter.opts}
    return found


@pytest.mark.parametrize("command", Commands.deferred, ids=lambda command: command.name)
def test_what_help_says_of_a_command_is_what_the_command_says_of_itself(command: DeferredCommand) -> None:
    assert command.loaded.name == command.name
    assert (command.loaded.help or "").split("\n")[0] == command.help


def test_every_command_but_serve_prints_json() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = _commands(group)
    assert len(commands) > 10
    assert [name for name, options in commands.items() if "--json" not in options] == ["serve", "controller"]


HELP = [
    [],
    ["search"],
    ["search", "submit"],
    ["search", "run"],
    ["train-local"],
    ["evaluate"],
    ["dataset"],
    ["serve"],
    ["download"],
]


@pytest.mark.parametrize("words", HELP, ids=[" ".join(words) or "nas" for words in HELP])
def test_every_command_has_help(words: list[str], tmp_path: Path) -> None:
    result = run_here(*words, "--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "Usage:" in result.stdout
