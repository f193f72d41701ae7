"""Size limits: no file over 400 lines, no function over 60, empty __init__ files."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("search_spaces", "nas_service", "workers", "api", "migrations", "benchmarks", "tests", "docs", "examples", "packages")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
FILE_LINES, FUNCTION_LINES = 400, 60


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_files_and_functions_stay_small(file: Path) -> None:
    if file.parent.name == "versions":
        return  # a migration is a record of what was done, as long as it was
    text = file.read_text()
    assert text.count("\n") <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


def test_init_files_are_empty() -> None:
    """The import linter cannot see an import there."""
    assert [str(file) for file in FILES if file.name == "__init__.py" and file.read_text().strip()] == []


def test_the_schema_has_one_source() -> None:
    """Only migrations make tables: no `create_all` anywhere."""
    word = "create" + "_all("
    assert [str(file) for file in FILES if word in file.read_text()] == []
