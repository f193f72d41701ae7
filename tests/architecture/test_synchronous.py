"""The synchronous client is what its script makes of the asynchronous one, and both are small."""

import subprocess
import sys

from docs.synchronous import MADE, made


def test_the_synchronous_client_is_made_of_the_asynchronous_one() -> None:
    written = made()
    assert {path.name for path in MADE.glob("*.py")} == {path.name for path in written}
    assert [path.name for path, text in written.items() if path.read_text() != text] == [], "run `make docs`"


def test_the_client_loads_little_and_soon() -> None:
    """In a fresh interpreter; the aim is 0.3 s, the limit leaves room for machines that are half as fast."""
    foreign = "{'fastapi', 'uvicorn', 'torch', 'ray', 'sqlalchemy', 'structlog', 'numpy', 'pandas', 'pydantic_settings', 'typer'}"
    script = (
        "import sys, time\nbegun = time.process_time()\nimport api.client, api.async_client\n"
        f"print(sorted({foreign} & set(sys.modules)), time.process_time() - begun < 0.6)"
    )
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[] True"
