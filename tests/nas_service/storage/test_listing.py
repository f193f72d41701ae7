"""Lists of jobs of every kind, on both kinds of database."""

import pytest
from sqlalchemy.exc import InvalidRequestError

from nas_service.errors import NotFoundError
from nas_service.lifecycle import JobState
from nas_service.specs import SearchSpec
from nas_service.storage import attempts, jobs, listing, queue
from nas_service.storage.deletion import delete_job
from nas_service.storage.listing import JobFilter
from nas_service.storage.models import Job, JobTag
from nas_service.storage.session import Database
from tests.holds import LEASE, claimed

SEARCH_SPEC = {
    "space": {"name": "tiny"},
    "dataset": {"name": "digits"},
    "strategy": {"name": "random"},
    "training": {"methods": [{"name": "bnn"}, {"name": "rebnn"}, {"name": "bnn", "settings": {"a": 1}}]},
}


def _made(database: Database, *names: str, kind: str = jobs.SEARCH, spec: dict[str, object] | None = None) -> list[str]:
    with database.write() as session:
        return [jobs.create_job(session, kind, name, spec or {}).id for name in names]


def _found(database: Database, only: JobFilter, limit: int = 100, before: str | None = None) -> list[str]:
    with database.read() as session:
        return [row.id for row in listing.list_rows(session, only, limit=limit, before=before)]


def test_the_names_in_a_spec_are_kept_for_lists(database: Database) -> None:
    _made(database, "", spec=SEARCH_SPEC)
    _made(database, "", kind=jobs.TRAINING, spec={"space": {"name": "bats"}, "methods": [{"name": "bnn"}]})
    _made(database, "", kind=jobs.REGISTRATION, spec={"name": "mine", "kind": "image-folder"})
    with database.read() as session:
        rows = listing.list_rows(session, JobFilter(), limit=10)
    assert [(row.space, row.dataset, row.strategy, row.methods) for row in rows] == [
        (None, "mine", None, []),
        ("bats", None, None, ["bnn"]),
        ("tiny", "digits", "random", ["bnn", "rebnn"]),
    ]


def test_lists_do_not_read_specs(database: Database) -> None:
    _made(database, "")
    with database.read() as session:
        (row,) = listing.list_rows(session, JobFilter(), limit=1)
        with pytest.raises(InvalidRequestError, match="spec"):
            _ = row.spec


def test_every_filter_lets_pass_what_it_names_alone_and_together(database: Database) -> None:
    (search,) = _made(database, "one", spec=SEARCH_SPEC)
    (other,) = _made(database, "two", spec=SEARCH_SPEC | {"space": {"name": "bats"}, "strategy": {"name": "abandit"}})
    (training,) = _made(database, "three", kind=jobs.TRAINING, spec={"space": {"name": "tiny"}, "dataset": {"name": "mine"}})
    with database.write() as session:
        jobs.move(session, other, JobState.PAUSED)
        listing.annotate(session, search, jobs.SEARCH, tags=["night"])
        child = jobs.create_job(session, jobs.TRAINING, "four", {}, parent_id=search).id
    cases = {
        (search, other): JobFilter(kinds=["search"]),
        (other,): JobFilter(states=["paused"]),
        (search, training): JobFilter(space="tiny"),
        (training,): JobFilter(dataset="mine"),
        (search,): JobFilter(strategy="random"),
        (child,): JobFilter(parent=search),
        (search, other, training, child): JobFilter(kinds=["search", "training"], states=["paused", "queued"]),
        (): JobFilter(kinds=["search"], states=["queued"], space="bats"),
    }
    for expected, only in cases.items():
        assert _found(database, only) == sorted(expected, reverse=True), only
    assert _found(database, JobFilter(tag="night")) == [search]
    assert _found(database, JobFilter(tag="night", kinds=["training"])) == []
    assert _found(database, JobFilter(tag="nigh")) == []


def test_text_is_looked_for_in_names_whatever_its_case_and_stands_for_itself(database: Database) -> None:
    big, percent, greek, _ = _made(database, "The BIG Straße", "100% wide_1", "ΩMEGA", "100 wide 1")
    for text, expected in {"big s": big, "STRASSE": big, "0%": percent, "wide_": percent, "ωmeg": greek}.items():
        assert _found(database, JobFilter(text=text)) == [expected], text
    assert _found(database, JobFilter(text=greek)) == [greek]
    assert _found(database, JobFilter(text=greek[1:])) == []


