"""Keys and cookies in real databases: what is kept, whom they let in, and when no longer."""

from datetime import timedelta

import pytest
from sqlalchemy import text, update

from nas_service.access import Caller, Scope, digest_of, new_key_text, prefix_of
from nas_service.errors import NotFoundError
from nas_service.storage import access_keys
from nas_service.storage.models import AccessKey, BrowserSession
from nas_service.storage.session import Database, database_now


def _make(database: Database, scope: Scope = Scope.SUBMIT, lasts: timedelta | None = None) -> tuple[str, str]:
    with database.write() as session:
        row, key = access_keys.create_key(session, "ada", scope, lasts)
        return row.prefix, key


def _caller(database: Database, key: str) -> Caller | None:
    with database.read() as session:
        return access_keys.find_caller(session, key)


def _let_in(database: Database, caller: Caller) -> str:
    with database.write() as session:
        return access_keys.begin_session(session, caller)


def _browser(database: Database, cookie: str) -> Caller | None:
    with database.read() as session:
        return access_keys.find_session(session, cookie)


def test_a_key_says_who_calls_and_is_kept_nowhere(database: Database) -> None:
    prefix, key = _make(database)
    assert _caller(database, key) == Caller(prefix, "ada", "ada", Scope.SUBMIT)
    with database.read() as session:
        row = session.execute(text("SELECT * FROM access_keys")).mappings().one()
    secret = key.removeprefix(f"nas_{prefix}_")
    assert len(secret) == 43
    assert not [value for value in row.values() if secret in str(value)]
    assert _caller(database, str(row["digest"])) is None
    assert _caller(database, f"nas_{prefix}_{row['digest'][:43]}") is None


def test_any_other_text_lets_nobody_in(database: Database) -> None:
    prefix, key = _make(database)
    other_secret = new_key_text().rsplit("_", maxsplit=1)[-1]
    others = [
        "",
        "nas_",
        key[:-1],
        key + "a",
        key.upper(),
        f" {key}",
        key[4:],
        f"nas_{prefix}_",
        f"nas_{prefix}_{other_secret[:43]}",
    ]
    assert [given for given in others if _caller(database, given)] == []


def test_a_key_ends_with_its_time(database: Database) -> None:
    prefix, key = _make(database, lasts=timedelta(days=1))
    caller = _caller(database, key)
    assert caller is not None
    cookie = _let_in(database, caller)
    with database.write() as session:
        session.execute(update(AccessKey).values(expires_at=database_now(session)))
    assert _caller(database, key) is None
    assert _browser(database, cookie) is None
    with database.read() as session:
        assert not access_keys.has_valid_key(session)
        assert [row.prefix for row in access_keys.list_keys(session)] == [prefix]


def test_a_key_that_is_revoked_takes_its_browsers_with_it_and_stays_in_the_list(database: Database) -> None:
    prefix, key = _make(database)
    _, second = _make(database)
    callers = [_caller(database, text) for text in (key, second)]
    cookies = [_let_in(database, caller) for caller in callers if caller]
    with database.write() as session:
        first = access_keys.revoke(session, prefix).revoked_at
    with database.write() as session:
        assert access_keys.revoke(session, prefix).revoked_at == first
    assert [_caller(database, text) is None for text in (key, second)] == [True, False]
    assert [_browser(database, cookie) is None for cookie in cookies] == [True, False]
    with database.read() as session:
        assert access_keys.has_valid_key(session)
        assert len(access_keys.list_keys(session)) == 2


def test_a_key_that_is_not_there_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(NotFoundError, match="0123456789ab"), database.write() as session:
        access_keys.revoke(session, "0123456789ab")


def test_a_cookie_ends_after_twelve_hours_and_when_it_is_told_to(database: Database) -> None:
    _, key = _make(database)
    caller = _caller(database, key)
    assert caller is not None
    left, ended = _let_in(database, caller), _let_in(database, caller)
    assert _browser(database, left) == _browser(database, ended) == caller
    with database.write() as session:
        access_keys.end_session(session, ended)
        lasts = session.get_one(BrowserSession, digest_of(left)).expires_at - database_now(session)
    assert timedelta(hours=11.9) < lasts <= timedelta(hours=12)
    assert _browser(database, ended) is None
    with database.write() as session:
        session.execute(update(BrowserSession).values(expires_at=database_now(session)))
    assert _browser(database, left) is None
    _let_in(database, caller)
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM browser_sessions")).scalar_one() == 1


def test_a_use_is_written_down_to_the_minute(database: Database) -> None:
    prefix, _ = _make(database)
    with database.read() as session:
        assert not access_keys.is_use_noted(session, prefix)
    with database.write() as session:
        access_keys.note_use(session, prefix)
        first = session.get_one(AccessKey, prefix).used_at
    with database.write() as session:
        assert access_keys.is_use_noted(session, prefix)
        access_keys.note_use(session, prefix)
        assert session.get_one(AccessKey, prefix).used_at == first


@pytest.mark.parametrize("scope", Scope)
def test_a_scope_holds_those_before_it(scope: Scope) -> None:
    order = [Scope.READ, Scope.SUBMIT, Scope.ADMIN]
    assert [scope.covers(other) for other in order] == [order.index(other) <= order.index(scope) for other in order]


def test_keys_differ_and_name_themselves() -> None:
    made = {new_key_text() for _ in range(100)}
    assert len({prefix_of(key) for key in made}) == 100
    assert None not in {prefix_of(key) for key in made}
