"""Samples as columns, the leader, and pictures of both."""

import csv
import io
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.client import NasClient
from nas_service.catalogue import build_strategy
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import Component
from nas_service.storage.samples import history_of
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.live_searches import search_live


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Return the application's database."""
    opened = Database(settings.database)
    yield opened
    opened.close()


def test_a_series_has_every_column_of_every_sample(client: TestClient, database: Database) -> None:
    live = search_live(database, {"name": "random", "settings": {"samples": 40}}, wave=4)
    series = client.get(f"/v1/searches/{live.job_id}/series").json()
    columns = series["columns"]
    assert (series["points"], series["points_total"], series["thinned"]) == (40, 40, False)
    assert columns["index"] == list(range(40))
    assert columns["wave"] == [4 * (index // 4) for index in range(40)]
    assert columns["ops"] == [10.0 + index for index in range(40)]
    assert (set(columns["packed_bytes"]), set(columns["seconds"]), set(columns["loss"])) == ({7.0}, {0.25}, {1.0})
    assert columns["clean_accuracy"] == columns["reward"]
    assert columns["attacked_accuracy"] == [None] * 40
    assert columns["best"] == [max(columns["reward"][: index + 1]) for index in range(40)]
    listed = client.get(f"/v1/searches/{live.job_id}/samples").json()["items"]
    assert columns["reward"] == [sample["reward"] for sample in listed]


def test_a_thinned_series_says_so_and_goes_on_after_an_index(client: TestClient, database: Database) -> None:
    live = search_live(database, {"name": "random", "settings": {"samples": 200}}, wave=50)
    path = f"/v1/searches/{live.job_id}/series"
    whole = client.get(path).json()["columns"]
    thin = client.get(path, params={"points": 30, "fields": "index,reward,best"}).json()
    assert (thin["points_total"], thin["thinned"], thin["fields"]) == (200, True, ["index", "reward", "best"])
    shown = thin["columns"]["index"]
    assert thin["points"] == len(shown) <= 30
    assert (shown[0], shown[-1]) == (0, 199)
    for name, column in thin["columns"].items():
        assert column == [whole[name][index] for index in shown]
    assert {whole["reward"].index(best) for best in whole["best"]} <= set(shown)
    assert {whole["reward"].index(min(whole["reward"])), whole["reward"].index(max(whole["reward"]))} <= set(shown)
    later = client.get(path, params={"after": 149}).json()
    assert later["points_total"] == 50
    assert later["columns"] == {name: column[150:] for name, column in whole.items()}
    assert client.get(path, params={"after": 199}).json()["columns"]["reward"] == []


def test_a_series_as_csv_has_what_json_has(client: TestClient, database: Database) -> None:
    live = search_live(database, {"name": "evolution", "settings": {}})
    reply = client.get(f"/v1/searches/{live.job_id}/series", params={"format": "csv", "fields": "index,reward,attacked_accuracy"})
    assert reply.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    columns = client.get(f"/v1/searches/{live.job_id}/series").json()["columns"]
    assert [float(row["reward"]) for row in rows] == columns["reward"]
    assert {row["attacked_accuracy"] for row in rows} == {""}


@pytest.mark.parametrize("name", STRATEGIES.names())
def test_the_leader_is_what_the_strategy_ranks_first(client: TestClient, database: Database, name: str) -> None:
    live = search_live(database, {"name": name, "settings": {}})
    strategy = build_strategy(Component(name=name), SPACES.get("tiny"), 0)
    with database.read() as session:
        history = history_of(session, live.job_id)
    for at in (1, 7, len(history)):
        (ranked,) = strategy.rank(history[:at], 1)
        leader = client.get(f"/v1/searches/{live.job_id}/leader", params={"at": at}).json()
        assert (leader["digest"], leader["score"], leader["at"]) == (ranked.genotype.digest, ranked.score, at)
        keys = strategy.space.arms()
        assert tuple(keys[place] for place in leader["choices"]) == ranked.genotype.choices
        is_last = at == len(history)
        units = {"cp-nas": ("accuracy", "child-parent-score"), "screen-and-train": ("short-score", "accuracy")}
        assert leader["score_unit"] == units.get(name, ("accuracy", "accuracy"))[is_last]
        sampled = next((sample.index for sample in history if sample.genotype == ranked.genotype), None)
        assert leader["cost"] == (None if sampled is None else {"ops": 10.0 + sampled, "packed_bytes": 7})
    now = client.get(f"/v1/searches/{live.job_id}/leader").json()
    assert now == client.get(f"/v1/searches/{live.job_id}/leader", params={"at": len(history)}).json()


def test_samples_and_leader_have_pictures(client: TestClient, database: Database) -> None:
    live = search_live(database, {"name": "random", "settings": {}})
    path = f"/v1/searches/{live.job_id}"
    sample = client.get(f"{path}/samples/2").json()
    assert (sample["index"], sample["wave"]) == (2, 2)
    picture = client.get(f"{path}/samples/2/diagram.svg", params={"theme": "dark"})
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "Sample 2" in picture.text
    assert picture.text != client.get(f"{path}/samples/2/diagram.svg").text
    assert "Leader after 3 samples" in client.get(f"{path}/leader/diagram.svg", params={"at": 3}).text
    assert client.get(f"{path}/leader/diagram.svg", params={"theme": "pink"}).status_code == 422


def test_the_client_reads_all_of_it(client: TestClient, database: Database) -> None:
    live = search_live(database, {"name": "abandit", "settings": {}})
    nas = NasClient("http://localhost")
    nas._http = client
    job = live.job_id
    assert nas.sample(job, 2).index == 2
    assert nas.sample_diagram(job, 2, "auto").startswith("<svg")
    assert [arm.mean for arm in nas.arms(job, at=5)] == nas.arm_table(job, at=5).mean
    assert len(nas.arms(job, round=1, cell="a")) == 9
    assert nas.arm_history(job, "a", "0-1", 4).at[-1] == 18
    assert [entry.samples for entry in nas.rounds(job).rounds] == nas.arm_table(job).round_ends == [12, 18]
    assert nas.series(job, fields="reward", points=5).points_total == 18
    assert nas.series_csv(job, fields="index", after=16) == "index\n17\n"
    assert nas.leader(job, at=4).at == 4
    assert nas.leader_diagram(job, at=4).startswith("<svg")
