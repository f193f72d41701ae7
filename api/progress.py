"""Showing how far jobs are: bars in a terminal, cards in a notebook that are drawn anew, nothing elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from api.job_words import describe
from api.views import JobView
from nas_service.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

POLL_S = 0.5  # between two looks at a job that is waited for

Show = Callable[[JobView], None]


class Bars:
    """A bar a job, for terminals."""

    def __init__(self, progress: "Progress") -> None:
        """Take where they are drawn."""
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, job: JobView) -> None:
        """Draw how a job stands."""
        done, total, words = describe(job)
        if job.id not in self._tasks:
            self._tasks[job.id] = self._progress.add_task(job.kind, total=None, words=words)
        label = f"{job.kind} {job.state}"
        self._progress.update(self._tasks[job.id], description=label, completed=done, total=total or None, words=printable(words))


class Cards:
    """A card a job, for notebooks, which show and replace what draws itself."""

    def __init__(self, display: Callable[..., Any]) -> None:
        """Take IPython's own function."""
        self._display = display
        self._shown: dict[str, tuple[Any, str]] = {}

    def show(self, job: JobView) -> None:
        """Draw how a job stands, if that changed."""
        drawn = f"{job.state} {describe(job)}"
        if job.id not in self._shown:
            self._shown[job.id] = (self._display(job, display_id=True), drawn)
        handle, before = self._shown[job.id]
        if drawn != before:
            handle.update(job)
            self._shown[job.id] = (handle, drawn)


@contextmanager
def bars_on(where: "Console") -> Iterator[Bars]:
    """Draw bars on a terminal until the block ends."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - a client starts without

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=where) as progress:
        yield Bars(progress)


@contextmanager
def look_on(*, quiet: bool) -> Iterator[Show]:
    """Give what shows a job: where the program runs, and nothing if it should be quiet or nobody looks on."""
    display = None if quiet else _notebook_display()
    if display is not None:
        yield Cards(display).show
    elif quiet or not sys.stderr.isatty():
        yield lambda _: None
    else:
        from rich.console import Console  # noqa: PLC0415 - as above

        with bars_on(Console(stderr=True)) as bars:
            yield bars.show


def _notebook_display() -> Callable[..., Any] | None:
    """Return what shows things in a notebook; None: this is none."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython  # noqa: PLC0415 - only notebooks have it
    from IPython.display import display  # noqa: PLC0415 - as above

    shell: Any = get_ipython()
    shows: Callable[..., Any] = display
    return shows if hasattr(shell, "kernel") else None
