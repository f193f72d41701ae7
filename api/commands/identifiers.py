"""Which job or result is meant: an id, the beginning of one, a name, or `latest`; and what shells complete."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import typer

from api.client import NasClient
from api.console import BETWEEN
from api.job_views import JobRow
from nas_service.errors import NasError, NotFoundError
from nas_service.settings import Settings
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError

LATEST = "latest"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SHOWN = re.compile(rf"([0-9a-fA-F-]+){re.escape(BETWEEN)}[0-9a-fA-F-]+")  # 01a21aff..532e
_LOOKED_AT = 200  # jobs, newest first, that have the word in their name
_TOLD = 5
_OFFERED = 20  # jobs that a shell completes
_ON_A_SHELF = 200  # names that it completes
_COMPLETION_S = 2.0

Complete = Callable[[str], list[tuple[str, str]]]


def job_argument(kind: str) -> Any:  # noqa: ANN401 - typer's own type
    """Return the argument of commands on one job; shells complete it with recent ids."""
    told = f"Id of a {kind}, the beginning of it, its name, or {LATEST}."
    return typer.Argument(help=told, autocompletion=recent_jobs(kind))


def result_argument(kind: str) -> Any:  # noqa: ANN401 - as above
    """Return the argument of commands on one candidate or architecture, completed likewise."""
    told = f"Id of a {kind.removesuffix('s')}, the beginning of one of the newest, or {LATEST}."
    return typer.Argument(metavar="ID", help=told, autocompletion=recent_results(kind))


def recent_jobs(kind: str) -> Complete:
    """Return what completes a word with recent jobs and tells their names."""
    return _completed(lambda client: ((row.id, f"{row.name} {row.state}") for row in client.jobs(kind=kind)), _OFFERED)


def recent_results(kind: str) -> Complete:
    """Return what completes a word with the newest candidates or architectures and tells what they are."""

    def listed(client: NasClient) -> Iterator[tuple[str, str]]:
        if kind == "candidates":
            return ((row.id, f"{row.method_label} {row.state}") for row in client.candidates())
        return ((row.id, f"rank {row.rank} of {row.search_id}") for row in client.architectures())

    return _completed(listed, _OFFERED)


def named_in(shelf: str) -> Complete:
    """Return what completes a word with the names on a shelf of the catalogue and tells what they are."""
    return _completed(lambda client: ((entry.name, entry.summary) for entry in client.catalogue(shelf)), _ON_A_SHELF)


def _completed(listed: Callable[[NasClient], Iterable[tuple[str, str]]], most: int) -> Complete:
    """Return what completes a word with the first of what a service lists; with nothing where none answers."""

    def complete(incomplete: str) -> list[tuple[str, str]]:
        try:
            with NasClient(Settings().url, _COMPLETION_S) as client:
                found = list(islice(listed(client), most))
        except (NasError, ValueError):
            return []  # a shell that completes has no place for an error
        return [(word, printable(told.strip())) for word, told in found if word.startswith(incomplete)]

    return complete


def find_job(client: NasClient, kind: str, word: str) -> str:
    """Return the id of the job that is meant; one that is written out is not looked up.

    Args:
        client: To ask.
        kind: `search`, `training` or `registration`.
        word: An id, the beginning of one, a name, or `latest`.

    Raises:
        NotFoundError: If no job is meant.
        InvalidFieldError: If more than one is.
    """
    if _ID.fullmatch(word):
        return word
    if not word:
        raise InvalidFieldError(kind, word, f"an id, the beginning of one, a name, or {LATEST}")
    if word == LATEST:
        found = list(islice(client.jobs(kind=kind), 1))
    else:
        rows = list(islice(client.jobs(kind=kind, text=_beginning(word)), _LOOKED_AT))
        found = [row for row in rows if _fits(row.id, word)] or [row for row in rows if row.name == word]
    if not found:
        raise NotFoundError(kind, word)
    if len(found) > 1:
        raise InvalidFieldError(kind, word, _meant(found))
    return found[0].id


def find_result(client: NasClient, kind: str, word: str) -> str:
    """Return the id of the candidate or architecture that is meant: an id, the beginning of one of the newest, or `latest`.

    Raises:
        NotFoundError: If none is meant.
        InvalidFieldError: If more than one is, or nothing is said.
    """
    if _ID.fullmatch(word):
        return word
    one = kind.removesuffix("s")
    if not word:
        raise InvalidFieldError(one, word, f"an id, the beginning of one, or {LATEST}")
    ids = (row.id for row in client.candidates()) if kind == "candidates" else (row.id for row in client.architectures())
    newest = list(islice(ids, 1 if word == LATEST else _LOOKED_AT))
    found = newest if word == LATEST else [entry for entry in newest if _fits(entry, word)]
    if not found:
        raise NotFoundError(one, word)
    if len(found) > 1:
        raise InvalidFieldError(one, word, f"more of it: it means {len(found)} of them: {', '.join(found[:_TOLD])}")
    return found[0]


def _beginning(word: str) -> str:
    """Return what a service is asked for: of an id as narrow tables show it, its beginning."""
    return _SHOWN.sub(r"\1", word)


def _fits(identifier: str, word: str) -> bool:
    """Whether an id begins with a word, or begins and ends as one that a narrow table shows."""
    start, _, end = word.lower().partition(BETWEEN)
    return identifier.startswith(start) and identifier.endswith(end)


def _meant(found: list[JobRow]) -> str:
    """Return what tells several jobs apart: more of an id, or an id where they have one name."""
    listed = ", ".join(f"{row.id} ({row.name})" if row.name else row.id for row in found[:_TOLD])
    return f"more of an id: it means {len(found)} of them: {listed}" + (", ..." if len(found) > _TOLD else "")
