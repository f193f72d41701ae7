"""A user's own script, under a user's own strict mypy: what it gets is typed, and what is wrong in it is found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import asyncio
from pathlib import Path
from api.async_client import AsyncNasClient
from api.client import ApiError, NasClient, NasError, Search
from api.views import ArmView


def run() -> Path:
    with NasClient() as client:
        search = client.search(space="tiny", dataset="digits", seed=1, training={"methods": ["bnn"]})
        reveal_type(search.wait(60, quiet=True))
        reveal_type(client.search("01a2"))
        arms: list[ArmView] = list(search.arms(at=3))
        reveal_type(search.arms()[0])
        reveal_type(search.arms()[:2])
        reveal_type([message.kind for message in search.stream()])
        training = client.train(architectures=search.architectures()[:2], methods=["bnn", {"name": "rebnn"}])
        reveal_type(training.best())
        print(len(arms), search.progress, training.comparison().pairs[0].test_mean)
        return training.best().download("x.zip", format="onnx")


async def run_async() -> None:
    async with AsyncNasClient("http://127.0.0.1:8000") as client:
        search = await client.search(space={"name": "tiny", "settings": {"cells": 2}})
        reveal_type(await search.wait())
        reveal_type(await search.arms())
        async for row in client.jobs(state=["queued"]):
            reveal_type(row.name)


def wrong(client: NasClient) -> None:
    client.search(spaec="tiny")  # wrong
    client.search(seed="1")  # wrong
    client.search("id", space="tiny")  # wrong
    client.training("id").arms()  # wrong
    search: Search = client.training("id")  # wrong


try:
    asyncio.run(run_async())
except ApiError as error:
    print(error.problem.detail)
except NasError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_script_is_typed_strictly(tmp_path: Path) -> None:
    """Slow: mypy reads the client anew, some 10 CPU seconds."""
    file = tmp_path / "script.py"
    file.write_text(SCRIPT)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\nfollow_imports = silent\n")
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(tmp_path / "cache"), "script.py"]
    told = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env={"MYPYPATH": str(ROOT)}).stdout
    revealed = re.findall(r'Revealed type is "(.*)"', told)
    assert [re.sub(r"[a-z_]+\.", "", kind) for kind in revealed] == [
        *("Search", "Search", "ArmView", "Rows[ArmView]", "list[str]", "Candidate"),
        *("AsyncSearch", "Rows[ArmView]", "str"),
    ]
    lines = {number for number, line in enumerate(SCRIPT.splitlines(), 1) if line.endswith("# wrong")}
    assert {int(line) for line in re.findall(r"script.py:(\d+): error", told)} == lines, told
