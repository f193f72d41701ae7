"""What one deed costs the database, and what 1,000 GPUs ask of it: for `scale`."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
from sqlalchemy import Table, text

from api.streams import looks
from benchmarks.scale_drivers import SilentLauncher
from benchmarks.scale_fill import WAVE, Made, add_jobs, add_samples, copy_samples, count_rows, hold_of, settle
from benchmarks.scale_slopes import NO_LOGS
from nas_service.settings import Settings
from nas_service.storage import attempts, jobs, samples
from nas_service.storage.models import Base
from nas_service.storage.session import Database, Session
from workers.context import TICK_S
from workers.controller import Controller

GPUS, JOBS_A_DAY, DAY_S = 1000, 10_000, 86_400
SAMPLE_S = 1.0  # of one GPU: what small supernets take; larger networks ask less of the database
ROUNDS, LONGEST_S = 100, 3.0  # of each deed in one measurement: processors are counted in hundredths of a second
SHOWN = ("jobs", "samples", "arms", "arm_tables", "events")


@dataclass(frozen=True)
class Cost:
    """Medians a deed: seconds by the clock, of the database's processors, of this process's, and bytes of write-ahead log."""

    wall_s: float
    server_s: float
    client_s: float
    log_bytes: float


def print_costs(settings: Settings, held: int, times: int) -> None:
    """Print what deeds cost beside so many held jobs, what a day of 1,000 GPUs comes to, and bytes a row."""
    database, made = Database(settings.database), Made.of_catalogue()
    running = add_jobs(database, made, "running", held)
    add_samples(database, made, running[0], 10 * WAVE)
    copy_samples(database, running[0], running[1:], 10 * WAVE)
    settle(database)
    controller = Controller(settings.model_copy(update={"max_concurrent_jobs": 1}), database, SilentLauncher())
    rates = {
        "look of a driver": GPUS / TICK_S,
        "renewal of a lease": GPUS / (settings.lease_s / 4),
        f"commit of a wave of {WAVE}": GPUS / SAMPLE_S / WAVE,
        f"step, {held} held": 1 / settings.poll_s,
        "look for streams of all jobs": 4.0,
        "submission": JOBS_A_DAY / DAY_S,
    }
    deeds = _deeds(database, made, running, controller)
    print(f"| deed | ms | ms of the database's processor | ms of ours | log, kB | a second, {GPUS} GPUs ", end="")
    print("| database's processors | log, MB/s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, deed in deeds.items():
        cost, rate = _measured(database, deed, times), rates[name]
        cells = [f"{1000 * value:.2f}" for value in (cost.wall_s, cost.server_s, cost.client_s)]
        cells += [
            f"{cost.log_bytes / 1000:.1f}",
            f"{rate:.3g}",
            f"{rate * cost.server_s:.2f}",
            f"{rate * cost.log_bytes / 1e6:.2f}",
        ]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    _print_bytes(database)
    database.close()


def _deeds(database: Database, made: Made, running: list[str], controller: Controller) -> dict[str, Callable[[int], None]]:
    """Return the deeds in the order of `print_costs`; each is told its number, to choose a job."""
    done: dict[str, int] = {}

    def write(deed: Callable[[Session, str], object]) -> Callable[[int], None]:
        def act(number: int) -> None:
            with database.write() as session:
                deed(session, running[number % len(running)])

        return act

    def look(number: int) -> None:
        with database.read() as session:
            attempts.state_of(session, hold_of(running[number % len(running)]))

    def commit(session: Session, job_id: str) -> None:
        first = done.get(job_id, 10 * WAVE)
        samples.commit_wave(session, hold_of(job_id), made.record(first))
        done[job_id] = first + WAVE

    def look_at_all(_: int) -> None:
        looks.look(database, looks.Plan({}, 0, watches_all=True, held=frozenset(), logs={}), NO_LOGS)

    return {
        "look of a driver": look,
        "renewal of a lease": write(lambda session, job_id: attempts.renew(session, hold_of(job_id))),
        f"commit of a wave of {WAVE}": write(commit),
        f"step, {len(running)} held": lambda _: controller.step(),
        "look for streams of all jobs": look_at_all,
        "submission": write(lambda session, _: jobs.create_job(session, jobs.SEARCH, "one", made.spec)),
    }


def _measured(database: Database, deed: Callable[[int], None], times: int) -> Cost:
    found = []
    for turn in range(times + 1):
        before = (time.perf_counter(), server_cpu_s(database), time.process_time(), _log_bytes(database))
        done = 0
        while done < ROUNDS and time.perf_counter() - before[0] < LONGEST_S:
            deed(turn * ROUNDS + done)
            done += 1
        after = (time.perf_counter(), server_cpu_s(database), time.process_time(), _log_bytes(database))
        found += [tuple((later - earlier) / done for later, earlier in zip(after, before, strict=True))] if turn else []
    return Cost(*(statistics.median(values) for values in zip(*found, strict=True)))


def server_cpu_s(database: Database) -> float:
    """Return the processor seconds of a PostgreSQL server on this machine so far; SQLite has none: 0."""
    if database.engine.dialect.name != "postgresql":
        return 0.0
    with database.engine.connect() as connection:
        backend = psutil.Process(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    postmaster = backend.parent()
    assert postmaster is not None  # noqa: S101 - a backend has one
    total = 0.0
    for process in (postmaster, *postmaster.children()):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        total += times.children_user + times.children_system if process == postmaster else 0.0
    return total


def cpu_s(pids: list[int]) -> float:
    """Return the processor seconds of some processes so far."""
    return sum(sum(psutil.Process(pid).cpu_times()[:2]) for pid in pids)


def own_cpu_s() -> float:
    """Return the processor seconds of this process so far."""
    return cpu_s([os.getpid()])


def _log_bytes(database: Database) -> int:
    if database.engine.dialect.name != "postgresql":
        return 0
    with database.engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")).scalar_one())


def _print_bytes(database: Database) -> None:
    """Print bytes a row with indexes, and the share of updates that touched no index, where the database tells."""
    if database.engine.dialect.name != "postgresql":
        return
    settle(database)
    print("\n| table | rows | bytes a row, indexes in it | updates | of them without an index (HOT) |")
    print("|---|---|---|---|---|")
    with database.engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_force_next_flush()"))
        for name in SHOWN:
            table = Base.metadata.tables.get(name)
            if isinstance(table, Table) and (rows := count_rows(connection, table)):
                size = connection.execute(text("SELECT pg_total_relation_size(:name)"), {"name": name}).scalar_one()
                query = text("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = :name")
                updates, hot = connection.execute(query, {"name": name}).one()
                print(f"| {name} | {rows} | {size / rows:.0f} | {updates} | {hot} |")