def test_a_renamed_job_is_found_by_its_new_name(database: Database) -> None:
    (job,) = _made(database, "old")
    with database.write() as session:
        listing.annotate(session, job, jobs.SEARCH, name="NEW")
    assert (_found(database, JobFilter(text="new")), _found(database, JobFilter(text="old"))) == ([job], [])


def test_pages_follow_one_another_under_a_filter(database: Database) -> None:
    made = _made(database, *("even" if place % 2 == 0 else "odd" for place in range(10)))
    first = _found(database, JobFilter(text="even"), limit=3)
    rest = _found(database, JobFilter(text="even"), limit=3, before=first[-1])
    assert first + rest == made[8::-2]


def test_counts_are_those_of_the_list(database: Database) -> None:
    made = _made(database, "a", "a", "b", spec=SEARCH_SPEC)
    with database.write() as session:
        jobs.move(session, made[0], JobState.PAUSED)
    with database.read() as session:
        assert listing.count_rows(session, JobFilter()) == {"paused": 1, "queued": 2}
        assert listing.count_rows(session, JobFilter(text="a", space="tiny")) == {"paused": 1, "queued": 1}
        assert listing.count_rows(session, JobFilter(space="bats")) == {}


def test_notes_and_tags_are_replaced_and_what_is_not_given_stays(database: Database) -> None:
    (job,) = _made(database, "a", spec=SEARCH_SPEC)
    with database.write() as session:
        listing.annotate(session, job, jobs.SEARCH, note="because", tags=["z", "b"])
        row = listing.annotate(session, job, jobs.SEARCH, tags=["b", "c"])
        assert (row.name, row.note, row.spec) == ("a", "because", SEARCH_SPEC)
        assert listing.tags_of(session, [job]) == {job: ["b", "c"]}
        listing.annotate(session, job, jobs.SEARCH, tags=[])
        assert listing.tags_of(session, [job]) == {}
        with pytest.raises(NotFoundError):
            listing.annotate(session, job, jobs.TRAINING, note="")


def test_a_deleted_job_takes_its_tags_along(database: Database) -> None:
    (job,) = _made(database, "a")
    with database.write() as session:
        listing.annotate(session, job, jobs.SEARCH, tags=["x"])
        jobs.request_cancel(session, job, jobs.SEARCH)
        jobs.move(session, job, JobState.CANCELLED)
        delete_job(session, job, jobs.SEARCH, with_trainings=False)
        assert session.query(JobTag).count() == 0


def test_places_in_the_queue_are_the_order_in_which_controllers_claim(database: Database) -> None:
    """Also of a job that rested, which has its old place again; registrations do not wait for the others."""
    kinds = [jobs.SEARCH, jobs.REGISTRATION, jobs.TRAINING, jobs.SEARCH, jobs.REGISTRATION, jobs.TRAINING, jobs.SEARCH]
    with database.write() as session:
        made = [jobs.create_job(session, kind, "", {}) for kind in kinds]
        jobs.request_pause(session, made[2].id, jobs.TRAINING)
        jobs.request_pause(session, made[3].id, jobs.SEARCH)
        jobs.request_resume(session, made[2].id, jobs.TRAINING)
        rows = [jobs.get_job(session, job.id) for job in made]
        told = queue.places(session, rows)
        some = queue.places(session, rows[5:])
    claims: dict[str, list[str]] = {"night": [], "minutes": []}
    with database.write() as session:
        for _ in range(len(made) - 1):
            job = attempts.claim(session, LEASE, most=100, most_registrations=100)
            assert job is not None
            claims["minutes" if job.kind == jobs.REGISTRATION else "night"].append(job.id)
        assert attempts.claim(session, LEASE, most=100, most_registrations=100) is None
    expected = {key: place for lane in claims.values() for place, key in enumerate(lane, 1)}
    assert told == expected
    assert made[3].id not in told
    assert some == {key: expected[key] for key in (made[5].id, made[6].id)}


def test_a_job_that_was_claimed_has_no_place_and_the_next_moves_up(database: Database) -> None:
    _made(database, "a", "b")
    with database.write() as session:
        first = claimed(session)
        rows = listing.list_rows(session, JobFilter(), limit=10)
        assert queue.places(session, rows) == {row.id: 1 for row in rows if row.id != first.id}


def test_the_names_are_those_of_a_checked_spec(database: Database) -> None:
    spec = SearchSpec.model_validate({"space": "tiny"}).model_dump(mode="json")
    (job,) = _made(database, "", spec=spec)
    with database.read() as session:
        row: Job = jobs.get_job(session, job)
        assert (row.space, row.dataset, row.strategy, row.methods) == ("tiny", "digits", "abandit", [])
