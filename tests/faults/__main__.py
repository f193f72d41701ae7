"""`python -m tests.faults`: kills and freezes at random moments, and whether everything ends as if nothing had happened.

In each world a search with its training is carried out again and again while faults hit one kind of process after another.
Every round has to end with the results of an undisturbed one; at the end nothing may be left. Nothing else of this project may
be started meanwhile.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path

from tests.faults.injection import Fault, inject, schedule
from tests.faults.leftovers import Before, left_after_the_end, left_while_running
from tests.faults.results import SPEC, differences, is_over, marker, patiently, results
from tests.faults.world import World, worlds

ROUND_LIMIT_S = 900.0
WORLD_LIMIT_S = 1500.0
PAUSE_S = (2.0, 7.0)  # after a sign of progress, before the next fault
GIVE_UP_WAITING_S = 120.0  # for a sign of progress
PER_ROUND = 8
KILLS = {"embedded": 1, "cluster": 2}  # of every kind of process: 21 in all


class Round:
    """One search with its training, and the faults that hit it."""

    def __init__(self, world: World, draw: random.Random) -> None:
        """Submit the search."""
        self._world = world
        self._draw = draw
        key = str(draw.random())
        self.search_id = patiently(lambda: world.client.submit_search(SPEC, idempotency_key=key), world.keep_alive).id
        self.hits: list[tuple[Fault, str]] = []

    def run(self, faults: list[Fault]) -> None:
        """Let faults hit it, each after a sign of progress, until it is over; those that found no target stay in the list.

        Raises:
            TimeoutError: If it does not end.
        """
        client, keep_alive, started = self._world.client, self._world.keep_alive, time.monotonic()
        while not patiently(lambda: is_over(client, self.search_id), keep_alive):
            keep_alive()
            if faults and len(self.hits) < PER_ROUND:
                self._wait_for_progress()
                self._hit(faults)
            time.sleep(0.3)
            if time.monotonic() - started > ROUND_LIMIT_S:
                seen = patiently(lambda: marker(client, self.search_id), keep_alive)
                raise TimeoutError(f"search {self.search_id} is not over after {ROUND_LIMIT_S:g} s: {seen}")

    def _wait_for_progress(self) -> None:
        client, keep_alive, asked = self._world.client, self._world.keep_alive, time.monotonic()

        def look() -> tuple[object, ...]:
            return patiently(lambda: marker(client, self.search_id), keep_alive)

        before = look()
        while look() == before and time.monotonic() - asked < GIVE_UP_WAITING_S:
            keep_alive()
            time.sleep(0.3)
        time.sleep(self._draw.uniform(*PAUSE_S))

    def _hit(self, faults: list[Fault]) -> None:
        jobs = len(patiently(lambda: marker(self._world.client, self.search_id), self._world.keep_alive))
        for fault in faults:
            said = inject(self._world, fault, self._draw)
            if said is not None:
                faults.remove(fault)
                during = "search" if jobs == 1 else "training"
                self.hits.append((fault, during))
                print(f"  {time.strftime('%H:%M:%S')} {during}: {said}", flush=True)
                return


def torment(
    world: World, kills: int, freezes: int, expected: dict[str, object] | None, seed: int
) -> tuple[dict[str, object], list[str]]:
    """Let every fault hit the world; return the undisturbed results and what was wrong."""
    draw, wrong, before = random.Random(seed), [], Before.now()
    world.start()
    if expected is None:
        undisturbed = Round(world, draw)
        undisturbed.run([])
        expected = results(world.client, undisturbed.search_id)
        print(f"{world.name}: undisturbed {len(expected['samples'])} samples, states {expected['states']}", flush=True)  # type: ignore[arg-type]  # a list
    faults, hits, number = schedule(world.kinds, kills, freezes, draw), Counter[tuple[str, str]](), 0
    started = time.monotonic()
    while faults:
        if time.monotonic() - started > WORLD_LIMIT_S:
            raise TimeoutError(f"{len(faults)} faults are left after {WORLD_LIMIT_S:g} s: {faults[:3]}")
        number += 1
        tried = Round(world, draw)
        tried.run(faults)
        actual = patiently(partial(results, world.client, tried.search_id), world.keep_alive)
        differing = differences(expected, actual)
        for fault, during in tried.hits:
            hits.update([(fault.kind, fault.how), (fault.kind, during)])
        wrong += [f"{world.name}, round {number}: {name}" for name in differing]
        print(f"{world.name}: round {number}, {len(tried.hits)} faults, {differing or 'equal'}", flush=True)
    minutes = (time.monotonic() - started) / 60
    wrong += [f"{world.name}: {entry} is left" for entry in left_while_running(world)]
    lines = sum(service.log_lines for service in world.services())
    world.end()
    wrong += [f"{world.name}: {entry} is left" for entry in left_after_the_end(world, before)]
    print(f"{world.name}: {number} rounds in {minutes:.1f} minutes, {lines / minutes:.0f} lines of log a minute")
    columns = ("kill", "freeze", "search", "training")
    print(f"  {'process':12}" + "".join(f"{name:>9}" for name in columns))
    for kind in world.kinds:
        print(f"  {kind:12}" + "".join(f"{hits[kind, name]:9}" for name in columns), flush=True)
    return expected, wrong


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--worlds", nargs="+", default=["embedded", "cluster"], choices=["embedded", "cluster"])
    parser.add_argument("--kills", type=int, help="of every kind of process; 1 embedded and 2 in the cluster if left out")
    parser.add_argument("--freezes", type=int, default=1, help="of every kind of process")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the moments")
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="nas-faults-"))
    home.chmod(0o755)  # PostgreSQL runs as another user where this is root
    wrong: list[str] = []
    expected: dict[str, object] | None = None
    for world in worlds(home, arguments.worlds):
        try:
            kills = KILLS[world.name] if arguments.kills is None else arguments.kills
            expected, found = torment(world, kills, arguments.freezes, expected, arguments.seed)
            wrong += found
        except (TimeoutError, OSError) as error:
            wrong.append(f"{world.name}: {error}")
            world.end()
    print(
        "\n".join(f"WRONG: {entry}" for entry in wrong) or "every job ended, all results are equal, nothing is left", flush=True
    )
    if wrong:
        print(f"logs: {home}")
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
