"""What the CLI prints: JSON for programs, tables and progress bars for people."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.client import POLL_S, NasClient
from api.job_views import JobRow
from api.patience import patiently
from api.views import JobView
from nas_service.job_events import DataRead
from nas_service.json_text import json_text
from nas_service.lifecycle import FINISHED, JobState
from nas_service.reports import (
    AnyProgress,
    RegistrationPhase,
    RegistrationProgress,
    SearchPhase,
    SearchProgress,
    TrainingPhase,
    TrainingProgress,
)
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


def print_json(value: BaseModel | Sequence[BaseModel | dict[str, Any]] | dict[str, Any]) -> None:
    """Print a view, a list of views or objects, or an object as JSON."""
    if isinstance(value, BaseModel):
        plain: Any = value.model_dump(mode="json")
    elif isinstance(value, dict):
        plain = value
    else:
        plain = [entry if isinstance(entry, dict) else entry.model_dump(mode="json") for entry in value]
    console.file.write(json_text(plain) + "\n")


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterator[Sequence[object]] | Sequence[Sequence[object]],
    folds: Collection[str] | None = None,
) -> None:
    """Print rows under headings; nothing in them is read as markup, nor obeyed by the terminal.

    Where there is no terminal they are plain columns, a line each however long it is, for other programs to cut.

    Args:
        title: Above.
        columns: Headings.
        rows: A value for each of them.
        folds: Columns that are broken where a terminal has no room for them; of others only headings are, between words. None:
            all but the first.
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
        is_whole = position == 0 if folds is None else column not in folds
        heading = column.replace(" ", "\n") if is_whole and folds is not None and is_narrow() else column
        table.add_column(heading, overflow="fold", no_wrap=is_whole or is_plain)
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


def width_of(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """Return how wide a table is that folds nothing but its headings, between words."""
    headings = [max(map(len, column.split())) for column in columns]
    widest = [max([heading, *(len(_cell(row[place]).plain) for row in rows)]) for place, heading in enumerate(headings)]
    return sum(widest) + 3 * len(columns) + 1  # a line and a space to each side, and the last line


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
    return identifier[:_SHORT_ID] if is_narrow() else identifier


def is_narrow() -> bool:
    """Return whether there is a terminal, and less room in it than tables take where there is none."""
    return console.is_terminal and console.width < WIDTH


def age(since: datetime) -> str:
    """Return how long ago something was, in its largest unit: `3 h`."""
    seconds = int((datetime.now(UTC) - since).total_seconds())
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {name}"
    return f"{max(seconds, 0)} s"


def percent(share: float | None) -> str:
    """Return a share in [0, 1] as per cent."""
    return "-" if share is None else f"{100 * share:.2f} %"


def _left(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} left"


_SEARCH_PHASES = {SearchPhase.LOADING: "reading the data", SearchPhase.PLACING: "starting workers"}
_TRAINING_PHASES = {TrainingPhase.LOADING: "reading the data"}
_REGISTRATION_PHASES = {RegistrationPhase.LISTING: "listing the files", RegistrationPhase.CONCLUDING: "drawing the contact sheet"}


def describe(job: JobView | JobRow) -> tuple[int, int, str]:
    """Return how much of a job is done, of how much, and the rest in words, first of all what it waits for."""
    waits = [f"waits for {job.waiting_for}"] if job.waiting_for else []
    progress = job.progress
    if progress is None:
        return 0, 0, ", ".join(waits) or job.state
    is_running = job.state == JobState.RUNNING
    done, words = _told(progress, is_running)
    return done, progress.total, ", ".join([*waits, *words])


def _told(progress: AnyProgress, is_running: bool) -> tuple[int, list[str]]:  # noqa: FBT001 - one of two ways to say it
    if isinstance(progress, SearchProgress):
        return progress.samples, _search_words(progress, is_running)
    if isinstance(progress, TrainingProgress):
        return progress.epochs, _training_words(progress, is_running)
    return progress.images, _registration_words(progress, is_running)


def _registration_words(progress: RegistrationProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - as above
    words = [_REGISTRATION_PHASES[progress.phase]] if is_running and progress.phase in _REGISTRATION_PHASES else []
    return [*words, f"{progress.images:,}/{progress.total:,} images"] if progress.total else words


def _search_words(progress: SearchProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - one of two ways to say it
    words = [_SEARCH_PHASES[progress.phase]] if is_running and progress.phase in _SEARCH_PHASES else []
    words += [f"{progress.samples}/{progress.total} samples", f"{progress.arms_left}/{progress.arms} arms left"]
    if progress.best_reward is not None:
        words.append(f"best {percent(progress.best_reward)}")
    if is_running and progress.seconds_left is not None:
        words.append(_left(progress.seconds_left))
    return words


def _training_words(progress: TrainingProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - as above
    words = [_TRAINING_PHASES[progress.phase]] if is_running and progress.phase in _TRAINING_PHASES else []
    if is_running and progress.full_precision_left:
        words.append(f"{progress.full_precision_left} full-precision network(s) first, to learn or to attack from")
    words += [f"{progress.finished}/{progress.candidates} candidates", f"{progress.epochs}/{progress.total} epochs"]
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if is_running and progress.under_attack:
        words.append(f"{progress.under_attack} under attack")
    if progress.best_validation_accuracy is not None:
        words.append(f"best so far {percent(progress.best_validation_accuracy)} validation")
    return words


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


class _BarProgress:
    """A bar, for terminals."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def show(self, job: JobView) -> None:
        done, total, words = describe(job)
        if self._task is None:
            self._task = self._progress.add_task(job.kind, total=None, words=words)
        label = f"{job.kind} {job.state}"
        self._progress.update(self._task, description=label, completed=done, total=total or None, words=words)


@contextmanager
def _shown(where: Console) -> Iterator[Callable[[JobView], None]]:
    if not where.is_terminal:
        yield _PlainProgress(where).show
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=where) as progress:
        yield _BarProgress(progress).show


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
