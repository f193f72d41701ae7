"""Columns of samples that are known are those in the database, whoever asks and however the search goes on."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from nas_service.storage.series import FIELDS, KnownColumns, sample_columns
from nas_service.storage.session import Database
from tests.live_searches import search_live


@pytest.mark.parametrize("most", [200_000, 0])
def test_columns_grow_with_the_search_and_only_new_samples_are_read(database: Database, most: int) -> None:
    known, seen = KnownColumns(most), list[int]()

    def look(job_id: str, count: int) -> None:
        with database.read() as session:
            columns = known.columns(session, job_id)
            assert columns == sample_columns(session, job_id)
            assert columns["index"] == tuple(range(count))
            assert tuple(columns) == FIELDS
        seen.append(count)

    search_live(database, {"name": "random", "settings": {"samples": 12}}, wave=5, told=look)
    assert seen == [5, 10, 12]


def test_what_was_asked_for_last_is_kept(database: Database) -> None:
    first, second, third = (
        search_live(database, {"name": "random", "settings": {"samples": 6}}, seed=seed, wave=6).job_id for seed in range(3)
    )
    known = KnownColumns(most=12)
    with database.read() as session:
        before = known.columns(session, first)
        known.columns(session, second)
        assert known.columns(session, first) is before  # nothing new: the same columns
        known.columns(session, third)  # drops the second, which nobody asked for since
        assert known.columns(session, first) is before
        assert known.columns(session, second) == sample_columns(session, second)


def test_threads_that_ask_at_once_see_all_samples(database: Database) -> None:
    known, job_ids = KnownColumns(), list[str]()

    def ask(job_id: str) -> tuple[int, ...]:
        with database.read() as session:
            return known.columns(session, job_id)["index"]

    def told(job_id: str, count: int) -> None:
        job_ids.append(job_id)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, [job_id] * 8)) == {tuple(range(count))}

    search_live(database, {"name": "random", "settings": {"samples": 9}}, wave=3, told=told)
    assert len(job_ids) == 3


def test_a_search_without_samples_has_empty_columns(database: Database) -> None:
    with database.read() as session:
        assert KnownColumns().columns(session, "0" * 36) == dict.fromkeys(FIELDS, ())
