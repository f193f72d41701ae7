"""The best of a search beside random architectures: against figures worked out by hand, and scipy's paired t-test."""

import math
import statistics
from itertools import combinations

import pytest
from scipy import stats

from nas_service.beside_controls import ControlLine, beside_controls
from nas_service.search.control import Control
from nas_service.trained import SpentSteps, TrainedCandidate, TrainingFacts
from tests.reports import metrics, trained

_FACTS = TrainingFacts("training", {"recipe": {"epochs": 4, "batch_size": 100}, "methods": [{"name": "bnn"}]}, "digest")


def _trained(name: str, tests: list[float], control: Control | None = None, ops: float = 200.0) -> list[TrainedCandidate]:
    """Return an architecture's candidates, one a seed; validation accuracy is 0.05 above test accuracy."""
    return [
        trained(metrics(test + 0.05, test), "bnn", name, key=f"{name}{seed}", seed=seed, ops=ops, control=control)
        for seed, test in enumerate(tests)
    ]


def _line(*groups: list[TrainedCandidate], spent: SpentSteps | None = None) -> ControlLine:
    steps = {} if spent is None else {"search": spent}
    (line,) = beside_controls([entry for group in groups for entry in group], [_FACTS], steps)
    return line


def _uniform(*rows: list[float]) -> list[TrainedCandidate]:
    return [entry for place, tests in enumerate(rows) for entry in _trained(f"u{place}", tests, Control.UNIFORM)]


def test_the_best_is_the_best_mean_of_what_was_found_and_no_control() -> None:
    """Single runs: 0.95 of `lucky`, 0.9 of `steady`; means 0.85 and 0.89; a control reaches 0.93."""
    line = _line(_trained("lucky", [0.95, 0.75]), _trained("steady", [0.9, 0.88]), _uniform([0.93, 0.93]))
    assert (line.architecture, line.seeds, line.method, line.search_id) == ("steady", 2, "bnn", "search")
    assert line.test_mean == pytest.approx(0.89)
    assert line.test_spread == pytest.approx(0.02 / math.sqrt(2))
    assert line.uniform is not None
    assert line.uniform.gain == pytest.approx(-0.04)
    assert line.like_cost is None


def test_means_spreads_and_the_error_of_the_gain_are_those_worked_out_by_hand() -> None:
    """Gains by seed: .9 - .7, .8 - .7, .85 - .7; by architecture .85 - .6, .85 - .7, .85 - .8."""
    rows = [[0.6, 0.6, 0.6], [0.65, 0.75, 0.7], [0.85, 0.75, 0.8]]
    found = _line(_trained("best", [0.9, 0.8, 0.85]), _uniform(*rows)).uniform
    assert found is not None
    assert (found.control, found.architectures, found.left_out) == (Control.UNIFORM, 3, 0)
    assert [found.mean, found.spread, found.best, found.gain] == pytest.approx([0.7, 0.1, 0.8, 0.15])
    shares = [0.05**2 / 3, 0.1**2 / 3]
    assert found.gain_error == pytest.approx(math.sqrt(sum(shares)))
    freedom = sum(shares) ** 2 / sum(share**2 / 2 for share in shares)
    assert found.p_value == pytest.approx(stats.t.sf(0.15 / math.sqrt(sum(shares)), freedom))


def test_among_architectures_that_are_all_alike_it_is_the_paired_t_test_over_seeds() -> None:
    own, other = [0.9, 0.8, 0.86, 0.83], [0.8, 0.76, 0.79, 0.81]
    found = _line(_trained("best", own), _uniform(other, other, other)).uniform
    assert found is not None
    assert found.p_value == pytest.approx(stats.ttest_rel(own, other, alternative="greater").pvalue)


