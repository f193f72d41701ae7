"""`nas doctor` itself: everything broken at once, and nothing."""

import json
import re
import time
from pathlib import Path

import pytest

from nas_service.settings import Settings
from tests.api.conftest import run_nas
from tests.api.doctor.seen import answering
from tests.clusters import free_port

LIMIT_S = 15.0 + 30.0  # 30 for a busy machine, where starting alone takes that long
BROKEN = {"settings", "home", "store", "data", "database", "ray", "port", "service"}


def test_where_everything_is_broken_everything_is_named_in_time_and_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with answering(200, b"hello") as port:
        began = time.monotonic()
        result = run_nas(
            "doctor",
            "--json",
            cwd=tmp_path,
            NAS_HOME=str(tmp_path / "file" / "home"),
            NAS_DATABASE_URL=f"postgresql+psycopg://nas:secret@127.0.0.1:{free_port()}/nas",
            NAS_ARTIFACT_URL=f"file://{tmp_path}/file/artifacts",
            NAS_DATA_ROOT=str(tmp_path / "gone"),
            NAS_LAUNCHER="ray-job",
            NAS_RAY_JOBS_URL=f"http://127.0.0.1:{free_port()}",
            NAS_PORT=str(port),
            NAS_URL=f"http://127.0.0.1:{free_port()}",
            NAS_LEASE_S="soon",
            NAS_HOEM="x",
        )
        took_s = time.monotonic() - began
    found = json.loads(result.stdout)
    assert {entry["check"] for entry in found if entry["level"] == "broken"} == BROKEN
    assert {entry["check"] for entry in found if entry["level"] == "warning"} == {"variables"}
    assert result.returncode == 1
    assert "Traceback" not in result.stdout + result.stderr
    assert "secret" not in result.stdout + result.stderr
    assert took_s < LIMIT_S


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_home_that_nobody_used_yet_has_nothing_broken_and_stays_so(words: tuple[str, ...], tmp_path: Path) -> None:
    environment = {"NAS_HOME": str(tmp_path / "home"), "NAS_PORT": str(free_port()), "NAS_MIN_FREE_BYTES": "0"}
    result = run_nas("doctor", *words, cwd=tmp_path, **environment)
    assert result.returncode == 0, result.stdout
    assert list(tmp_path.iterdir()) == []
    if not words:
        lines = result.stdout.splitlines()
        assert lines[-1] == "nothing is wrong"
        assert all(re.match(r"(ok|note) +[a-z]+ +\S|  +-> \S", line) for line in lines[:-1])


def test_the_advice_of_the_documentation_is_of_settings_that_there_are() -> None:
    """What the doctor tells people to set has to exist."""
    folder = Path(__file__).parents[3] / "api" / "doctor"
    named = {name for file in folder.glob("*.py") for name in re.findall(r"NAS_[A-Z_]+", file.read_text())}
    assert named - {"NAS_"} <= {f"NAS_{name.upper()}" for name in Settings.model_fields}
