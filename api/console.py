"""What the CLI prints: JSON for programs, tables and progress bars for people."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.client import NasClient
from api.job_words import describe
from api.patience import patiently
from api.progress import POLL_S, bars_on
from api.views import JobView
from nas_service.job_events import DataRead
from nas_service.json_text import json_text
from nas_service.lifecycle import FINISHED
from nas_service.reports import SearchPhase, TrainingPhase
from nas_service.wording import printable

WIDTH = 160  # columns where there is no terminal to ask
UNBOUNDED = 100_000  # columns: more than any row of a table takes

console = Console(width=None if sys.stdout.isatty() else WIDTH)
errors = Console(stderr=True)

_SHORT_ID = 13  # letters: the moment in which it was made, to the millisecond

PLAIN_EVERY_S = 10.0  # between two lines where there is no terminal


def program() -> str:
    """Return how this program is called from where its user is: `nas`, or its path where it is not on the search path."""
    called = Path(sys.argv[0])
    if called.name != "nas" or shutil.which("nas") is not None:
        return "nas"
    return os.path.relpath(called)


def print_json(value: BaseModel | Iterable[BaseModel | dict[str, Any]] | dict[str, Any]) -> None:
    """Print a view, a list of views or objects, or an object as JSON."""
    if isinstance(value, BaseModel):
        plain: Any = value.model_dump(mode="json")
    elif isinstance(value, dict):
        plain = value
    else:
        plain = [entry if isinstance(entry, dict) else entry.model_dump(mode="json") for entry in value]
    console.file.write(json_text(plain) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterator[Sequence[object]] | Sequence[Sequence[object]]) -> None:
    """Print rows under headings; nothing in them is read as markup, nor obeyed by the terminal.

    Where there is no terminal they are plain columns, a line each however long it is, for other programs to cut.
    """
    is_plain = not console.is_terminal
    table = Table(
        title=None if is_plain else title,
        title_justify="left",
        header_style="bold",
        box=None if is_plain else HEAVY_HEAD,
        pad_edge=not is_plain,
    )
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=position == 0 or is_plain)
    for row in rows:
        cells = [_cell(value) for value in row]
        table.add_row(*([Text(", ".join(cell.plain.split("\n"))) for cell in cells] if is_plain else cells))
    if not is_plain:
        console.print(table)
        return
    written = StringIO()
    written.write(f"{printable(title)}\n")
    Console(file=written, width=UNBOUNDED).print(table)
    console.file.write("".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines()))


def _cell(value: object) -> Text:
    if value is None:
        return Text("-")
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d %H:%M:%S} UTC")
    if isinstance(value, dict | list):
        return Text(json.dumps(value))
    if isinstance(value, float):
        return Text(f"{value:,.0f}" if value.is_integer() else f"{value:.4f}")
    return Text("\n".join(printable(line) for line in str(value).split("\n")))


def print_remarks(skipped: Mapping[str, int], warnings: Sequence[str], where: Console = console) -> None:
    """Say what was left out of a dataset, and what people should know before they train."""
    for reason, count in sorted(skipped.items()):
        _say(where, f"left out: {count:,} {printable(reason)}")
    for warning in warnings:
        _say(where, f"warning: {printable(warning)}")


def print_data_remarks(client: NasClient, job: JobView, where: Console = console) -> None:
    """Say as `print_remarks` what a job learnt of its data; nothing if it has not read them, or an earlier version did."""
    read = next((event.data for event in client.events_of(job, "data.read") if isinstance(event.data, DataRead)), None)
    if read is not None:
        print_remarks(read.skipped, read.warnings, where)


def short_id(identifier: str) -> str:
    """Return as much of an id as a narrow terminal has room for; commands take its beginning, too."""
    return identifier[:_SHORT_ID] if console.is_terminal and console.width < WIDTH else identifier


def age(since: datetime) -> str:
    """Return how long ago something was, in its largest unit: `3 h`."""
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {name}"
    return f"{max(seconds, 0)} s"


class _PlainProgress:
    """A line now and then, for logs."""

    def __init__(self, where: Console) -> None:
        self._console = where
        self._last = 0.0
        self._state = ""
        self._line = ""

    def show(self, job: JobView) -> None:
        now, state = time.monotonic(), f"{job.state} {job.waiting_for}"
        line = f"{job.kind} {job.state}: {describe(job)[2]}"
        if line != self._line and (state != self._state or now - self._last >= PLAIN_EVERY_S):
            self._console.print(line, markup=False, highlight=False)
            self._last, self._state, self._line = now, state, line


@contextmanager
def _shown(where: Console) -> Iterator[Callable[[JobView], None]]:
    if not where.is_terminal:
        yield _PlainProgress(where).show
        return
    with bars_on(where) as bars:
        yield bars.show


def _say(where: Console, text: str) -> None:
    where.print(text, markup=False, highlight=False, soft_wrap=True)


def watch(fetch: Callable[[], JobView], where: Console, has_read: Callable[[JobView], None] | None = None) -> JobView:
    """Show a job's progress until it is over, and return it; a service that is away for a moment is waited for.

    Args:
        fetch: Asks for the job as it stands.
        where: To show it.
        has_read: Called once, when the job has read its data or is over.
    """
    with _shown(where) as show:
        while True:
            job = patiently(fetch, partial(_say, where))
            show(job)
            if has_read is not None and _is_past_reading(job):
                patiently(partial(has_read, job), partial(_say, where))
                has_read = None
            if job.state in FINISHED:
                return job
            time.sleep(POLL_S)


def _is_past_reading(job: JobView) -> bool:
    if job.state in FINISHED:
        return True
    return job.progress is not None and job.progress.phase not in {SearchPhase.LOADING, TrainingPhase.LOADING}


def watch_search(client: NasClient, search_id: str, where: Console) -> list[JobView]:
    """Show a search and the trainings that it starts, on the same data, until all are over; return them, the search first."""
    jobs = [watch(partial(client.search, search_id), where, partial(print_data_remarks, client, where=where))]
    started = patiently(lambda: list(client.trainings(parent=search_id)), partial(_say, where))
    return [*jobs, *(watch(partial(client.training, training.id), where) for training in started)]
