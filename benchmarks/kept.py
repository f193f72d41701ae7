"""Rows that benchmarks keep line by line, so that one that was cut off goes on, and what is left to do in several processes."""

import json
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

Job = TypeVar("Job", bound=Hashable)
Result = TypeVar("Result")
Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file, none if there is no file; a line that was cut off is none, so its work is done again."""
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def add_row(path: Path, row: Row) -> None:
    """Append a row, behind a line that was cut off as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if file.tell() and not path.read_bytes().endswith(b"\n"):
            file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write(json.dumps(row).encode() + b"\n")


def one_thread() -> None:
    """Let a process compute with one thread: others have the other cores."""
    torch.set_num_threads(1)


def work_off(
    processes: int,
    ready: Callable[[], Iterable[Job]],
    work: Callable[[Job], Result],
    done: Callable[[Job, Result], None],
) -> None:
    """Do all jobs in so many processes of one thread each.

    Args:
        processes: How many jobs are done at once.
        ready: Returns the jobs that can be done now and are not done, the most urgent first; asked whenever one is done.
        work: Does a job, in one of the processes.
        done: Told of what came of a job, in this process.
    """
    running: dict[Future[Result], Job] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=one_thread) as pool:
        while True:
            held = set(running.values())
            waiting = [job for job in ready() if job not in held]
            for job in waiting[: 2 * processes - len(running)]:  # twice as many, so that nobody waits for this process
                running[pool.submit(work, job)] = job
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done(running.pop(future), future.result())
