"""README and the rest of the documentation, checked against what there is."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.openapi import WHOLE, served
from docs.tables import BLOCKS, DOCS, README, rewritten
from nas_service.binarization.method import METHODS
from nas_service.data.dataset import DATASETS
from nas_service.search.strategy import STRATEGIES
from search_spaces.operation import OPERATIONS
from search_spaces.registry import Registry
from search_spaces.space import SPACES
from search_spaces.template import TEMPLATES

ROOT = README.parent
PAGES = [README, *(page for page in sorted(DOCS.rglob("*.md")) if page.parent.name != "adr")]
TEXT = "\n".join(page.read_text() for page in PAGES)
SCREEN = 50  # lines


@pytest.mark.parametrize("name", BLOCKS)
def test_a_generated_table_is_up_to_date(name: str) -> None:
    assert rewritten(name) == BLOCKS[name][0].read_text(), "run `make docs`"


def test_the_openapi_file_is_what_a_service_answers_with() -> None:
    """But for the version, which a release sets."""
    written, answered = json.loads(WHOLE.read_text(encoding="utf-8")), json.loads(json.dumps(served()))
    assert written["info"].pop("version")
    assert answered["info"].pop("version")
    assert written == answered, "run `make docs`"


def test_every_group_of_entry_points_is_told_and_no_other() -> None:
    guide = (DOCS / "guides" / "own-method.md").read_text()
    registries: tuple[Registry[Any], ...] = (SPACES, OPERATIONS, TEMPLATES, STRATEGIES, METHODS, DATASETS)
    assert set(re.findall(r"^\| `(nas_service\.[a-z]+)` \|", guide, re.MULTILINE)) == {registry.group for registry in registries}


def test_the_readme_takes_two_screens_to_how_it_is_built() -> None:
    before, _, _ = README.read_text().partition("\n## How it is built\n")
    assert len(before.splitlines()) <= 2 * SCREEN


def test_every_make_word_in_the_documentation_exists_and_every_word_has_a_line_of_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    words = set(re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", TEXT, re.MULTILINE)) <= words
    assert {"search", "test", "check", "serve", "bench", "docs"} <= words


COMMANDS = sorted(set(re.findall(r"^nas ((?:search |training |dataset |registration )?[a-z-]+)", TEXT, re.MULTILINE)))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_documentation_exists(command: str) -> None:
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


def test_what_the_ci_script_installs_is_named_for_contributors() -> None:
    script, text = (ROOT / ".ci" / "run").read_text(), (ROOT / "CONTRIBUTING.md").read_text()
    packages = {"chromium", "clang", "gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm", "qemu-user"}
    assert all(package in script and package in text for package in packages)
