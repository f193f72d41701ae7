"""Controls from a search to its report: random architectures that are trained beside what was found, and are told apart."""

import json
import math
import statistics
import zipfile
from io import BytesIO

import pytest

from api.views import CandidateView, JobView
from nas_service.search.control import Control
from tests.e2e.conftest import Running

pytestmark = pytest.mark.ray

SHORT = {"epochs": 2, "max_steps_per_epoch": 2}


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def chosen(request: pytest.FixtureRequest) -> int:
    """Return how many architectures are chosen, each with a control of either kind."""
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def finished(service: Running, chosen: int) -> JobView:
    """Return a search of whole trainings of its own, whose chosen and controls were trained with two seeds each."""
    return service.search(
        space="tiny",
        strategy={"name": "random", "settings": {"samples": 4}},
        evaluation={"own": {"recipe": SHORT}},
        method="bnn",
        keep=4,
        training={"methods": ["bnn"], "seeds": [1, 2], "recipe": SHORT, "top_k": chosen, "controls": 2 * chosen},
    )


def _candidates(service: Running, search_id: str) -> dict[str, list[CandidateView]]:
    """Return the candidates by architecture, by seed."""
    rows = sorted(service.client.candidates(search=search_id), key=lambda row: row.seed)
    return {
        key: [row for row in rows if row.architecture_id == key] for key in dict.fromkeys(row.architecture_id for row in rows)
    }


def _is_like(one: CandidateView, other: CandidateView) -> bool:
    """Return whether OPs and parameters are within a tenth of another's."""
    pairs = [(row.cost["ops"], row.cost["binary_parameters"] + row.cost["float_parameters"]) for row in (one, other)]
    return all(abs(mine / its - 1) <= 0.1 for mine, its in zip(*pairs, strict=True))


def test_controls_are_candidates_that_are_marked_and_no_discoveries(service: Running, finished: JobView, chosen: int) -> None:
    found = list(service.client.architectures(search=finished.id))
    controls = list(service.client.architectures(search=finished.id, controls="true"))
    assert [row.rank for row in found] == [1, 2, 3, 4]
    assert [row.control for row in found] == [None] * 4
    assert [row.control for row in controls] == [Control.UNIFORM] * chosen + [Control.LIKE_COST] * chosen
    assert [row.score for row in controls] == [None] * (2 * chosen)
    kinds = {row.id: row.control for row in [*found, *controls]}
    candidates = _candidates(service, finished.id)
    assert len(candidates) == 3 * chosen
    assert {row.id for row in controls} < set(candidates)
    for key, rows in candidates.items():
        assert [row.seed for row in rows] == [1, 2]
        assert {row.state for row in rows} == {"succeeded"}
        assert {row.control for row in rows} == {kinds[key]}
    (told,) = [event.data for event in service.client.events(finished.id) if event.kind == "search.chosen"]
    assert (len(told.ranks), told.uniform, told.like_cost) == (chosen, chosen, chosen)
    assert sorted(kinds[key] is None for key in candidates) == [False] * (2 * chosen) + [True] * chosen


def test_the_report_is_what_the_candidates_figures_come_to(service: Running, finished: JobView, chosen: int) -> None:
    """Worked out anew from the candidates; nothing of it comes from the service's own arithmetic."""
    candidates = _candidates(service, finished.id)
    (training,) = service.client.trainings(parent=finished.id)
    (line,) = service.client.comparison(training.id).controls
    tests = {key: [row.test_accuracy or 0.0 for row in rows] for key, rows in candidates.items()}
    validation = {key: statistics.fmean(row.validation_accuracy or 0.0 for row in rows) for key, rows in candidates.items()}
    kinds = {key: rows[0].control for key, rows in candidates.items()}
    winner = max((key for key in candidates if kinds[key] is None), key=lambda key: validation[key])
    assert validation[line.architecture] == validation[winner]
    own = tests[line.architecture]
    assert line.test_mean == pytest.approx(statistics.fmean(own))
    assert line.test_spread == pytest.approx(statistics.stdev(own))
    like = {key for key, rows in candidates.items() if _is_like(rows[0], candidates[line.architecture][0])}
    groups = {
        Control.UNIFORM: [key for key in candidates if kinds[key] is Control.UNIFORM],
        Control.LIKE_COST: [key for key in candidates if kinds[key] is Control.LIKE_COST and key in like],
    }
    assert line.unlike == chosen - len(groups[Control.LIKE_COST])
    for group, keys in zip((line.uniform, line.like_cost), groups.values(), strict=True):
        if group is None:
            assert keys == []
            continue
        rows = [tests[key] for key in keys]
        means = [statistics.fmean(row) for row in rows]
        gains = [mine - statistics.fmean(others) for mine, *others in zip(own, *rows, strict=True)]
        assert (group.architectures, group.left_out, group.p_value) == (len(keys), chosen - len(keys), None)
        assert [group.mean, group.gain] == pytest.approx([statistics.fmean(means), statistics.fmean(gains)])
        if len(keys) > 1:
            error = math.sqrt(statistics.variance(gains) / 2 + statistics.variance(means) / 2)
            assert group.gain_error == pytest.approx(error)
    best = max((key for key in candidates if kinds[key] is Control.UNIFORM), key=lambda key: validation[key])
    assert line.uniform is not None
    assert line.uniform.best == pytest.approx(statistics.fmean(tests[best]))
    assert line.trainings_paid == 4  # samples of two epochs each, of the final training
    assert line.random_best is None


def test_a_control_is_never_the_best_candidate_and_its_bundle_says_what_it_is(service: Running, finished: JobView) -> None:
    (training,) = service.client.trainings(parent=finished.id)
    for best in (service.client.best_of_search(finished.id), service.client.best_of_training(training.id)):
        assert best.candidate.control is None
        assert best.seeds == 2
    control = next(row for row in service.client.candidates(search=finished.id) if row.control is Control.LIKE_COST)
    _, content = service.client.download("candidates", control.id)
    with zipfile.ZipFile(BytesIO(content)) as bundle:
        told = json.loads(bundle.read("manifest.json"))["search"]
        card = bundle.read("README.md").decode()
    assert told == {"search_id": finished.id, "control": "like-cost"}
    assert "drawn at random" in card
    assert b"Beside random architectures" in service.client.report(finished.id)
