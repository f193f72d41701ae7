"""Litter: keys that nobody needs, oldest first, on both kinds of database."""

from nas_service.storage import litter
from nas_service.storage.session import Database


def _drop(database: Database, *keys: str) -> None:
    with database.write() as session:
        litter.drop(session, keys)


def _listed(database: Database, limit: int = 9, age_s: float = 0.0) -> list[str]:
    with database.read() as session:
        return litter.list_litter(session, limit, age_s)


def test_the_oldest_goes_first(database: Database) -> None:
    _drop(database, "b")
    _drop(database, "a")
    assert _listed(database) == ["b", "a"]
    assert _listed(database, limit=1) == ["b"]


def test_what_is_dropped_twice_is_there_once_and_young_again(database: Database) -> None:
    _drop(database, "b")
    _drop(database, "a")
    _drop(database, "b")
    assert _listed(database) == ["a", "b"]


def test_what_is_younger_than_asked_for_is_not_listed(database: Database) -> None:
    _drop(database, "a")
    assert (_listed(database, age_s=60), _listed(database)) == ([], ["a"])


def test_what_is_put_off_comes_last_and_what_is_picked_up_never(database: Database) -> None:
    for key in ("a", "b", "c"):
        _drop(database, key)
    with database.write() as session:
        litter.put_off(session, ["a"])
        litter.picked_up(session, ["b"])
    assert _listed(database) == ["c", "a"]
