"""Arms after any number of samples: what is told later is what was stored then."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.live_searches import LiveSearch, search_live

EVERY_STRATEGY = pytest.mark.parametrize("name", STRATEGIES.names())
SETTINGS: dict[str, dict[str, Any]] = {"abandit-plus": {"abandon_below": 0.05}}
COLUMNS = ("pulls", "mean", "lower", "upper", "abandoned_round")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the application's database."""
    opened = Database(settings.database)
    yield opened
    opened.close()


def _run(database: Database, name: str, **options: Any) -> LiveSearch:  # noqa: ANN401 - those of `search_live`
    return search_live(database, {"name": name, "settings": SETTINGS.get(name, {})}, **options)


def _table(client: TestClient, live: LiveSearch, **params: int) -> dict[str, Any]:
    reply = client.get(f"/v1/searches/{live.job_id}/arms/table", params=params)
    assert reply.status_code == 200, reply.text
    table: dict[str, Any] = reply.json()
    return table


@pytest.mark.diagonal
@EVERY_STRATEGY
@pytest.mark.parametrize(("wave", "keeps"), [(1, True), (1, False), (4, True)])
def test_every_table_told_later_is_the_one_stored_after_that_wave(
    client: TestClient, database: Database, name: str, wave: int, *, keeps: bool
) -> None:
    """To the last bit, in any order of asking, with arms kept at the ends of rounds and without."""
    for seed in (0, 1, 2) if keeps else (0,):
        live = _run(database, name, seed=seed, wave=wave, keeps=keeps)
        counts = list(live.tables)
        for at in (*counts[::2], *counts[::-2]):
            table, arms = _table(client, live, at=at), live.tables[at]
            for column in COLUMNS:
                assert table[column] == [getattr(arm, column) for arm in arms], (seed, at, column)
            listed = client.get(f"/v1/searches/{live.job_id}/arms", params={"at": at}).json()["items"]
            assert [(e["cell"], e["edge"], e["operation"], e["mean"], e["best_probability"]) for e in listed] == [
                (*arm.key, arm.mean, arm.best_probability) for arm in arms
            ]
            assert (table["at"], table["samples"]) == (at, counts[-1])
        assert _table(client, live) == _table(client, live, at=counts[-1])


@EVERY_STRATEGY
def test_a_round_is_the_table_at_the_samples_that_ended_it(client: TestClient, database: Database, name: str) -> None:
    """Kept or replayed, its end shows what it dropped and what led."""
    kept, replayed = _run(database, name), _run(database, name, keeps=False)
    rounds = client.get(f"/v1/searches/{kept.job_id}/rounds").json()
    assert rounds == client.get(f"/v1/searches/{replayed.job_id}/rounds").json()
    assert bool(rounds["rounds"]) == (name in {"abandit", "abandit-plus", "abandit-scaled", "cp-nas", "screen-and-train"})
    assert _table(client, kept)["round_ends"] == [entry["samples"] for entry in rounds["rounds"]]
    assert _table(client, kept, round=0) == _table(client, kept, at=0)
    for entry in rounds["rounds"]:
        table = _table(client, kept, round=entry["round"])
        assert table == _table(client, kept, at=entry["samples"])
        assert table["round"] == entry["round"]
        assert table["leading"] == entry["leader"]
        dropped = [place for place, number in enumerate(table["abandoned_round"]) if number == entry["round"]]
        assert [arm["position"] for arm in entry["abandoned"]] == dropped
        for arm in entry["abandoned"]:
            assert [arm[column] for column in COLUMNS[:4]] == [table[column][arm["position"]] for column in COLUMNS[:4]]


@EVERY_STRATEGY
def test_the_leading_arm_of_an_edge_lives_and_has_the_largest_mean(client: TestClient, database: Database, name: str) -> None:
    live = _run(database, name)
    for at in (0, 1, 5, max(live.tables)):
        table = _table(client, live, at=at)
        first = 0
        for index in range(len(table["cells"]) * len(table["edges"])):
            count = len(table["edges"][index % len(table["edges"])]["operations"])
            places = range(first, first + count)
            means = [table["mean"][p] for p in places if table["abandoned_round"][p] is None and table["mean"][p] is not None]
            leading = table["leading"][index]
            assert (leading is None) == (not means)
            if leading is not None:
                assert leading in places
                assert table["mean"][leading] == max(means)
            first += count
        assert first == len(table["mean"])


