"""The first view of a very long search is small, and everything about it is told within moments."""

import gzip
import json
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import insert

from nas_service.search.bandit import Arm
from nas_service.search.history import Sample
from nas_service.search.rounds import arms_to_keep
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import arm_rounds, jobs
from nas_service.storage.models import SampleRow
from nas_service.storage.samples import replace_arms
from nas_service.storage.session import Database, database_now
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES
from tests.holds import held

SAMPLES = 5000
BYTES = 60_000
SPACE = SPACES.get("abandit")
SETTINGS = {"samples_per_arm": 114}  # 5,025 samples


@pytest.fixture(scope="module")
def history() -> tuple[Sample, ...]:
    """Return samples with rewards of validation sets of 5,000 images."""
    generator = random.Random(0)
    places = [(cell.name, edge) for cell in SPACE.cell_types for edge in SPACE.edges]
    return tuple(
        Sample(
            index,
            Genotype(SPACE.name, tuple(Choice(cell, edge.name, generator.choice(edge.operations)) for cell, edge in places)),
            round(5000 * min(0.3 + index / 20_000 + 0.05 * generator.gauss(0, 1), 1)) / 5000,
        )
        for index in range(SAMPLES)
    )


@pytest.fixture
def long_search(settings: Settings, history: tuple[Sample, ...]) -> Iterator[str]:
    """Write the rows of a search of 5,000 samples over 540 arms, and return its id."""
    database = Database(settings.database)
    named = {"name": "abandit", "settings": SETTINGS}
    spec = SearchSpec.model_validate({"space": SPACE.name, "strategy": named})
    strategy = STRATEGIES.get("abandit").from_settings(SPACE, SETTINGS, 0)
    arms, kept = arms_to_keep(strategy, history, 0)
    with database.write() as session:
        jobs.create_job(session, jobs.SEARCH, "long", spec.model_dump(mode="json"))
        job, _ = held(session)
        now = database_now(session)
        rows = [_row(job.id, sample) | {"created_at": now} for sample in history]
        session.execute(insert(SampleRow), rows)
        replace_arms(session, job.id, arms)
        arm_rounds.add_snapshots(session, job.id, kept)
    yield job.id
    database.close()


def _row(job_id: str, sample: Sample) -> dict[str, object]:
    return {
        "job_id": job_id,
        "index": sample.index,
        "wave": sample.index,
        "genotype": sample.genotype.to_dict(),
        "digest": str(sample.index),
        "reward": sample.reward,
        "clean_accuracy": sample.reward,
        "attacked_accuracy": sample.reward / 2,
        "parent_reward": None,
        "loss": 1.5,
        "diverged": False,
        "cost": {"ops": 1e6 + sample.index, "packed_bytes": 10_000},
        "seconds": 1.25,
        "worker": "host:1",
        "attempt": 1,
    }


def _bytes(client: TestClient, path: str) -> int:
    reply = client.get(path, headers={"Accept-Encoding": "identity"})
    assert reply.status_code == 200, reply.text
    return len(gzip.compress(reply.content, 5))


def test_the_first_view_takes_three_requests_and_60_kb(client: TestClient, long_search: str) -> None:
    """The ends of the rounds are in the table, so that a page asks for `rounds` when somebody looks at one."""
    path = f"/v1/searches/{long_search}"
    sizes = {
        name: _bytes(client, f"{path}{name}") for name in ("", "/arms/table", "/series?fields=index,reward,best&points=1000")
    }
    assert sum(sizes.values()) <= BYTES, sizes
    table = client.get(f"{path}/arms/table").json()
    assert (table["at"], len(table["mean"]), len(table["round_ends"])) == (SAMPLES, 540, 7)
    with_rounds = sum(sizes.values()) + _bytes(client, f"{path}/rounds")
    assert with_rounds <= BYTES, (sizes, with_rounds)


def test_any_table_of_a_long_search_is_what_the_whole_history_tells(
    client: TestClient, long_search: str, history: tuple[Sample, ...]
) -> None:
    strategy = STRATEGIES.get("abandit").from_settings(SPACE, SETTINGS, 0)
    for at in (4999, 3000, 1, 3001):
        arms: tuple[Arm, ...] = strategy.arms(history[:at])
        table = client.get(f"/v1/searches/{long_search}/arms/table", params={"at": at}).json()
        assert (table["mean"], table["pulls"]) == ([arm.mean for arm in arms], [arm.pulls for arm in arms])
    query = {"cell": SPACE.cell_types[1].name, "edge": SPACE.edges[3].name}
    told = client.get(f"/v1/searches/{long_search}/arms/history", params=query).json()
    assert (len(told["at"]), told["at"][0], told["at"][-1]) == (500, 1, SAMPLES)
    assert all(earlier < later for earlier, later in pairwise(told["at"]))
    assert len(json.dumps(told)) < 500_000
