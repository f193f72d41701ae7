"""Another search's samples as a prior: what they tell, how far it is believed, and that a restart repeats it.

Tolerance: sums of 40 terms below 10 in float64, in another order: 1e-9 leaves a factor of a thousand.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from nas_service.search.earlier import PriorSearch, are_alike, common_operations
from nas_service.search.encoding import Encoding
from nas_service.search.evidence import fitted
from nas_service.search.expectation import Expectation
from nas_service.search.history import Sample, derived_random
from nas_service.search.posterior import Covariates, Posterior, Shares
from nas_service.search.prior import told_by
from nas_service.search.strategy import STRATEGIES, Strategy
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES, CellType, SearchSpace, connect_all
from tests.nas_service.search.test_posterior import EVERY_SHARES, _random_codes, _scores
from tests.samples import random_genotype

TINY = SPACES.get("tiny")
HERE = SearchSpace("here", "6 edges of A, B, C", (CellType("c"),), connect_all(3, tuple("ABC")), cells=1)
THERE = replace(HERE, name="there", edges=connect_all(3, tuple("DBA")), cells=2)
EXACT = 1e-9
SIZE = Covariates(lambda codes: codes[:, :2].astype(np.float64) / 4, np.array([0.5, -0.2]), ("size",))
WORTHS = {"A": 0.1, "B": 0.05, "C": 0.0, "D": -0.1}
TAKERS = pytest.mark.parametrize("name", [name for name in STRATEGIES.names() if STRATEGIES.get(name).takes_prior])


def _worth(genotype: Genotype) -> float:
    """Return an accuracy: something of every arm, most of it by its operation."""
    return 0.3 + sum(WORTHS[key.operation] + 0.03 * derived_random(5, key).random() for key in genotype.choices)


def _earlier(space: SearchSpace, count: int, worth: Callable[[Genotype], float] = _worth, fidelity: float = 1.0) -> PriorSearch:
    genotypes = [random_genotype(space, seed) for seed in range(count)]
    return PriorSearch(space, tuple(Sample(i, one, worth(one), None, fidelity) for i, one in enumerate(genotypes)))


def _strategy(name: str, prior: PriorSearch | None, space: SearchSpace = HERE, seed: int = 0) -> Strategy:
    settings = {"abandit-plus": {"samples": 24}, "screen-and-train": {"trainings": 5}}[name]
    return STRATEGIES.get(name).from_settings(space, settings, seed).warmed(prior)


def _search(
    strategy: Strategy, wave: int = 1, history: tuple[Sample, ...] = (), worth: Callable[[Genotype], float] = _worth
) -> tuple[Sample, ...]:
    while genotypes := strategy.suggest(history, wave):
        first = len(history)
        new = [Sample(first + i, one, worth(one), None, strategy.fidelity(first + i)) for i, one in enumerate(genotypes)]
        history = (*history, *new)
    return history


@EVERY_SHARES
def test_an_expectation_is_the_mean_of_its_posterior(shares: Shares) -> None:
    codes = _random_codes(TINY, 40)
    posterior = Posterior(Encoding(TINY), codes, _scores(40), shares, SIZE)
    everything = Encoding(TINY).all_live
    expectation = Expectation(posterior)
    assert expectation(everything) == pytest.approx(posterior.expect(everything), abs=EXACT)
    edges, operations = np.divmod(np.arange(18), 3)
    neighbours = np.repeat(everything[77:78], 18, axis=0)
    neighbours[np.arange(18), edges] = operations
    for rows in (neighbours, neighbours[:1], neighbours[:2], everything[:0]):
        assert expectation(rows) == pytest.approx(posterior.expect(rows), abs=EXACT)


def test_an_operation_without_a_number_adds_nothing_alone_or_among_neighbours() -> None:
    posterior = Posterior(Encoding(TINY), _random_codes(TINY, 40), _scores(40), Shares(0.3, 0.7, 0.3))
    expectation, (row,) = Expectation(posterior), _random_codes(TINY, 1, first_seed=50)
    rows = np.repeat(row[None], 7, axis=0)
    rows[np.arange(1, 7), np.arange(6)] = -1
    far = np.vstack([rows, _random_codes(TINY, 9, first_seed=60)])
    assert expectation(rows) == pytest.approx(posterior.expect(rows), abs=EXACT)
    assert expectation(rows) == pytest.approx(expectation(far)[:7], abs=EXACT)


def test_a_prior_is_the_other_models_mean_standardised_over_this_space() -> None:
    """In the order of the other's operations and of its places, which need not be this space's."""
    two = (CellType("a"), CellType("b"))
    here, there = replace(HERE, cell_types=two), replace(THERE, cell_types=two[::-1], edges=connect_all(3, tuple("CBA")))
    prior, encoding = _earlier(there, 60), Encoding(here)
    rows = encoding.codes(random_genotype(here, seed) for seed in range(20))
    told = told_by(prior, encoding, 0)(rows)
    again = [_moved(encoding.genotype(row), there) for row in rows]
    means = fitted(Encoding(there), prior.history).expect(Encoding(there).codes(again))
    assert np.corrcoef(told, means)[0, 1] == pytest.approx(1, abs=EXACT)
    everything = told_by(_earlier(THERE, 60), Encoding(HERE), 0)(Encoding(HERE).all_live)
    assert (everything.mean(), everything.std()) == pytest.approx((0, 1), abs=EXACT)


def _moved(genotype: Genotype, space: SearchSpace) -> Genotype:
    """Return the genotype of another space that holds the same operations on the same edges."""
    held = {(cell, edge): operation for cell, edge, operation in genotype.choices}
    places = [(cell.name, edge.name) for cell in space.cell_types for edge in space.edges]
    return Genotype(space.name, tuple(Choice(*place, held[place]) for place in places))


def test_operations_that_the_other_space_does_not_have_count_nothing() -> None:
    """A is good in the other space and C is unknown there: C stands between what is good and what is bad there."""
    encoding = Encoding(replace(HERE, edges=connect_all(3, tuple("ABCEF"))))
    told = told_by(_earlier(THERE, 80), encoding, 0)
    base = encoding.codes([random_genotype(encoding.space, 3)])[0]
    a, _, c, e, f = range(5)
    rows = np.stack([[operation, *base[1:]] for operation in (a, c, e, f)])
    good, *unknown = told(rows)
    assert unknown == pytest.approx([unknown[0]] * 3, abs=EXACT)
    assert good > unknown[0]


def test_fidelities_are_not_mixed_and_the_highest_with_enough_samples_is_told() -> None:
    short, whole = _earlier(HERE, 20, fidelity=0.1).history, _earlier(HERE, 6).history
    assert PriorSearch(HERE, (*short, *whole)).needed == 6
    assert PriorSearch(HERE, (*short, *whole)).told == whole
    assert PriorSearch(HERE, (*short, *whole[:5])).told == short
    assert PriorSearch(HERE, short[:5]).fidelity is None


def test_spaces_are_alike_by_cells_and_edges() -> None:
    assert are_alike(HERE, THERE)
    assert common_operations(HERE, THERE) == {"A", "B"}
    assert not are_alike(HERE, replace(HERE, edges=connect_all(2, tuple("ABC"))))
    assert not are_alike(HERE, replace(HERE, cell_types=(CellType("other"),)))


@TAKERS
def test_a_prior_that_is_right_is_believed_and_one_that_is_upside_down_is_refuted(name: str) -> None:
    slopes = {}
    for kind, worth in (("right", _worth), ("opposite", lambda genotype: 1 - _worth(genotype))):
        strategy = _strategy(name, _earlier(HERE, 60, worth))
        history = _search(strategy)
        told = [belief for belief in strategy.beliefs(history) if belief.covariate == "prior search"]
        assert told[0].expected == 0.7
        assert all(belief.deviation < 1 for belief in told)
        slopes[kind] = told[0].slope
    assert slopes["right"] > 0.4
    assert slopes["opposite"] < -0.2


def test_what_another_search_found_is_tried_as_soon_as_one_bag_is_over() -> None:
    """Where every arm has a worth of its own, three samples tell little: what is tried then is better for the other search."""

    def worth(genotype: Genotype) -> float:
        return sum(derived_random(5, key).random() for key in genotype.choices) / len(genotype.choices)

    tried: dict[bool, list[float]] = {}
    for warm in (True, False):
        prior = _earlier(HERE, 60, worth) if warm else None
        made = [STRATEGIES.get("abandit-plus").from_settings(HERE, {"samples": 6}, seed).warmed(prior) for seed in range(8)]
        tried[warm] = [worth(_search(strategy, worth=worth)[3].genotype) for strategy in made]
    assert (np.array(tried[True]) > np.array(tried[False])).sum() >= 7


@TAKERS
@pytest.mark.parametrize("wave", [1, 3])
def test_a_restart_with_the_same_prior_goes_on_the_same(name: str, wave: int) -> None:
    history = _search(_strategy(name, _earlier(THERE, 60)), wave)
    for length in range(0, len(history), 3):
        fresh = _strategy(name, _earlier(THERE, 60))
        assert fresh.suggest(history[:length], 1)[0] == history[length].genotype or wave > 1
        assert fresh.arms(history[:length]) == _strategy(name, _earlier(THERE, 60)).arms(history[:length])
    committed = history[: len(history) // wave // 2 * wave]
    assert _search(_strategy(name, _earlier(THERE, 60)), wave, committed) == history


@TAKERS
def test_without_a_prior_nobody_tells_of_one(name: str) -> None:
    strategy = _strategy(name, None)
    assert {belief.covariate for belief in strategy.beliefs(_search(strategy))} <= {"screening", "size"}
    assert strategy.beliefs(()) == ()