@EVERY_STRATEGY
@pytest.mark.parametrize("points", [5, 500])
def test_the_history_of_an_edge_is_what_the_tables_tell(client: TestClient, database: Database, name: str, points: int) -> None:
    live = _run(database, name)
    place = {"cell": "b", "edge": "1-2", "points": points}
    history = client.get(f"/v1/searches/{live.job_id}/arms/history", params=place).json()
    assert history["at"][-1] == max(live.tables)
    assert len(history["at"]) == min(points, max(live.tables))
    for step, at in enumerate(history["at"]):
        for operation in history["operations"]:
            arm = live.tables[at][operation["position"]]
            assert (*arm.key,) == ("b", "1-2", operation["operation"])
            told = [operation[column][step] for column in COLUMNS[:4]]
            assert told == [getattr(arm, column) for column in COLUMNS[:4]]
    assert [entry["operation"] for entry in history["operations"]] == list(SPACES.get("tiny").edges[0].operations)


def test_where_arms_are_costly_and_none_were_kept_a_history_has_few_points(client: TestClient, database: Database) -> None:
    live = _run(database, "abandit-plus", keeps=False)
    history = client.get(f"/v1/searches/{live.job_id}/arms/history", params={"cell": "a", "edge": "0-1"}).json()
    assert (len(history["at"]), history["at"][0], history["at"][-1]) == (10, 1, max(live.tables))


def test_a_wave_longer_than_a_round_keeps_the_arms_at_every_end_within_it(client: TestClient, database: Database) -> None:
    """`abandit-plus` does not stop at the end of a round."""
    live = _run(database, "abandit-plus", wave=5)
    one_by_one = [entry["samples"] for entry in client.get(f"/v1/searches/{live.job_id}/rounds").json()["rounds"]]
    assert set(one_by_one) - set(live.tables)
    for number, samples in enumerate(one_by_one, start=1):
        assert _table(client, live, round=number) == _table(client, live, at=samples)


def test_arms_can_be_filtered_by_cell_and_edge(client: TestClient, database: Database) -> None:
    live = _run(database, "abandit")
    path = f"/v1/searches/{live.job_id}/arms"
    found = client.get(path, params={"cell": "b", "edge": "0-2", "at": 3}).json()["items"]
    assert [(arm["cell"], arm["edge"]) for arm in found] == [("b", "0-2")] * 3
    assert len(client.get(path, params={"edge": "0-2"}).json()["items"]) == 6


