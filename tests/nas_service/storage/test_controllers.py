"""Controllers: who is known to look after the queue, on both kinds of database."""

from datetime import timedelta

from sqlalchemy import func, select, update

from nas_service.storage import controllers
from nas_service.storage.models import ControllerRow
from nas_service.storage.session import Database, database_now


def _report(database: Database, controller_id: str, trouble: str | None = None) -> None:
    with database.write() as session:
        controllers.report(session, controller_id, trouble)


def _living(database: Database) -> list[tuple[str, str | None]]:
    with database.read() as session:
        return [(row.id, row.trouble) for row in controllers.living(session)]


def _age(database: Database, controller_id: str, age: timedelta) -> None:
    with database.write() as session:
        stepped_at = database_now(session) - age
        session.execute(update(ControllerRow).where(ControllerRow.id == controller_id).values(stepped_at=stepped_at))


def test_the_last_to_step_is_told_first_with_its_trouble(database: Database) -> None:
    _report(database, "a")
    _report(database, "b")
    _report(database, "a", "no place")
    assert _living(database) == [("a", "no place"), ("b", None)]


def test_one_that_was_silent_for_more_than_a_minute_does_not_live(database: Database) -> None:
    _report(database, "a")
    _age(database, "a", timedelta(seconds=61))
    assert _living(database) == []


def test_one_that_signs_off_is_forgotten(database: Database) -> None:
    _report(database, "a")
    with database.write() as session:
        controllers.sign_off(session, "a")
    assert _living(database) == []


def test_a_new_one_forgets_those_that_nobody_has_seen_for_a_day(database: Database) -> None:
    _report(database, "a")
    _age(database, "a", timedelta(hours=25))
    _report(database, "b")
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(ControllerRow)) == 1
