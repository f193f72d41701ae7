"""How fast the service answers a page over 100,000 jobs while a search writes: `python -m benchmarks.dashboard_scale`.

A database is filled with jobs and samples; one search has 5,000 samples and the most arms of the catalogue. A service of its
own process answers one reader after the other on kept connections, as a page asks, while another process commits a wave of 8
samples with all arms every 0.25 s. Times are those of whole requests, in milliseconds, the reader's parsing left out.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.synchronize import Event as Signal
from pathlib import Path

import httpx
from sqlalchemy import text

from api.commands.embedded import embedded_service
from benchmarks.conditions import conditions
from benchmarks.dashboard_fill import arms_of, big_spec, fill, genotypes_of
from nas_service.reports import SearchPhase, SearchProgress
from nas_service.search.history import Sample
from nas_service.search.loop import Evaluation, Wave
from nas_service.settings import Settings
from nas_service.storage import samples
from nas_service.storage.attempts import Hold
from nas_service.storage.schema import upgrade
from nas_service.storage.session import Database

TARGET_MS, TARGET_BYTES = 100.0, 60_000
WAVE, WAVE_EVERY_S = 8, 0.25


def write_waves(url: str, job_id: str, begun: Signal, ended: Signal) -> None:
    """Commit waves to a search that this process holds, until it is told to end."""
    database, spec = Database(url), big_spec()
    arms, genotypes = arms_of(spec), genotypes_of(spec, WAVE)
    hold, done = Hold(job_id, 1, timedelta(hours=1)), 0
    while not ended.is_set():
        new = tuple(Sample(done + place, genotype, 0.5) for place, genotype in enumerate(genotypes))
        evaluations = tuple(Evaluation(0.5, 0.7, diverged=False, seconds=1.0, worker="host:1") for _ in new)
        progress = SearchProgress(phase=SearchPhase.SAMPLING, samples=done, total=10**6, arms=len(arms), arms_left=len(arms))
        wave = Wave(new, evaluations, tuple(new))
        with database.write() as session:
            samples.commit_wave(session, hold, samples.WaveRecord(wave, tuple({"ops": 1.5} for _ in new), arms, progress))
        done += WAVE
        begun.set()
        ended.wait(WAVE_EVERY_S)
    database.close()


@contextmanager
def writing(url: str, job_id: str) -> Iterator[None]:
    """Let another process commit waves inside the block."""
    spawn = multiprocessing.get_context("spawn")
    begun, ended = spawn.Event(), spawn.Event()
    process = spawn.Process(target=write_waves, args=(url, job_id, begun, ended))
    process.start()
    try:
        if not begun.wait(60):
            message = "the writer did not begin"
            raise RuntimeError(message)
        yield
    finally:
        ended.set()
        process.join()


def requests_of(ids: dict[str, str]) -> dict[str, str]:
    """Return what is asked, by name."""
    big = f"/v1/searches/{ids['big']}"
    return {
        "list, first page": "/v1/jobs",
        "list, kind and state": "/v1/jobs?kind=training&state=failed",
        "list, space, strategy, dataset": "/v1/jobs?kind=search&space=abandit&strategy=random&dataset=mine",
        "list, text in few names": "/v1/jobs?text=night+seed+99",
        "list, text in no name": "/v1/jobs?text=nowhere",
        "list, tag and text": "/v1/jobs?tag=robust&text=wide",
        "list, nothing passes": "/v1/jobs?kind=search&state=pausing&space=abandit",
        "counts": "/v1/jobs/counts",
        "counts, filtered": "/v1/jobs/counts?kind=search&space=abandit&text=night",
        "get, at work": big,
        "get, old": f"/v1/searches/{ids['old']}",
        "arms": f"{big}/arms",
        "series, as the page asks": f"{big}/series?fields=index,reward,clean_accuracy,attacked_accuracy&points=2000",
        "series, all columns": f"{big}/series",
        "system": "/v1/system",
    }


def measure(client: httpx.Client, path: str, times: int) -> tuple[float, float, int, int]:
    """Return p50 and p99 in milliseconds, the status, and the size of the body in bytes before compression."""
    taken = []
    reply = client.get(path)  # the first one is not measured
    for _ in range(times):
        started = time.perf_counter()
        reply = client.get(path)
        taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98], reply.status_code, len(reply.content)


def main() -> None:
    """Fill, serve, write, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="", help="of an empty database; left out: SQLite in a folder that is removed")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--queued", type=int, default=500, help="of the jobs")
    parser.add_argument("--times", type=int, default=200, help="requests of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), database_url=arguments.url, controller=False)
        upgrade(settings.database)
        database = Database(settings.database)
        started = time.perf_counter()
        ids = fill(database.engine, arguments.jobs, arguments.samples, arguments.queued)
        if database.engine.dialect.name == "postgresql":  # as its autovacuum does within minutes of so many rows
            with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
        filled_s = time.perf_counter() - started
        print(f"{conditions()}; {database.engine.dialect.name}, {arguments.jobs} jobs, {arguments.samples} samples, ", end="")
        print(f"{arguments.queued} queued, {len(arms_of(big_spec()))} arms, filled in {filled_s:.0f} s\n")
        database.close()
        with embedded_service(settings) as address, writing(settings.database, ids["held"]):
            _print_table(address, ids, arguments.times)


def _print_table(address: str, ids: dict[str, str], times: int) -> None:
    print("| request | p50, ms | p99, ms | bytes | |")
    print("|---|---|---|---|---|")
    with httpx.Client(base_url=address, timeout=60.0) as client:
        for name, path in requests_of(ids).items():
            p50, p99, status, size = measure(client, path, times)
            missed = [] if status == httpx.codes.OK else [f"status {status}"]
            missed += ["slow"] if p99 > TARGET_MS else []
            missed += ["large"] if name == "list, first page" and size > TARGET_BYTES else []
            print(f"| {name} | {p50:.1f} | {p99:.1f} | {size} | {', '.join(missed)} |", flush=True)


if __name__ == "__main__":
    main()