@pytest.mark.parametrize(
    ("path", "params", "field", "allowed"),
    [
        ("arms/table", {"at": 99}, "at", "0 to 18"),
        ("arms/table", {"at": -1}, "at", ""),
        ("arms/table", {"round": 3}, "round", "0 to 2"),
        ("arms/table", {"at": 3, "round": 1}, "round", "either"),
        ("arms", {"at": 99}, "at", "0 to 18"),
        ("arms", {"cell": "z"}, "cell", "one of: a, b"),
        ("arms", {"edge": "2-0"}, "edge", "one of: 0-1, 0-2, 1-2"),
        ("arms/history", {"cell": "a", "edge": "9"}, "edge", "one of"),
        ("arms/history", {"cell": "a"}, "edge", ""),
        ("arms/history", {"cell": "a", "edge": "0-1", "points": 1}, "points", ""),
        ("leader", {"at": 19}, "at", "0 to 18"),
        ("series", {"fields": "reward,worth"}, "fields", "of: index"),
        ("series", {"format": "xml"}, "format", ""),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(
    client: TestClient, database: Database, path: str, params: dict[str, Any], field: str, allowed: str
) -> None:
    live = _run(database, "abandit")
    reply = client.get(f"/v1/searches/{live.job_id}/{path}", params=params)
    assert reply.status_code == 422
    (problem,) = reply.json()["errors"]
    assert problem["field"].endswith(field)
    assert allowed in problem["allowed"]


def test_a_reader_that_has_a_view_gets_no_body(client: TestClient, database: Database) -> None:
    live = _run(database, "abandit")
    paths = (
        "arms/table",
        "arms/table?at=4",
        "arms",
        "arms?at=4",
        "rounds",
        "arms/history?cell=a&edge=0-1",
        "series",
        "leader",
        "leader/diagram.svg",
    )
    for path in paths:
        reply = client.get(f"/v1/searches/{live.job_id}/{path}")
        assert reply.status_code == 200, path
        again = client.get(f"/v1/searches/{live.job_id}/{path}", headers={"If-None-Match": reply.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_the_tag_of_a_past_table_stays_while_the_search_goes_on(client: TestClient, database: Database) -> None:
    past: list[str] = []
    now: list[str] = []

    def ask(job_id: str, samples: int) -> None:
        path = f"/v1/searches/{job_id}/arms/table"
        now.append(client.get(path).headers["ETag"])
        if samples >= 4:
            headers = {"If-None-Match": past[0]} if past else {}
            reply = client.get(path, params={"at": 4}, headers=headers)
            assert (reply.status_code, reply.content == b"") == ((304, True) if past else (200, False))
            past.append(reply.headers["ETag"])

    live = _run(database, "abandit", told=ask)
    assert (len(past), len(set(past)), len(set(now))) == (len(live.tables) - 3, 1, len(live.tables))


def test_a_search_without_samples_has_a_table_of_empty_arms(client: TestClient) -> None:
    job = client.post("/v1/searches", json={"space": "tiny"}).json()["id"]
    table = client.get(f"/v1/searches/{job}/arms/table").json()
    assert (table["at"], table["samples"], table["pulls"], table["leading"]) == (0, 0, [0] * 18, [None] * 6)
    assert client.get(f"/v1/searches/{job}/arms").json()["items"] == []
    assert client.get(f"/v1/searches/{job}/series").json()["points_total"] == 0
    assert client.get(f"/v1/searches/{job}/leader").status_code == 404
    history = client.get(f"/v1/searches/{job}/arms/history", params={"cell": "a", "edge": "0-1"}).json()
    assert history["at"] == [0]


def test_what_is_not_there_is_not_found(client: TestClient, finished_search: str) -> None:
    for path in (
        "arms/table",
        "arms/history?cell=a&edge=0-1",
        "rounds",
        "series",
        "leader",
        "samples/0",
        "samples/0/diagram.svg",
    ):
        assert client.get(f"/v1/searches/nowhere/{path}").status_code == 404
    for path in ("samples/3", "samples/3/diagram.svg"):
        reply = client.get(f"/v1/searches/{finished_search}/{path}")
        assert (reply.status_code, "there is no sample '3'" in reply.json()["detail"]) == (404, True)


def test_facts_of_arms_are_in_the_catalogue_and_in_the_table(client: TestClient, database: Database) -> None:
    units = {entry["name"]: entry["facts"]["arms"] for entry in client.get("/v1/strategies").json()["items"]}
    assert {name: facts["unit"] for name, facts in units.items()} == {
        "abandit": "accuracy",
        "abandit-scaled": "rank-effect",
        "abandit-plus": "rank-effect",
        "cp-nas": "child-parent-score",
        "evolution": "accuracy",
        "random": "accuracy",
        "screen-and-train": "rank-effect",
    }
    live = _run(database, "cp-nas")
    assert _table(client, live)["facts"] == units["cp-nas"]


def test_arms_that_no_cell_of_their_kind_may_hold_are_not_told(client: TestClient, database: Database) -> None:
    """Six of the nine layers may not be left out; positions in the table stay those of the space."""
    spec = SearchSpec.model_validate({"space": "nas-bnn", "strategy": "random"})
    with database.write() as session:
        job = jobs.create_job(session, jobs.SEARCH, "", spec.model_dump(mode="json")).id
    listed = client.get(f"/v1/searches/{job}/arms", params={"at": 0}).json()["items"]
    assert len(listed) == 75
    assert all(arm["abandoned_round"] is None for arm in listed)
    assert sorted(arm["cell"] for arm in listed if arm["operation"] == "skip") == ["stage-1-c", "stage-2-c", "stage-3-c"]
    table = client.get(f"/v1/searches/{job}/arms/table", params={"at": 0}).json()
    assert {cell["name"]: cell["without"] for cell in table["cells"]} == {
        f"stage-{stage}-{layer}": [] if layer == "c" else ["skip"] for stage in (1, 2, 3) for layer in "abc"
    }
    assert len(table["pulls"]) == 81
    assert table["abandoned_round"].count(0) == 6
