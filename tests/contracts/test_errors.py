"""Every exception class of the project by discovery: it crosses processes with its type, message and attributes."""

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

from api.refusals import ApiError, BrokenReplyError, NotSucceededError, StillAtWorkError, UnansweredError
from api.views import JobView, Problem
from nas_service.errors import InvalidInputError, NotFoundError
from search_spaces.errors import BrokenPackageError, DuplicateNameError, InvalidFieldError, UnknownNameError

PACKAGES = ("search_spaces", "nas_service", "workers", "api")
FIELD = InvalidFieldError("strategy.settings.lambda", {"a": 1}, "a number")
JOB = JobView.model_validate(
    dict.fromkeys(("waiting_for", "progress", "error", "parent_id", "started_at", "committed_at", "finished_at"))
    | {
        "id": "x",
        "kind": "search",
        "name": "",
        "state": "running",
        "attempt": 1,
        "created_at": "2026-11-28T00:00:00Z",
        "spec": {},
    }
)
URL, ASKED = "http://127.0.0.1:8000", "GET /readyz"
# What a constructor of its own takes; every other class takes a message.
MADE: dict[type[Exception], Exception] = {
    InvalidFieldError: FIELD,
    UnknownNameError: UnknownNameError("space", "tinny", ["tiny"], ["abandit", "tiny"]),
    DuplicateNameError: DuplicateNameError("space", "tiny", "here", "there"),
    BrokenPackageError: BrokenPackageError("method", "mine", "my-methods", "no module named mine"),
    InvalidInputError: InvalidInputError([FIELD, InvalidFieldError("seed", -1, "0 or more")]),
    NotFoundError: NotFoundError("search", "x"),
    ApiError: ApiError(Problem(type="about:blank", title="Conflict", status=409, detail="not now")),
    UnansweredError: UnansweredError(URL, ASKED, "nobody is there", is_reached=False),
    BrokenReplyError: BrokenReplyError(URL, ASKED, "<html>"),
    NotSucceededError: NotSucceededError(JOB),
    StillAtWorkError: StillAtWorkError(JOB),
}


def _subclasses(kind: type[Exception]) -> Iterator[type[Exception]]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)


def _errors() -> list[type[Exception]]:
    """Return the classes of all modules, each once."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found = {kind for kind in _subclasses(Exception) if kind.__module__.partition(".")[0] in PACKAGES}
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def _facts(error: BaseException) -> object:
    """Return attributes as they can be compared: exceptions are equal to themselves alone."""
    parts = {name: [_facts(part) for part in value] if name == "problems" else value for name, value in vars(error).items()}
    return type(error), str(error), error.args, parts


@pytest.mark.parametrize("kind", _errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_an_error_is_the_same_in_another_process(kind: type[Exception], protocol: int) -> None:
    error = MADE.get(kind) or kind("what happened")
    assert type(error) is kind
    error.add_note("seen in a worker")
    assert _facts(pickle.loads(pickle.dumps(error, protocol))) == _facts(error)  # noqa: S301 - our own, written a moment ago


def test_what_is_derived_from_the_parts_is_there_too() -> None:
    """A property, and a method that makes the same complaint under another path."""
    unknown, field = (pickle.loads(pickle.dumps(MADE[kind])) for kind in (UnknownNameError, InvalidFieldError))  # noqa: S301 - as above
    assert unknown.allowed == "did you mean tiny? one of: abandit, tiny"
    assert str(field.under("search")).startswith("search.strategy.settings.lambda: ")
