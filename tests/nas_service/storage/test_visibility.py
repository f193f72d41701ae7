"""Who sees which rows: every form of statement of a session that belongs to a project, on both kinds of database."""

from typing import Any

import pytest
from sqlalchemy import CursorResult, delete, exists, func, insert, select, text, union_all, update
from sqlalchemy.orm import aliased

from nas_service.access import NOBODYS, Whose
from nas_service.storage import jobs, visibility
from nas_service.storage.models import (
    Architecture,
    ArmRoundRow,
    ArmTable,
    Artifact,
    Base,
    Candidate,
    CandidateEpoch,
    DatasetRow,
    Event,
    IdempotencyKey,
    Job,
    JobTag,
    SampleRow,
    UsageRow,
)
from nas_service.storage.session import Database, utc_now
from tests.limits import escapes, watched

WHOSE = {"own": Whose("ada", "p1"), "others": Whose("bob", "p2"), "nobodys": NOBODYS}
MODELS = sorted(visibility.LIMITED, key=lambda model: model.__name__)
by_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
TABLES = Base.metadata.tables
_VALUES = {"JSON": {}, "UtcDateTime": utc_now(), "Double": 0.5, "Boolean": False, "Date": utc_now().date()}


def _row(model: type[Base], job_id: str, place: int, **given: str | None) -> dict[str, Any]:
    """Return the least that a row of a model needs."""
    texts = {"String": f"x{place}", "Text": f"x{place}", "Integer": place, "BigInteger": place}
    needed = [column for column in model.__table__.columns if not column.nullable]
    values = {column.key: (_VALUES | texts)[type(column.type).__name__] for column in needed}
    return values | ({"job_id": job_id} if "job_id" in values else {}) | given


def _fill(database: Database, whose: Whose, place: int) -> str:
    """Write rows of everything that is limited, and return the id of the job that they hang on."""
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", {}, whose=whose)
        architecture, candidate, gone = f"a{place}", f"c{place}", f"gone{place}"
        for model in (JobTag, SampleRow, ArmTable, ArmRoundRow, IdempotencyKey):
            session.execute(insert(model), _row(model, job.id, place))
        session.execute(insert(Architecture), _row(Architecture, job.id, place, id=architecture))
        session.execute(insert(Candidate), _row(Candidate, job.id, place, id=candidate, architecture_id=architecture))
        session.execute(insert(CandidateEpoch), _row(CandidateEpoch, job.id, place, candidate_id=candidate))
        for owner in (architecture, candidate, job.id, gone):
            row = _row(Artifact, job.id, place, id=f"f-{owner}"[:36], owner_id=owner, kind="sheet")
            session.execute(insert(Artifact), row)
        session.execute(insert(UsageRow), _row(UsageRow, job.id, place, project=whose.project))
        dataset = _row(DatasetRow, job.id, place, project=whose.project, registration_id=gone)
        session.execute(insert(DatasetRow), dataset)
    return job.id


@pytest.fixture
def ids(database: Database) -> dict[str, str]:
    """Fill the database with rows of two projects and of nobody, and return the ids of their jobs."""
    return {name: _fill(database, whose, place) for place, (name, whose) in enumerate(WHOSE.items(), start=1)}


def test_every_table_has_a_rule_that_says_who_sees_it() -> None:
    assert visibility.without_rule() == []


@by_model
def test_rows_of_another_project_are_not_there(database: Database, ids: dict[str, str], model: type[Any]) -> None:
    assert len(ids) == 3
    key = [getattr(model, column.key) for column in model.__mapper__.primary_key]
    with database.read() as session:
        everything = session.execute(select(*key)).all()
    assert everything
    with watched(database.engine) as statements, database.seen_by("p1").read() as session:
        seen = session.execute(select(*key)).all()
        assert len(seen) * 3 == len(everything) * 2, "a third is another project's"
        assert session.scalar(select(func.count()).select_from(model)) == len(seen)
        assert session.scalar(select(func.count(key[0]))) == len(seen)
        assert len(session.scalars(select(aliased(model))).all()) == len(seen)
        assert session.scalar(select(func.count()).select_from(select(model).subquery())) == len(seen)
        assert {row for row in everything if session.get(model, tuple(row)) is not None} == set(seen)
    assert len(statements) > 5
    with database.seen_by("p3").read() as session:
        assert len(session.scalars(select(model)).all()) * 3 == len(everything), "nobody's are everybody's"
    with database.seen_by(None).read() as session:
        assert len(session.scalars(select(model)).all()) == len(everything)