def test_with_seeds_that_are_all_alike_it_is_the_t_test_over_architectures() -> None:
    rows = [[0.6] * 3, [0.7] * 3, [0.85] * 3, [0.81] * 3]
    found = _line(_trained("best", [0.9] * 3), _uniform(*rows)).uniform
    assert found is not None
    gains = [0.9 - row[0] for row in rows]
    assert found.p_value == pytest.approx(stats.ttest_1samp(gains, 0, alternative="greater").pvalue)


@pytest.mark.parametrize(("seeds", "architectures", "has_error"), [(1, 5, False), (5, 1, False), (2, 5, True), (5, 2, True)])
def test_too_few_seeds_or_architectures_give_no_p(seeds: int, architectures: int, has_error: bool) -> None:  # noqa: FBT001 - a case
    rows = [[0.6 + 0.02 * place + 0.01 * seed**2 for seed in range(seeds)] for place in range(architectures)]
    found = _line(_trained("best", [0.9 - 0.03 * seed for seed in range(seeds)]), _uniform(*rows)).uniform
    assert found is not None
    assert found.p_value is None
    assert (found.gain_error is not None) == has_error


def test_a_control_without_all_seeds_of_the_best_is_left_out_and_counted() -> None:
    found = _line(_trained("best", [0.9, 0.8]), _uniform([0.6, 0.7], [0.9])).uniform
    assert found is not None
    assert (found.architectures, found.left_out) == (1, 1)
    assert found.mean == pytest.approx(0.65)


def test_controls_of_like_cost_say_how_far_they_are_from_the_best() -> None:
    near = [_trained("near", [0.7], Control.LIKE_COST, ops=190.0), _trained("far", [0.6], Control.LIKE_COST, ops=216.0)]
    line = _line(_trained("best", [0.9]), *near)
    assert line.uniform is None
    assert line.like_cost is not None
    assert line.like_cost.apart == pytest.approx(0.08)
    assert line.like_cost.gain == pytest.approx(0.25)
    assert line.unlike == 0


def test_controls_that_cost_otherwise_than_the_best_are_left_out_and_counted() -> None:
    """They were drawn around what ranked first, and something dearer was best; uniform ones may cost what they like."""
    drawn = [_trained("near", [0.7], Control.LIKE_COST, ops=190.0), _trained("cheap", [0.2], Control.LIKE_COST, ops=100.0)]
    line = _line(_trained("best", [0.9]), *drawn, _trained("any", [0.5], Control.UNIFORM, ops=100.0))
    assert line.like_cost is not None
    assert (line.like_cost.architectures, line.like_cost.left_out, line.unlike) == (1, 1, 1)
    assert line.like_cost.gain == pytest.approx(0.2)
    assert line.uniform is not None
    assert line.uniform.gain == pytest.approx(0.4)
    alone = _line(_trained("best", [0.9]), drawn[1])
    assert (alone.like_cost, alone.unlike) == (None, 1)


def test_the_best_of_as_many_as_the_steps_paid_for_is_the_mean_over_all_choices() -> None:
    """1,050 images in batches of 100 are 10 steps, four epochs 40: 130 steps pay for three trainings."""
    tests = [0.6, 0.72, 0.65, 0.8, 0.7]
    line = _line(_trained("best", [0.9]), _uniform(*([test] for test in tests)), spent=SpentSteps(130, 1050))
    assert line.trainings_paid == pytest.approx(3.25)
    assert line.random_best == pytest.approx(statistics.fmean(max(chosen) for chosen in combinations(tests, 3)))


def test_the_best_of_more_than_there_are_is_not_guessed() -> None:
    line = _line(_trained("best", [0.9]), _uniform([0.6], [0.7]), spent=SpentSteps(130, 1050))
    assert line.trainings_paid == pytest.approx(3.25)
    assert line.random_best is None
    unknown = _line(_trained("best", [0.9]), _uniform([0.6], [0.7]), spent=SpentSteps(130, None))
    assert (unknown.trainings_paid, unknown.random_best) == (None, None)


def test_before_anything_that_was_found_is_trained_there_is_no_line() -> None:
    assert beside_controls(_uniform([0.6]), [_FACTS], {}) == []
