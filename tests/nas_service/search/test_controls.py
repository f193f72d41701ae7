"""Controls: random architectures, live, within the limits, seeded, and half of them of about the pick's cost."""

import pytest

from nas_service.arm_costs import ArmCosts, arm_costs, quantity
from nas_service.catalogue import build_method
from nas_service.search.control import Control
from nas_service.search.controls import TOLERANCE, Costs, draw_controls
from nas_service.search.liveness import live_genotypes
from nas_service.search.strategy import STRATEGIES, Strategy
from nas_service.specs import Component
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import network_cost
from search_spaces.space import SPACES, CellType, SearchSpace, connect_all
from tests.samples import RGB_9, random_genotype

_PRECISION = build_method(Component(name="bnn")).facts.precision
_NAMES = ("ops", "parameters")


def _counted(space: SearchSpace) -> ArmCosts:
    return arm_costs(space, RGB_9, _PRECISION)


def _costs(space: SearchSpace) -> Costs:
    counted = _counted(space)
    more = {key: tuple(quantity(cost, name) for name in _NAMES) for key, cost in counted.more.items()}
    return Costs(tuple(quantity(counted.base, name) for name in _NAMES), more)


def _strategy(space: SearchSpace, seed: int = 0, **most: float) -> Strategy:
    limits = _counted(space).limits(most) if most else None
    return STRATEGIES.get("random").from_settings(space, {}, seed, None, limits)


def _apart(space: SearchSpace, genotype: Genotype, pick: Genotype) -> float:
    """Return the largest distance in a cost, from networks that are counted whole."""
    counted = [network_cost(space, one, RGB_9, _PRECISION) for one in (genotype, pick)]
    return max(abs(quantity(counted[0], name) / quantity(counted[1], name) - 1) for name in _NAMES)


@pytest.mark.parametrize("name", ["abandit-mini", "abandit-general", "cp-nas", "abandit"])
def test_controls_are_live_apart_from_what_is_trained_and_alike_in_cost_where_they_say_so(name: str) -> None:
    space = SPACES.get(name)
    pick = random_genotype(space, 7)
    taken = [pick, random_genotype(space, 8)]
    drawn = draw_controls(_strategy(space), 7, pick, _costs(space), taken)
    genotypes = [one.genotype for one in drawn]
    assert [one.control for one in drawn] == [Control.UNIFORM] * 4 + [Control.LIKE_COST] * 3
    assert len({*genotypes, *taken}) == 9
    assert all(space.dead_node(genotype.choices) is None for genotype in genotypes)
    assert all(space.parse(genotype.to_dict()) == genotype for genotype in genotypes)
    for one in drawn[4:]:
        assert one.apart == pytest.approx(_apart(space, one.genotype, pick))
        assert one.apart <= TOLERANCE
    assert all(one.apart == 0 for one in drawn[:4])


def test_they_keep_the_limits_of_the_search() -> None:
    """Within 30 % of the span above the smallest lie few; every control is one of them."""
    space = SPACES.get("abandit-mini")
    low, high = _counted(space).span(space, "parameters")
    most = low + 0.3 * (high - low)
    strategy = _strategy(space, parameters=most)
    pick = Genotype(space.name, tuple(keys[0] for keys in strategy.possible))
    pick = next(one for one in live_genotypes(space, strategy.region.limits) if one != pick)
    drawn = draw_controls(strategy, 8, pick, _costs(space), [pick])
    assert len(drawn) == 8
    for one in drawn:
        assert quantity(network_cost(space, one.genotype, RGB_9, _PRECISION), "parameters") <= most


def test_they_follow_from_the_seed_and_more_of_them_begin_with_the_same() -> None:
    space = SPACES.get("abandit-general")
    pick, costs = random_genotype(space), _costs(space)
    first = draw_controls(_strategy(space, 3), 4, pick, costs, [pick])
    assert draw_controls(_strategy(space, 3), 4, pick, costs, [pick]) == first
    assert draw_controls(_strategy(space, 4), 4, pick, costs, [pick]) != first
    assert draw_controls(_strategy(space, 3), 8, pick, costs, [pick])[:2] == first[:2]


def test_where_uniform_draws_find_none_of_like_cost_a_climb_does() -> None:
    """The dearest of a large space is far from all of a thousand draws; what the climb ends at is near."""
    space = SPACES.get("abandit-general")
    counted = _counted(space)
    dearest = max(range(len(space.edges[0].operations)), key=lambda place: counted.more[_first(space, place)].ops)
    operation = space.edges[0].operations[dearest]
    pick = space.genotype({(cell.name, edge.name): operation for cell in space.cell_types for edge in space.edges})
    strategy = _strategy(space)
    thousand = strategy.suggest((), 141)
    assert min(_apart(space, genotype, pick) for genotype in thousand) > TOLERANCE
    drawn = draw_controls(strategy, 4, pick, _costs(space), [pick])[2:]
    assert all(one.apart <= TOLERANCE for one in drawn)
    assert all(_apart(space, one.genotype, pick) <= TOLERANCE for one in drawn)


def _first(space: SearchSpace, place: int) -> Choice:
    edge = space.edges[0]
    return next(key for key in space.arms() if key[1:] == (edge.name, edge.operations[place]))


def test_where_nothing_is_of_like_cost_the_nearest_are_taken_and_say_how_far_they_are() -> None:
    """Three edges with a large convolution or none: without any of the three the costs are other ones by far."""
    space = SearchSpace("far", "", (CellType("a"),), connect_all(nodes=2, operations=("skip", "dilated-conv-5x5")), cells=1)
    pick = space.genotype({("a", edge.name): "dilated-conv-5x5" for edge in space.edges})
    assert min(_apart(space, one, pick) for one in live_genotypes(space) if one != pick) > TOLERANCE
    uniform, alike = draw_controls(_strategy(space), 2, pick, _costs(space), [pick])
    left = [one for one in live_genotypes(space) if one not in {pick, uniform.genotype}]
    assert alike.apart == pytest.approx(min(_apart(space, one, pick) for one in left))
    assert alike.apart == pytest.approx(_apart(space, alike.genotype, pick))


def test_a_space_that_is_used_up_gives_none() -> None:
    space = SPACES.get("tiny")
    everything = list(live_genotypes(space))
    assert draw_controls(_strategy(space), 8, everything[0], _costs(space), everything) == []
    left = draw_controls(_strategy(space), 8, everything[0], _costs(space), everything[:-200])
    assert {one.genotype for one in left} <= set(everything[-200:])
    assert len(left) == 8
