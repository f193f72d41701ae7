"""InOrder: work that runs beside the caller, one piece at a time, in the order it was given."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self

Arguments = ParamSpec("Arguments")


class InOrder:
    """Keeps at most one piece of work under way; what a piece raised is raised by the next `submit`, or at the end."""

    def __init__(self) -> None:
        """Make the one thread."""
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._under_way: Future[None] | None = None

    def submit(self, work: Callable[Arguments, None], *arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        """Wait for the piece before, then start `work`."""
        self.wait()
        self._under_way = self._executor.submit(work, *arguments, **named)

    def wait(self) -> None:
        """Wait for what is under way and raise what it raised."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def __enter__(self) -> Self:
        """Use it in a `with` block, whose end waits."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for what is under way; its error is raised unless the block raised one itself."""
        try:
            if error is None:
                self.wait()
        finally:
            self._executor.shutdown(wait=True)
