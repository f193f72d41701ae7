"""`python -m tests.team`: the team set-up of docker-compose.yml, run natively, and compared with a service on one machine.

The file's own commands, environments, users, folders, secrets and networks; what stands in the place of images is in
`container.py`. It takes root, bubblewrap and iproute2 (Debian's), and makes namespaces of its own, so that nothing is left.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from api.client import NasClient
from tests.e2e.conftest import epochs_of, samples_of
from tests.faults.results import SPEC as QUICK
from tests.faults.results import differences, is_over, results
from tests.faults.world import Embedded
from tests.team.engine import Engine
from tests.team.networks import ip
from tests.team.probes import wrong_doors, wrong_limits
from tests.team.project import ROOT, read_project
from tests.waiting import wait_until

INSIDE = "NAS_TEAM_INSIDE"
LIMIT_S = 900.0
SMALL = {"NAS_RAY_WORKERS": "2", "NAS_HEAD_SHM": "10g", "NAS_WORKER_SHM": "10g"}  # nothing is taken before it is used
PASSWORD = "p@ss/w%rd: 'x'\"$?#&=+\\"  # noqa: S105 - a test's: everything that means something in URLs, SQL and shells
SPEC: dict[str, Any] = {  # enough to take something away in its middle
    **QUICK,
    "strategy": {"name": "abandit", "settings": {"samples_per_arm": 6}},
    "evaluation": {**QUICK["evaluation"], "epochs": 20, "max_steps": 40},
    "training": {**QUICK["training"], "recipe": {"epochs": 10}},
}
BEGAN = time.monotonic()


def tell(said: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:6.0f} s  {said}", flush=True)


def embedded(folder: Path) -> dict[str, Any]:
    """Return what a search and its training lead to on one machine."""
    world = Embedded(folder)
    try:
        world.start()
        search_id = world.client.submit_search(SPEC).id
        wait_until(lambda: is_over(world.client, search_id), bool, LIMIT_S)
        return results(world.client, search_id)
    finally:
        world.end()


def make_secrets(folder: Path) -> None:
    """Write secrets as an operator does, with passwords of the worst kind."""
    folder.mkdir()
    for name in ("database_password", "driver_password"):
        (folder / name).write_text(PASSWORD + name)
        (folder / name).chmod(0o444)
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", folder], check=True, capture_output=True)


def disturbed(engine: Engine, client: NasClient) -> str:
    """Carry a search and its training out while a worker node is stopped in the middle of each, and comes back."""
    search_id = client.submit_search(SPEC).id
    wait_until(lambda: client.search(search_id), lambda job: samples_of(job) >= 2, LIMIT_S)
    away(engine, "ray-worker-2", lambda: client.search(search_id).state.value)
    seen = wait_until(lambda: client.search(search_id), lambda job: samples_of(job) >= 8, LIMIT_S)
    tell(f"{samples_of(seen)} samples, then the node comes back")
    engine.start("ray-worker-2")
    (training,) = wait_until(lambda: list(client.trainings(parent=search_id)), bool, LIMIT_S)
    wait_until(lambda: client.training(training.id), lambda job: epochs_of(job) >= 1, LIMIT_S)
    away(engine, "ray-worker-1", lambda: client.training(training.id).state.value)
    engine.containers["ray-worker-2"].wait_healthy()
    engine.start("ray-worker-1")
    wait_until(lambda: is_over(client, search_id), bool, LIMIT_S)
    return search_id


def away(engine: Engine, node: str, state: Callable[[], str]) -> None:
    """Stop a node while a job runs.

    Raises:
        RuntimeError: If the job did not run any more: then nothing was shown.
    """
    before = state()
    engine.stop(node)
    if before != "running":
        raise RuntimeError(f"the job was {before} before {node} was stopped")


def team(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Run the project; return what was wrong."""
    make_secrets(folder / "secrets")
    (folder / "data").mkdir()
    project = read_project(
        NAS_SECRETS=str(folder / "secrets"), NAS_DATA=str(folder / "data"), NAS_FRONT_SUBNET="10.88.1.0/24", **SMALL
    )
    engine, wrong = Engine(project, folder, tell), list[str]()
    engine.make()
    try:
        engine.up("grants")
        key = engine.run("api", ["nas", "keys", "create", "team", "--scope", "admin", "--json"])
        engine.up()
        engine.wait_healthy()
        tell(f"healthy: {', '.join(engine.containers)}")
        door = engine.networks.address("proxy", "front")
        os.environ["NAS_KEY"] = next(word for word in key.replace('"', " ").split() if word.startswith("nas_"))
        wrong += wrong_doors(engine, PASSWORD) + wrong_limits(door, os.environ["NAS_KEY"])
        with NasClient(f"http://{door}:8000") as client:
            began = time.monotonic()
            search_id = client.submit_search(SPEC).id
            wait_until(lambda: is_over(client, search_id), bool, LIMIT_S)
            found = differences(expected, results(client, search_id))
            tell(f"undisturbed, {time.monotonic() - began:.0f} s: {found or 'equal'}")
            wrong += [f"undisturbed: {name}" for name in found]
            began = time.monotonic()
            found = differences(expected, results(client, disturbed(engine, client)))
            tell(f"a worker node away in mid-search and in mid-training, {time.monotonic() - began:.0f} s: {found or 'equal'}")
            wrong += [f"disturbed: {name}" for name in found]
        engine.down()
    except BaseException:
        for name, container in engine.containers.items():
            tell(f"--- {name}: {container.tail()[-1500:]}")
        raise
    return wrong


def main() -> int:
    """Do it all in namespaces of its own; return the exit status."""
    parser = argparse.ArgumentParser(description="the team set-up, natively")
    parser.add_argument("--keep", type=Path, help="folder that keeps every container's files and logs")
    given = parser.parse_args()
    if os.geteuid():
        print("namespaces, users and bridges take root: run it as root", file=sys.stderr)
        return 2
    if INSIDE not in os.environ:
        own = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        ready = ["sh", "-c", 'mount -t tmpfs none /run && mkdir /run/netns && exec "$@"', "sh"]
        again = [*own, *ready, sys.executable, "-m", "tests.team", *sys.argv[1:]]
        return subprocess.run(again, check=False, env={**os.environ, INSIDE: "yes"}).returncode
    folder = given.keep or Path(tempfile.mkdtemp(prefix="team-", dir="/tmp"))
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    ip("link", "set", "lo", "up")
    (folder / "embedded").mkdir()
    try:
        expected = embedded(folder / "embedded")
        tell(f"embedded: {len(expected['samples'])} samples, {len(expected['candidates'])} candidates, {expected['states']}")
        wrong = team(folder, expected)
    finally:
        if given.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    tell("all as on one machine" if not wrong else f"wrong: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
