"""What importing a part loads, seen in a fresh interpreter."""

import json
import subprocess
import sys

import pytest


def test_the_search_core_loads_neither_torch_nor_ray_nor_sqlalchemy_nor_fastapi() -> None:
    """In a fresh interpreter, with every strategy and every space imported."""
    script = (
        "import sys, nas_service.search.loop\n"
        "from nas_service.search.strategy import STRATEGIES\n"
        "from search_spaces.space import SPACES\n"
        "for name in STRATEGIES.names(): STRATEGIES.get(name).from_settings(SPACES.get('tiny'), {}, 0).suggest((), 1)\n"
        "print(sorted({'torch', 'ray', 'sqlalchemy', 'fastapi', 'scipy', 'pyarrow'} & set(sys.modules)))\n"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"


SLOW = {"torch", "ray", "sqlalchemy", "fastapi", "numpy", "scipy", "pandas", "pyarrow"}
ASKING = SLOW | {"httpx", "pydantic_settings", "nas_service", "search_spaces"}
LOADED = """
import json, sys
from api.cli import main
sys.argv = ["nas", *json.loads(sys.argv[1])]
try:
    main()
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["--help"], ASKING | {"pydantic"}),
        (["--version"], ASKING | {"pydantic", "rich.console"}),
        (["serch"], ASKING),  # typer reads words with pydantic
        (["search", "--help"], SLOW),
        (["search", "list", "--url", "http://127.0.0.1:9"], SLOW),
        (["train-local", "--help"], SLOW),
        (["serve", "--help"], SLOW),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_needs(words: list[str], heavy: set[str]) -> None:
    """Seconds of one machine say little of another; modules that are loaded take their time on every one."""
    ran = subprocess.run([sys.executable, "-c", LOADED, json.dumps(words)], check=True, capture_output=True, text=True)
    assert sorted(heavy & set(json.loads(ran.stdout.splitlines()[-1]))) == []