@by_model
def test_what_another_project_has_is_neither_changed_nor_deleted(
    database: Database, ids: dict[str, str], model: type[Any]
) -> None:
    assert len(ids) == 3
    same = {column.key: column for column in model.__mapper__.primary_key}
    with database.read() as session:
        before = session.scalar(select(func.count()).select_from(model)) or 0
    with watched(database.engine), database.seen_by("p1").write() as session:
        for statement in (update(model).values(same), delete(model)):
            found = session.execute(statement.execution_options(synchronize_session=False))
            assert isinstance(found, CursorResult)
            assert found.rowcount * 3 == before * 2
    with database.read() as session:
        assert (session.scalar(select(func.count()).select_from(model)) or 0) * 3 == before


_ALIAS = aliased(Job)
_NEWEST = select(func.max(Event.id)).where(Event.job_id == Job.id).correlate(Job).scalar_subquery()
_NUMBERED = select(Job.id, func.row_number().over(order_by=Job.id).label("place")).subquery()
STATEMENTS: dict[str, Any] = {
    "join": select(Candidate.job_id, Job.kind).join(Job, Job.id == Candidate.job_id),
    "join by the foreign key": select(Candidate.job_id, Candidate.id).join(Architecture),
    "scalar subquery": select(Job.id, _NEWEST),
    "in a subquery": select(Job.id).where(Job.id.in_(select(Candidate.job_id))),
    "window": select(_NUMBERED.c.id),
    "alias": select(_ALIAS.id).join(Candidate, Candidate.job_id == _ALIAS.id),
    "exists": select(Candidate.job_id, Candidate.id).where(exists().where(Job.id == Candidate.job_id)),
    "union": union_all(select(Job.id), select(Candidate.job_id)),
    "grouped": select(Event.job_id, func.max(Event.id)).group_by(Event.job_id),
    "locked": select(Job.id).with_for_update(key_share=True),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_form_of_a_statement_reaches_past_the_rule(database: Database, ids: dict[str, str], name: str) -> None:
    with watched(database.engine) as statements, database.seen_by("p1").read() as session:
        told = str(session.execute(STATEMENTS[name]).all())
    assert len(statements) == 1
    assert ids["own"] in told
    assert ids["nobodys"] in told
    assert ids["others"] not in told


@pytest.mark.parametrize(
    "statement",
    [
        text("SELECT id FROM jobs"),
        select(Job.__table__.c.id),
        select(Candidate.id).where(Candidate.job_id.in_(select(Job.__table__.c.id))),
        update(TABLES["jobs"]).values(name="x"),
        delete(TABLES["events"]),
        select(Candidate.id).where(text("1 = 1")),
    ],
    ids=str,
)
def test_what_no_rule_would_reach_is_refused(database: Database, ids: dict[str, str], statement: Any) -> None:  # noqa: ANN401 - of any kind
    with database.seen_by("p1").read() as session, pytest.raises(LookupError, match="cannot limit"):
        session.execute(statement)
    with database.seen_by(None).write() as session:
        session.execute(statement)
        assert len(ids) == 3


def test_what_counts_everybodys_says_so(database: Database, ids: dict[str, str]) -> None:
    with database.seen_by("p1").read() as session:
        assert session.scalar(select(func.count()).select_from(Job), execution_options=visibility.EVERYBODYS) == len(ids)


def test_sql_that_escapes_is_seen_by_the_test_that_looks_for_it() -> None:
    limited = "SELECT jobs.id FROM jobs WHERE jobs.project = ? OR jobs.project IS NULL"
    assert escapes(limited) == []
    assert escapes(f"{limited} UNION ALL SELECT jobs.id FROM jobs")  # noqa: S608 - nobody runs it == ["jobs"]
    assert escapes("SELECT e.id FROM events AS e JOIN jobs ON jobs.id = e.job_id AND jobs.project = ?") == ["e"]
    assert escapes("SELECT arms.job_id FROM arms, jobs WHERE seen_jobs.id = arms.job_id") == ["jobs"]
    assert escapes("DELETE FROM samples WHERE samples.job_id = ?") == ["samples"]
    assert escapes("UPDATE candidates SET state=?") == ["candidates"]
