"""The expected growth of a hypervolume against its mean over draws, and Pareto sets under a posterior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from nas_service.arm_costs import arm_costs, format_of
from nas_service.constraints import CountedImage, Objective
from nas_service.search.acquisition import climb
from nas_service.search.aims import END, Aims, hypervolume, undominated
from nas_service.search.encoding import Codes, Encoding, Floats
from nas_service.search.fronts import LOWEST, Costs, OverFront, Reached, gain_over, ranked, starts
from nas_service.search.history import Sample, under_attack
from nas_service.search.picks import CAUTION
from nas_service.search.posterior import Covariates, Posterior, Shares, rank_scores
from search_spaces.cost import Precision
from search_spaces.space import SPACES
from tests.samples import random_genotype

TINY = SPACES.get("tiny")
IMAGE = format_of(CountedImage(channels=1, height=8, width=8))
BINARY = Precision(weight_bits=1, activation_bits=1, scales_per_output=1)
SHARES = Shares(operations=0.2, arms=0.6, noise=0.3)
NAMES: tuple[tuple[Objective, ...], ...] = (("ops",), ("ops", "packed_bytes"))
LEVEL = Covariates(lambda codes: np.full((len(codes), 1), 1e6), np.zeros(1))
EVERY_PAIR = pytest.mark.parametrize("names", NAMES, ids=["one", "two"])


def _aims(names: tuple[Objective, ...]) -> Aims:
    return arm_costs(TINY, IMAGE, BINARY).aims(TINY, names, None)


def _history(count: int, seed: int = 0) -> tuple[Sample, ...]:
    random = np.random.RandomState(seed)
    rewards, others = random.rand(count), np.random.RandomState(100 + seed).rand(count)
    genotypes = [random_genotype(TINY, 1000 * seed + n) for n in range(count)]
    return tuple(Sample(n, genotypes[n], float(rewards[n]), attacked=float(others[n])) for n in range(count))


def _posterior(history: tuple[Sample, ...]) -> Posterior:
    encoding = Encoding(TINY)
    codes = encoding.codes(sample.genotype for sample in history)
    return Posterior(encoding, codes, rank_scores([sample.reward for sample in history]), SHARES)


def _attacked(history: tuple[Sample, ...]) -> Posterior:
    return _posterior(tuple(under_attack(history)))


def _boxes(means: Floats, costs: Floats) -> list[tuple[float, ...]]:
    return [(mean - LOWEST, *(END - cost for cost in row)) for mean, row in zip(means.tolist(), costs.tolist(), strict=True)]


def _sampled(aims: Aims, known: Codes, means: Floats, row: Codes, draws: Floats) -> float:
    """Return the mean growth of the hypervolume over draws of one architecture's z."""
    encoding = Encoding(TINY)
    costs = Costs(encoding, aims)
    had = _boxes(means, costs.of(known))
    before, (own,) = hypervolume(had), costs.of(row[None])
    return float(np.mean([hypervolume([*had, *_boxes(np.array([z]), own[None])]) - before for z in draws]))


@EVERY_PAIR
def test_costs_of_rows_are_those_of_their_choices(names: tuple[Objective, ...]) -> None:
    encoding, aims = Encoding(TINY), _aims(names)
    found = Costs(encoding, aims).of(encoding.all_live)
    expected = [aims.of(encoding.genotype(row).choices) for row in encoding.all_live]
    assert found == pytest.approx(np.array(expected), abs=1e-12)
    assert found.min(axis=0) == pytest.approx(0, abs=1e-12)
    assert found.max(axis=0) == pytest.approx(1, abs=1e-12)


@pytest.mark.few(2)
@EVERY_PAIR
@pytest.mark.parametrize("seed", range(3))
def test_the_expected_growth_is_the_mean_over_draws(names: tuple[Objective, ...], seed: int) -> None:
    """2,000 draws at the normal distribution's quantiles; what is left is its tails beyond 1 / 4,000."""
    aims, encoding = _aims(names), Encoding(TINY)
    posterior = _posterior(_history(6, seed))
    gain = OverFront(Costs(encoding, aims), posterior.codes, posterior.means)
    rows = encoding.all_live[seed::27]
    means, deviations = posterior.predict(rows)
    told = np.exp(gain.of(rows, means, deviations))
    units = np.sort(np.random.RandomState(1).standard_normal(2000))
    units = (units - units.mean()) / units.std()
    for row, mean, deviation, figure in zip(rows, means, deviations, told, strict=True):
        assert figure == pytest.approx(
            _sampled(aims, posterior.codes, posterior.means, row, mean + deviation * units), rel=0.1, abs=2e-3
        )


def test_with_nothing_known_it_is_the_volume_above_the_reference() -> None:
    aims, encoding = _aims(("ops",)), Encoding(TINY)
    gain = OverFront(Costs(encoding, aims), encoding.all_live[:0], np.zeros(0))
    row = encoding.all_live[:1]
    cost = Costs(encoding, aims).of(row)[0, 0]
    assert np.exp(gain.of(row, np.array([1.0]), np.array([1e-6]))) == pytest.approx((END - cost) * (1.0 - LOWEST), rel=1e-4)


