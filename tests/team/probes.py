"""What may not be: looked for in the containers while they run."""

import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from tests.serving import HALF_HEADERS, is_closed
from tests.team.container import Container
from tests.team.engine import Engine

_WRITES = """
import pathlib, sys
try:
    pathlib.Path("/usr/written").write_text("x")
except OSError:
    sys.exit(1)
"""
_REACHES = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
PORT, HEADER_S = 8000, 10.0  # of deploy/Caddyfile
ROADS = (  # who, whom, port, whether it may
    ("proxy", "api", 8000, True),
    ("proxy", "database", 5432, False),
    ("proxy", "ray-head", 8265, False),
    ("proxy", "store", 8333, False),
    ("ray-head", "database", 5432, True),
    ("ray-head", "store", 8333, True),
    ("ray-head", "store", 8888, False),  # the store's inner parts ask for no key
    ("ray-head", "proxy", 8000, False),
    ("database", "store", 8333, False),
    ("store", "database", 5432, False),
)


def wrong_doors(engine: Engine, password: str) -> list[str]:
    """Return what is open that should be closed, closed that should be open, or tells a secret."""
    wrong = [said for name, container in engine.containers.items() if container.is_running for said in _inside(container, name)]
    for who, whom, port, may in ROADS:
        reached = engine.containers[who].run(["python", "-c", _REACHES, whom, str(port)], 10.0).returncode == 0
        if reached != may:
            wrong.append(f"{who} {'reaches' if reached else 'does not reach'} {whom}:{port}")
    for name, service in engine.services.items():
        if any(told in value for value in _values(service) for told in (password, quote(password, safe=""))):
            wrong.append(f"{name} has a password in its environment or command")
    return wrong + _rights(engine.containers["ray-head"])


def _values(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield each value of a service's environment and each word of its commands: as they are, since `repr` escapes letters."""
    environment = service.get("environment") or {}
    yield from map(str, environment.values() if isinstance(environment, Mapping) else environment)
    for field in ("command", "entrypoint"):
        words = service.get(field) or []
        yield from [words] if isinstance(words, str) else map(str, words)


def wrong_limits(address: str, key: str) -> list[str]:
    """Return which limits do not hold at the door, for somebody with a key."""
    wrong, began = [], time.monotonic()
    with socket.create_connection((address, PORT), 5) as slow:
        slow.sendall(HALF_HEADERS)
        if not is_closed(slow, HEADER_S + 5) or time.monotonic() - began < HEADER_S - 1:
            wrong.append(f"half of a request's headers are waited for {time.monotonic() - began:.0f} s")
    shown = {"Authorization": f"Bearer {key}"}
    large = httpx.post(f"http://{address}:{PORT}/v1/searches", content=b"x" * 2_000_000, headers=shown, timeout=30)
    if large.status_code != httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        wrong.append(f"a body of 2 MB is answered with {large.status_code}")
    without = httpx.get(f"http://{address}:{PORT}/v1/searches", timeout=30)
    if without.status_code != httpx.codes.UNAUTHORIZED:
        wrong.append(f"who shows no key is answered with {without.status_code}")
    return wrong


def _inside(container: Container, name: str) -> list[str]:
    wrong = []
    if container.run(["python", "-c", _WRITES], 20.0).returncode == 0:
        wrong.append(f"{name} can write where programs are")
    status = container.run(["cat", "/proc/self/status"], 10.0).stdout.decode()
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if int(lines["CapEff"], 16):
        wrong.append(f"{name} has capabilities {lines['CapEff']}")
    if lines["NoNewPrivs"].strip() != "1":
        wrong.append(f"{name} may gain privileges")
    if lines["Uid"].split()[0] == "0":
        wrong.append(f"{name} runs as root")
    return wrong


def _rights(node: Container) -> list[str]:
    """Look at the database as a driver sees it."""
    ask = (
        "from nas_service.settings import Settings; from nas_service.storage.session import Database; "
        "from sqlalchemy import text; import sys\n"
        "with Database(Settings().database).read() as s: s.execute(text(sys.argv[1]))"
    )
    wrong = []
    for statement, may in (("SELECT 1 FROM jobs", True), ("SELECT 1 FROM access_keys", False), ("DELETE FROM jobs", False)):
        done = node.run(["python", "-c", ask, statement], 60.0)
        if (done.returncode == 0) != may:
            wrong.append(f"a driver {'may' if not may else 'may not'}: {statement} ({done.stderr.decode()[-300:]})")
    return wrong
