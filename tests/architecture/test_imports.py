"""What importing a part loads, seen in a fresh interpreter."""

import subprocess
import sys


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


def test_the_command_line_starts_without_what_takes_seconds() -> None:
    slow = "{'torch', 'ray', 'sqlalchemy', 'fastapi', 'numpy', 'scipy', 'pandas'}"
    script = f"import sys, api.cli; print(sorted({slow} & set(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"
