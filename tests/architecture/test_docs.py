"""README and the rest of the documentation, checked against what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.tables import README, rewritten

ROOT = README.parent
TEXT = README.read_text()


def test_the_generated_tables_are_up_to_date() -> None:
    assert rewritten(TEXT) == TEXT, "run `make docs`"


def test_every_make_word_in_the_readme_exists_and_every_word_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    words = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE)) <= words
    assert {"search", "test", "check", "serve", "bench", "docs"} <= words


COMMANDS = sorted(set(re.findall(r"^nas ((?:search |training |dataset )?[a-z-]+)", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_readme_exists(command: str) -> None:
    result = subprocess.run([sys.executable, "-m", "api.cli", *command.split(), "--help"], check=False, capture_output=True)
    assert result.returncode == 0


def test_every_linked_file_exists() -> None:
    for document in [README, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links {target}"


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(file.name[:4]) for file in (ROOT / "docs" / "adr").glob("*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_ci_script_runs_check_and_test() -> None:
    script = Path(ROOT / ".ci" / "run").read_text()
    assert "make check" in script
    assert "make test" in script
