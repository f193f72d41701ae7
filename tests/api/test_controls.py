"""Controls over REST and on the command line: told apart from what was found, and set beside it."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.app import create_app
from api.client import NasClient
from nas_service.lifecycle import JobState
from nas_service.search.control import Control
from nas_service.settings import Settings
from nas_service.specs import SearchSpec
from nas_service.storage import jobs
from nas_service.storage.architectures import Discovery, add_architectures
from nas_service.storage.session import Database
from search_spaces.space import SPACES
from tests.api.conftest import run_nas
from tests.api.whole_training import write_training
from tests.reports import COST
from tests.samples import random_genotype
from tests.serving import in_thread

KINDS = [None, None, *[Control.UNIFORM] * 3, *[Control.LIKE_COST] * 3]


@dataclass(frozen=True)
class Beside:
    """Ids: of two that were found, three uniform controls and three of like cost, all trained."""

    search: str
    training: str
    found: list[str]
    controls: list[str]


@pytest.fixture
def address(settings: Settings) -> Iterator[str]:
    """Serve the application without a controller on a real socket."""
    with in_thread(create_app(settings)) as url:
        yield url


@pytest.fixture
def beside(client: TestClient, settings: Settings) -> Beside:
    """Write what `whole_training` writes: the k-th architecture is 2 points better than the one before, the s-th seed 1 point."""
    del client  # it made the database
    database = Database(settings.database)
    with database.write() as session:
        search = jobs.create_job(session, jobs.SEARCH, "", SearchSpec.model_validate({"space": "tiny"}).model_dump(mode="json"))
        search.state = JobState.SUCCEEDED.value
        genotypes = [random_genotype(SPACES.get("tiny"), place) for place in range(len(KINDS))]
        given = [
            Discovery(genotype, 0.0 if kind else 0.9, dict(COST), kind) for genotype, kind in zip(genotypes, KINDS, strict=True)
        ]
        keys = [row.id for row in add_architectures(session, search.id, given)]
        found, controls = keys[:2], keys[2:]
        training = write_training(session, [*controls, *found])
        made = Beside(search.id, training, found, controls)
    database.close()
    return made


def test_lists_hold_what_was_found_unless_controls_are_asked_for(nas: NasClient, beside: Beside) -> None:
    assert [row.id for row in nas.architectures(search=beside.search)] == beside.found
    controls = list(nas.architectures(search=beside.search, controls="true"))
    assert [row.id for row in controls] == beside.controls
    assert [(row.control, row.score) for row in controls] == [(kind, None) for kind in KINDS[2:]]
    assert [row.id for row in nas.architectures()] == beside.found[::-1]
    one = nas.architecture(beside.controls[0])
    assert (one.control, one.score, one.rank) == (Control.UNIFORM, None, 3)


def test_a_pareto_set_holds_none_and_asking_for_both_is_refused(nas: NasClient, client: TestClient, beside: Beside) -> None:
    """All cost the same, and those that were found have the same score: each is one that no other beats."""
    assert [row.id for row in nas.architectures(search=beside.search, pareto="true")] == beside.found
    reply = client.get("/v1/architectures", params={"search": beside.search, "pareto": "true", "controls": "true"})
    assert reply.status_code == 422
    assert [problem["field"] for problem in reply.json()["errors"]] == ["controls"]


def test_candidates_of_controls_say_so(nas: NasClient, beside: Beside) -> None:
    kinds = dict(zip([*beside.found, *beside.controls], KINDS, strict=True))
    rows = list(nas.candidates(training=beside.training))
    assert len(rows) == 8 * 3 * 3
    assert all(row.control == kinds[row.architecture_id] for row in rows)
    assert nas.candidate(rows[0].id).control == rows[0].control
    assert nas.best_of_training(beside.training).candidate.architecture_id == beside.found[0]


def test_a_comparison_sets_the_best_beside_its_controls(nas: NasClient, beside: Beside) -> None:
    """All have one validation accuracy, so the first stands for the best: with bnn .82, .83 and .84; controls .02 less each."""
    compared = nas.comparison(beside.training)
    assert [pair.control for pair in compared.pairs if pair.method == "bnn"] == [*KINDS[2:], None, None]
    assert len(compared.controls) == 3
    line = next(line for line in compared.controls if line.method == "bnn")
    assert (line.search_id, line.architecture, line.seeds) == (beside.search, beside.found[0], 3)
    assert line.test_mean == pytest.approx(0.83)
    assert line.trainings_paid is None  # nobody sampled
    assert line.uniform is not None
    assert line.like_cost is not None
    assert [line.uniform.mean, line.uniform.spread, line.uniform.best] == pytest.approx([0.73, 0.02, 0.71])
    assert [line.uniform.gain, line.like_cost.gain] == pytest.approx([0.1, 0.04])
    assert line.uniform.gain_error == pytest.approx(0.02 / 3**0.5)  # all seeds gain alike
    assert line.uniform.p_value is not None
    assert 0 < line.uniform.p_value < (line.like_cost.p_value or 0)
    found = {place for front in compared.pareto for _, place in front.members}
    assert found <= set(beside.found)
    bnn = next(method for method in compared.methods if method.method == "bnn")
    assert bnn.test_mean == pytest.approx(0.84)  # over the two that were found


def test_the_table_of_pairs_names_controls(nas: NasClient, beside: Beside) -> None:
    rows = list(csv.DictReader(io.StringIO(nas.comparison_csv(beside.training))))
    kinds = {row["architecture"]: row["control"] for row in rows}
    assert [kinds[key] for key in beside.controls] == [str(kind) for kind in KINDS[2:]]
    assert [kinds[key] for key in beside.found] == ["", ""]


def test_scores_are_set_against_accuracies_without_controls(nas: NasClient, beside: Beside) -> None:
    correlation = nas.correlation(beside.search)
    assert {point.architecture for point in correlation.points} == set(beside.found)
    assert {method.n for method in correlation.methods} == {2}


def test_the_bundle_of_a_control_says_what_it_is(nas: NasClient, beside: Beside) -> None:
    _, content = nas.download("architectures", beside.controls[0])
    with zipfile.ZipFile(io.BytesIO(content)) as bundle:
        card = bundle.read("README.md").decode()
    assert "A control (uniform)" in card
    assert "Rank" not in card


def test_commands_tell_controls_apart_and_what_was_gained(address: str, beside: Beside, tmp_path: Path) -> None:
    told = run_nas("compare", beside.training, cwd=tmp_path, NAS_URL=address, COLUMNS="200").stdout
    assert "beside random architectures, trained alike" in told
    assert "+10.00 ± 1.15" in told
    assert f"{beside.controls[0]} (uniform)" in told
    listed = run_nas("architectures", "--controls", cwd=tmp_path, NAS_URL=address, COLUMNS="200").stdout
    assert "like-cost" in listed
    assert beside.found[0] not in listed
    candidates = run_nas("candidates", "--training", beside.training, cwd=tmp_path, NAS_URL=address, COLUMNS="200").stdout
    assert "control: uniform" in candidates
