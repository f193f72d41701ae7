"""What the CLI prints: JSON for programs, tables and progress bars for people."""

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.box import HEAVY_HEAD
from rich.cells import cell_len
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
_READABLE = 20  # columns that a longer text takes, broken into lines
RULES = 3  # columns between two of a table

console = Console(width=None if sys.stdout.isatty() else WIDTH)
errors = Console(stderr=True)

_SHORT_ID = 13  # letters: the moment in which it was made, to the millisecond
_SHORT_START, _SHORT_END = 8, 4  # letters, of ids that were made in one moment
BETWEEN = ".."  # beginning and end of an id

PLAIN_EVERY_S = 10.0  # between two lines where there is no terminal


def program() -> str:
    """Return how this program is called from where its user is: `nas`, or its path where it is not on the search path."""
    called = Path(sys.argv[0])
    if called.name != "nas" or shutil.which("nas") is not None:
        return "nas"
    return shlex.quote(os.path.relpath(called))


def serving(home: Path) -> str:
    """Return the command that serves a home again, as a shell takes it."""
    return f"NAS_HOME={shlex.quote(str(home))} {program()} serve"


def say(text: str, where: Console = console) -> None:
    """Print text, a line or several; nothing in it is read as markup, nor obeyed by the terminal."""
    where.print("\n".join(map(printable, text.split("\n"))), markup=False, highlight=False, soft_wrap=True)


def say_in_lines(text: str) -> None:
    """As `say`, for sentences that nobody copies: broken between words where the terminal ends."""
    console.print("\n".join(map(printable, text.split("\n"))), markup=False, highlight=False, soft_wrap=not console.is_terminal)


def tell(text: str) -> None:
    """As `say`, on standard error: what is no result."""
    say(text, errors)


def print_json(value: BaseModel | Iterable[BaseModel | dict[str, Any]] | dict[str, Any]) -> None:
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
    spare: Sequence[str] = (),
    *,
    folds: Collection[str] | None = None,
) -> None:
    """Print rows under headings; nothing in them is read as markup, nor obeyed by the terminal.

    Where there is no terminal they are plain columns, a line each however long it is, for other programs to cut.

    Args:
        title: Of the table.
        columns: Headings.
        rows: With a value a column.
        spare: Headings of columns that a narrow terminal does without, the first one first.
        folds: Columns that are broken where a terminal has no room for them; of others only headings are, between words. None:
            all but the first.
    """
    is_plain = not console.is_terminal
    cells = [[_cell(value) for value in row] for row in rows]
    kept = range(len(columns)) if is_plain else _with_room(columns, cells, spare)
    table = Table(header_style="bold", box=None if is_plain else HEAVY_HEAD, pad_edge=not is_plain)
    for place in kept:
        heading = columns[place]
        is_whole = place == 0 if folds is None else heading not in folds
        if is_whole and folds is not None and is_narrow():
            heading = heading.replace(" ", "\n")
        table.add_column(heading, overflow="fold", no_wrap=is_whole or is_plain)
    for row in cells:
        shown = [row[place] for place in kept]
        table.add_row(*([Text(", ".join(cell.plain.split("\n"))) for cell in shown] if is_plain else shown))
    say_in_lines(title)
    if not is_plain:
        console.print(table)
        return
    written = StringIO()
    Console(file=written, width=UNBOUNDED).print(table)
    console.file.write("".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines()))


def _with_room(columns: Sequence[str], cells: Sequence[Sequence[Text]], spare: Sequence[str]) -> list[int]:
    """Return the places of the columns that the terminal has room for, without those of the spare ones that it takes."""
    widths = [
        min(
            max(cell_len(line) for text in (heading, *(row[place].plain for row in cells)) for line in text.split("\n")),
            _READABLE,
        )
        for place, heading in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    for heading in spare:
        if sum(widths[place] + RULES for place in kept) + 1 > console.width and heading in columns:
            kept.remove(columns.index(heading))
    return kept


def cell_text(value: object) -> str:
    """Return what a table shows of a value."""
    return _cell(value).plain


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
        return Text(figure(value))
    return Text("\n".join(printable(line) for line in str(value).split("\n")))


def print_remarks(skipped: Mapping[str, int], warnings: Sequence[str], where: Console = console) -> None:
    """Say what was left out of a dataset, and what people should know before they train."""
    for reason, count in sorted(skipped.items()):
        say(f"left out: {count:,} {printable(reason)}", where)
    for warning in warnings:
        say(f"warning: {printable(warning)}", where)


def print_data_remarks(client: NasClient, job: JobView, where: Console = console) -> None:
    """Say as `print_remarks` what a job learnt of its data; nothing if it has not read them, or an earlier version did."""
    read = next((event.data for event in client.events_of(job, "data.read") if isinstance(event.data, DataRead)), None)
    if read is not None:
        print_remarks(read.skipped, read.warnings, where)


def short_ids(identifiers: Sequence[str]) -> list[str]:
    """Return as much of ids as tells them apart, where a terminal is narrow; commands take them so.

    That is the beginning of each, or where they were made in one moment its beginning and its end: 01a21aff..532e.
    """
    several = set(identifiers)
    if not is_narrow() or not several:
        return list(identifiers)
    if len({word[:_SHORT_ID] for word in several}) == len(several):
        return [word[:_SHORT_ID] for word in identifiers]
    ends = range(_SHORT_END, max(map(len, several)))
    enough = next((count for count in ends if len({word[-count:] for word in several}) == len(several)), ends.stop)
    return [f"{word[:_SHORT_START]}{BETWEEN}{word[-enough:]}" for word in identifiers]


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


def figure(value: float) -> str:
    """Return a count or a size with separators between its thousands; what is not whole with four digits after the point."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"


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
            say(line, self._console)
            self._last, self._state, self._line = now, state, line


@contextmanager
def _shown(where: Console) -> Iterator[Callable[[JobView], None]]:
    if not where.is_terminal:
        yield _PlainProgress(where).show
        return
    with bars_on(where) as bars:
        yield bars.show


def watch(fetch: Callable[[], JobView], where: Console, has_read: Callable[[JobView], None] | None = None) -> JobView:
    """Show a job's progress until it is over, and return it; a service that is away for a moment is waited for.

    Args:
        fetch: Asks for the job as it stands.
        where: To show it.
        has_read: Called once, when the job has read its data or is over.
    """
    with _shown(where) as show:
        while True:
            job = patiently(fetch, partial(say, where=where))
            show(job)
            if has_read is not None and _is_past_reading(job):
                patiently(partial(has_read, job), partial(say, where=where))
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
    started = patiently(lambda: list(client.trainings(parent=search_id)), partial(say, where=where))
    return [*jobs, *(watch(partial(client.training, training.id), where) for training in started)]
