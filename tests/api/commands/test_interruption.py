"""What is said of a job whose command fails, or is interrupted."""

from pathlib import Path

import httpx
import pytest
import typer

from api.client import NasClient
from api.commands import interruption
from api.commands.interruption import kept_if_it_fails, told_that_it_goes_on
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.session import Database
from tests.api.whole_training import Written


def test_a_command_that_fails_says_what_becomes_of_its_search(capfd: pytest.CaptureFixture[str]) -> None:
    """And which commands watch it or drop it; the error itself is told by whoever gets it."""
    with pytest.raises(httpx.ConnectError), kept_if_it_fails("one", Path("home")):
        raise httpx.ConnectError("refused")
    said = capfd.readouterr().err
    assert "search one is kept: `NAS_HOME=home nas serve` goes on with it" in said
    assert "`nas search watch one` then watches it, `nas search cancel one` drops it" in said


def test_an_interrupted_training_of_a_search_that_is_over_is_what_is_cancelled(
    nas: NasClient, settings: Settings, whole: Written, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(interruption, "WIND_UP_S", 0.0)  # no controller is here to carry it out
    database = Database(settings.database)
    with database.write() as session:
        spec = jobs.get_job(session, whole.training).spec
        training = jobs.create_job(session, jobs.TRAINING, "", spec, parent_id=whole.search).id
    database.close()
    with pytest.raises(typer.Exit), interruption.cancelled_if_interrupted(nas, whole.search, Path("home")):
        raise KeyboardInterrupt
    assert f"interrupted: training {training} of search {whole.search} is being cancelled" in capfd.readouterr().err
    assert (nas.training(training).state, nas.search(whole.search).state) == ("cancelling", "succeeded")


def test_a_command_that_said_how_its_search_ended_says_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), kept_if_it_fails("one", Path("home")):
        raise typer.Exit(1)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", ["search", "training", "registration"])
def test_one_who_stops_watching_is_told_that_the_job_goes_on(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, told_that_it_goes_on(kind, "one"):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130
    said = capfd.readouterr().err
    assert "goes on; " in said
    assert f"`nas {kind} watch one` watches it, `nas {kind} cancel one` ends the {kind}" in said
