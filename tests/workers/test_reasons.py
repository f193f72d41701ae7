"""What errors say to people far away."""

from pathlib import Path

import pytest
from ray.exceptions import RayActorError, RayTaskError

from nas_service.errors import StoreAwayError, UnavailableError
from workers.reasons import described


def _missing(folder: Path) -> OSError:
    with pytest.raises(FileNotFoundError) as caught:
        (folder / "nothing here").read_bytes()
    return caught.value


def _task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("train()", "Traceback:\n  File 'a.py', line 1", cause)  # type: ignore[no-untyped-call]  # Ray does not annotate it


def test_an_error_of_our_own_is_its_sentence() -> None:
    assert described(UnavailableError("the cluster is away")) == "the cluster is away"
    assert described(StoreAwayError("the artifact store cannot be used now")) == "the artifact store cannot be used now"


def test_any_other_is_its_kind_and_its_first_line() -> None:
    assert described(RuntimeError("(sqlite3.OperationalError) no such table\n[SQL: SELECT 1]")) == (
        "RuntimeError: (sqlite3.OperationalError) no such table"
    )
    assert described(KeyError()) == "KeyError"
    assert described(RayActorError()).startswith("RayActorError: The actor experienced an error")


def test_what_a_task_raised_is_told_without_the_traceback() -> None:
    error = _task_error(ValueError("no such thing"))
    assert described(error) == "ValueError: no such thing"
    assert described(error.as_instanceof_cause()) == "ValueError: no such thing"  # type: ignore[no-untyped-call]  # as above


def test_no_absolute_path_is_told(tmp_path: Path) -> None:
    """Whoever put it into the error, and however often it was wrapped."""
    assert described(_missing(tmp_path)) == "FileNotFoundError: No such file or directory"
    wrapped = RuntimeError(f"cannot map {tmp_path}/a.bin: {_missing(tmp_path)}")
    assert described(wrapped) == "RuntimeError: cannot map a.bin: [Errno 2] No such file or directory: 'nothing here'"
    assert described(_task_error(wrapped)) == described(wrapped)
