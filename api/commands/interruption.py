"""What becomes of a job when the command that started or watches it is interrupted, or fails."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import typer

from api.client import NasClient
from api.console import program, serving, tell
from api.refusals import ApiError
from nas_service.errors import NasError
from nas_service.lifecycle import FINISHED

WIND_UP_S = 20.0  # for a search to keep its best and end
_INTERRUPTED = 130  # what shells say of Ctrl-C


@contextmanager
def cancelled_if_interrupted(client: NasClient, search_id: str, home: Path) -> Iterator[None]:
    """Cancel the search and its trainings if the block is interrupted (Ctrl-C, SIGTERM), and say what became of them.

    Raises:
        typer.Exit: With status 130, after Ctrl-C.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as interruption:
        again, is_asked, what = serving(home), False, f"search {search_id}"
        try:
            what = _cancel(client, search_id)
            is_asked = True
            _wait_for_end(client, search_id)
            said = f"interrupted: {what} is cancelled; what was found is kept, and {again} shows it"
        except (NasError, KeyboardInterrupt, TimeoutError) as error:
            why = f" ({error})" if str(error) else ""
            drop = f"{program()} search cancel {search_id}"
            said = f"interrupted: search {search_id} is kept{why}; {again} goes on with it, and `{drop}` then drops it"
            if is_asked:
                said = f"interrupted: {what} is being cancelled{why}; what was found is kept, and {again} shows it"
        tell(said)
        if isinstance(interruption, SystemExit):
            raise
        raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def told_that_it_goes_on(kind: str, job_id: str) -> Iterator[None]:
    """Say that a job goes on if the block, which only watches it, is interrupted.

    Raises:
        typer.Exit: With status 130, after Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        watching, ending = (f"`{program()} {kind} {word} {job_id}`" for word in ("watch", "cancel"))
        what = f"search {job_id}, or the training that it started," if kind == "search" else f"{kind} {job_id}"
        said = f"interrupted: {what} goes on; {watching} watches it, {ending} ends the {kind}"
        tell(said)
        raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def kept_if_it_fails(search_id: str, home: Path) -> Iterator[None]:
    """Say what becomes of the search if the block fails; hours of work are not thrown away for an error."""
    try:
        yield
    except typer.Exit:
        raise  # what there was to say was said
    except Exception:
        serve = serving(home)
        then = f"`{program()} search watch {search_id}` then watches it, `{program()} search cancel {search_id}` drops it"
        said = f"search {search_id} is kept: `{serve}` goes on with it, or shows what it found; {then}"
        tell(said)
        raise


def _cancel(client: NasClient, search_id: str) -> str:
    """Ask for the end of whatever is not over, and say what that is: the search, or the trainings of one that is over."""
    is_over = client.search(search_id).state in FINISHED
    with suppress(ApiError):  # it may be over already
        client.cancel_search(search_id)
    ended = list[str]()
    for training in client.trainings(parent=search_id):
        if training.state not in FINISHED:
            with suppress(ApiError):
                client.cancel_training(training.id)
                ended.append(training.id)
    return f"training {', '.join(ended)} of search {search_id}" if is_over and ended else f"search {search_id}"


def _wait_for_end(client: NasClient, search_id: str) -> None:
    """Wait until everything is over.

    Raises:
        TimeoutError: If it takes too long.
    """
    deadline = time.monotonic() + WIND_UP_S
    while any(job.state not in FINISHED for job in [client.search(search_id), *client.trainings(parent=search_id)]):
        if time.monotonic() > deadline:
            raise TimeoutError("it takes long to end")
        time.sleep(0.2)
