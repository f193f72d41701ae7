"""A real controller at the size of a cluster, with drivers that are acted: for `scale`."""

import threading
import time
from dataclasses import dataclass, field

from sqlalchemy import select, text

from benchmarks.scale_costs import cpu_s, own_cpu_s, server_cpu_s
from benchmarks.scale_drivers import ActingLauncher, Deeds, Script, percentiles
from benchmarks.scale_fill import WAVE, Made
from nas_service.lifecycle import HELD
from nas_service.settings import Settings
from nas_service.storage import jobs
from nas_service.storage.models import Job
from nas_service.storage.session import Database
from workers.context import TICK_S
from workers.controller import Controller

ARRIVALS_S = 2.0  # jobs a second that are submitted, and end: 17 times 10,000 a day
THREADS = 4  # of a process that acts, and twice as many connections
START_LIMIT_S = 180.0


@dataclass(frozen=True)
class Load:
    """What is simulated.

    Attributes:
        held: Jobs that are at work from the beginning of the watch to its end, as some end and others begin.
        seconds: That are watched.
        wave_s: Between two waves of a job.
        processes: That act.
    """

    held: int
    seconds: float
    wave_s: float
    processes: int


@dataclass
class Watched:
    """What was seen.

    Attributes:
        filled_s: Until the controller had claimed, and drivers had begun, all that is held.
        longest_step_s: Meanwhile.
        steps_s: Of the controller, while it was watched.
        waits_s: From a submission to its driver's start.
        deeds: Of the drivers, the start of all included.
        processors: By whom they were used, in processors.
        transactions_s: That the database committed or rolled back a second; None where it does not tell.
    """

    filled_s: float = 0.0
    longest_step_s: float = 0.0
    steps_s: list[float] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    deeds: Deeds = field(default_factory=Deeds)
    processors: dict[str, float] = field(default_factory=dict)
    transactions_s: float | None = None


def simulate(settings: Settings, load: Load) -> Watched:
    """Fill the cluster, watch it for a while, and return what was seen."""
    settings = settings.model_copy(update={"max_concurrent_jobs": 2 * load.held + 100})  # so that no job waits for a place
    database, made, found = Database(settings.database), Made.of_catalogue(), Watched()
    script = Script(settings.lease_s, load.wave_s, load.held / ARRIVALS_S)
    launcher = ActingLauncher(settings.database, script, load.processes, THREADS)
    controller = Controller(settings, database, launcher)
    for _ in range(load.held):
        _submit(database, made)
    begun = time.monotonic()
    while _working(database) < load.held and time.monotonic() - begun < START_LIMIT_S:
        found.longest_step_s = max(found.longest_step_s, _step(controller, settings.poll_s))
    found.filled_s = time.monotonic() - begun
    over, submitted = threading.Event(), list[str]()
    submitter = threading.Thread(target=_submit_steadily, args=(database, made, submitted, over))
    before = _usage(database, launcher)
    submitter.start()
    watched = time.monotonic()
    while time.monotonic() - watched < load.seconds:
        found.steps_s.append(_step(controller, settings.poll_s))
    after, lasted = _usage(database, launcher), time.monotonic() - watched
    over.set()
    submitter.join()
    found.processors = {name: (after[name] - before[name]) / lasted for name in after if name != "transactions"}
    if after["transactions"]:
        found.transactions_s = (after["transactions"] - before["transactions"]) / lasted
    found.deeds = launcher.finish()
    found.waits_s = _waits(database, submitted)
    database.close()
    return found


def print_simulation(settings: Settings, load: Load) -> None:
    """Simulate, and print two tables."""
    found = simulate(settings, load)
    p50, p99 = percentiles(found.steps_s)
    waited = [f"{value:.2f}" for value in percentiles(found.waits_s)] if found.waits_s else ["none began"] * 2
    processors = ", ".join(f"{name} {value:.2f}" for name, value in found.processors.items())
    rows = [
        (f"{load.held} queued jobs: until all drivers had begun, s", f"{found.filled_s:.1f}"),
        ("longest step meanwhile, s", f"{found.longest_step_s:.1f}"),
        ("step of the controller, p50 / p99, s", f"{p50:.2f} / {p99:.2f}"),
        ("submission to start of its driver, p50 / p99, s", " / ".join(waited)),
        ("transactions a second", "not told" if found.transactions_s is None else f"{found.transactions_s:.0f}"),
        ("processors that were busy", processors),
        ("what failed", ", ".join(f"{count} x {what}" for what, count in found.deeds.failed.items()) or "nothing"),
    ]
    print(f"{load.held} held jobs, a wave of {WAVE} every {load.wave_s:g} s, {ARRIVALS_S:g} jobs a second, {load.seconds:g} s:\n")
    print("| | |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    print("\n| deed | done | p50, ms | p99, ms | begun late, p50, s | p99, s |\n|---|---|---|---|---|---|")
    for deed, taken in found.deeds.taken.items():
        took, late = percentiles(taken), percentiles(found.deeds.late[deed])
        print(f"| {deed} | {len(taken)} | {1000 * took[0]:.1f} | {1000 * took[1]:.0f} | {late[0]:.2f} | {late[1]:.2f} |")
    print(f"\nA look is due every {TICK_S:g} s a driver, a renewal every {settings.lease_s / 4:g} s.")


def _step(controller: Controller, poll_s: float) -> float:
    began = time.monotonic()
    controller.step()
    took = time.monotonic() - began
    time.sleep(poll_s)
    return took


def _submit(database: Database, made: Made) -> str:
    with database.write() as session:
        return jobs.create_job(session, jobs.SEARCH, "simulated", made.spec).id


def _submit_steadily(database: Database, made: Made, submitted: list[str], over: threading.Event) -> None:
    due = time.monotonic()
    while not over.is_set():
        submitted.append(_submit(database, made))
        due += 1 / ARRIVALS_S
        over.wait(max(0.0, due - time.monotonic()))


def _working(database: Database) -> int:
    """Return how many jobs have a driver that has begun."""
    counted = select(Job.id).where(Job.state.in_([state.value for state in HELD]), Job.started_at.is_not(None))
    with database.read() as session:
        return len(session.scalars(counted).all())


def _waits(database: Database, submitted: list[str]) -> list[float]:
    with database.read() as session:
        rows = session.execute(select(Job.created_at, Job.started_at).where(Job.id.in_(submitted)))
        return [(started - created).total_seconds() for created, started in rows if started is not None]


def _usage(database: Database, launcher: ActingLauncher) -> dict[str, float]:
    """Return processor seconds so far by who used them, and the database's transactions."""
    done = 0
    if database.engine.dialect.name == "postgresql":
        query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        with database.engine.connect() as connection:
            done = int(connection.execute(text(query)).scalar_one())
    return {
        "database": server_cpu_s(database),
        "controller": own_cpu_s(),
        "acted drivers": cpu_s(launcher.pids),
        "transactions": float(done),
    }