@pytest.mark.parametrize("names", [("attacked_accuracy",), ("attacked_accuracy", "ops")], ids=["alone", "with OPs"])
@pytest.mark.parametrize("seed", range(2))
def test_with_accuracies_under_attack_it_is_the_mean_over_draws_of_both(names: tuple[Objective, ...], seed: int) -> None:
    """400 independent draws of both at quantiles in random order: a sum of products, so few draws are near."""
    aims, encoding, random = _aims(names), Encoding(TINY), np.random.RandomState(5)
    posterior, other = _posterior(_history(6, seed)), _attacked(_history(6, seed))
    gain = OverFront(Costs(encoding, aims), posterior.codes, posterior.means, Reached(other, other.means))
    rows, units = encoding.all_live[seed::40], norm.ppf((np.arange(400) + 0.5) / 400)
    told = np.exp(gain.of(rows, *posterior.predict(rows)))
    held, known = [posterior.means.tolist(), other.means.tolist()], [encoding.genotype(row).choices for row in posterior.codes]
    had = aims.points(held, known, LOWEST)
    before = hypervolume(had)
    for row, figure in zip(rows, told, strict=True):
        draws = [
            model.predict(row[None])[0] + model.predict(row[None])[1] * random.permutation(units) for model in (posterior, other)
        ]
        new = aims.points([draw.tolist() for draw in draws], [encoding.genotype(row).choices] * len(units), LOWEST)
        grown = np.array([hypervolume([*had, point]) - before for point in new])
        assert figure == pytest.approx(grown.mean(), abs=4 * grown.std() / len(grown) ** 0.5 + 2e-3)


def test_where_all_stand_as_much_it_is_as_without_attacks_times_what_is_reached() -> None:
    """One strip from the reference to what all reach, and one above it, of which nobody is expected to reach anything."""
    aims, encoding = _aims(("ops",)), Encoding(TINY)
    posterior = _posterior(_history(6))
    certain = Posterior(encoding, posterior.codes, np.full(6, 0.5), replace(SHARES, noise=1e-9, scale=1e-18), LEVEL)
    plain = OverFront(Costs(encoding, aims), posterior.codes, posterior.means)
    both = OverFront(Costs(encoding, aims), posterior.codes, posterior.means, Reached(certain, np.full(6, 0.5)))
    rows = posterior.codes
    means, deviations = posterior.predict(rows)
    assert np.exp(both.of(rows, means, deviations)) == pytest.approx(
        np.exp(plain.of(rows, means, deviations)) * (0.5 - LOWEST), rel=1e-4, abs=1e-5
    )


def test_the_set_under_attack_is_not_dominated_by_anything_sampled() -> None:
    aims, history = _aims(("attacked_accuracy", "ops")), _history(30)
    models = [_posterior(history), _attacked(history)]
    told = ranked(models, history, 100, aims)
    cautious = [(model.means - CAUTION * model.deviations).tolist() for model in models]
    genotypes = [sample.genotype for sample in history]
    points = aims.points(cautious, [genotype.choices for genotype in genotypes], LOWEST)
    assert {entry.genotype for entry in told} == {genotypes[place] for place in undominated(points)}
    assert all(entry.attacked is not None and 0 <= entry.attacked <= 1 for entry in told)
    assert {entry.attacked for entry in ranked(models[:1], history, 100, _aims(("ops",)))} == {None}


@EVERY_PAIR
def test_the_set_that_is_told_is_not_dominated_by_anything_sampled(names: tuple[Objective, ...]) -> None:
    aims, history = _aims(names), _history(40)
    posterior = _posterior(history)
    told = ranked([posterior], history, 100, aims)
    cautious = dict(zip((s.genotype for s in history), posterior.means - CAUTION * posterior.deviations, strict=True))
    points = [(float(figure), *(-cost for cost in aims.of(genotype.choices))) for genotype, figure in cautious.items()]
    assert {entry.genotype for entry in told} == {list(cautious)[place] for place in undominated(points)}
    assert len(told) > 1
    assert ranked([posterior], history, 2, aims) == told[:2]
    assert all(0 <= entry.score <= 1 for entry in told)


def test_without_aims_it_is_one_best() -> None:
    history = _history(20)
    posterior = _posterior(history)
    assert gain_over(posterior.encoding, None, [posterior], -20).by_mean
    assert ranked([posterior], history, 3, None)[0].score >= ranked([posterior], history, 3, None)[2].score


def test_a_climb_by_growth_ends_where_no_neighbour_grows_it_more() -> None:
    aims, history = _aims(("ops",)), _history(12)
    posterior = _posterior(history)
    encoding = posterior.encoding
    gain = gain_over(encoding, aims, [posterior], -20)
    (start,) = starts(encoding, aims, [posterior], [0.3])
    taken = {row.tobytes() for row in posterior.codes}
    found = climb(posterior, start, gain, taken, encoding.possible)
    assert found is not None
    near = encoding.all_live[(encoding.all_live != found.row).sum(axis=1) == 1]
    near = near[[row.tobytes() not in taken for row in near]]
    assert found.value >= gain.of(near, *posterior.predict(near)).max() - 1e-9
