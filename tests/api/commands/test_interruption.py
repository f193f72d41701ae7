"""What is said of a search whose command fails."""

from pathlib import Path

import httpx
import pytest
import typer

from api.commands.interruption import kept_if_it_fails


def test_a_command_that_fails_says_what_becomes_of_its_search(capfd: pytest.CaptureFixture[str]) -> None:
    """And which commands watch it or drop it; the error itself is told by whoever gets it."""
    with pytest.raises(httpx.ConnectError), kept_if_it_fails("one", Path("home")):
        raise httpx.ConnectError("refused")
    said = capfd.readouterr().err
    assert "search one is kept: `NAS_HOME=home nas serve` goes on with it" in said
    assert "`nas search watch one` then watches it, `nas search cancel one` drops it" in said


def test_a_command_that_said_how_its_search_ended_says_no_more(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), kept_if_it_fails("one", Path("home")):
        raise typer.Exit(1)
    assert capfd.readouterr().err == ""
