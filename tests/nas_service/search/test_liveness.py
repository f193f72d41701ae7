"""Live genotypes: what can be held, and draws."""

from collections import Counter

import pytest

from nas_service.search.history import derived_random
from nas_service.search.liveness import balanced_bag, draw_live, draw_uniform, places, possible_arms, region_of, settled
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice
from search_spaces.space import SPACES, ZEROISE, CellType, SearchSpace, connect_all

CUTS = SearchSpace("cuts", "", (CellType("a"), CellType("b")), connect_all(nodes=2, operations=(ZEROISE, "skip")), cells=2)
NINE = SearchSpace("nine", "", (CellType("a"),), connect_all(nodes=4, operations=(ZEROISE, *"bcdefghi")), cells=1)


def _operations(bag: list[tuple[Choice, ...]], place: int) -> list[str]:
    return sorted(choices[place].operation for choices in bag)


def test_nodes_are_the_places_of_their_incoming_edges() -> None:
    """Edges 0-1, 0-2, 1-2 of cell a, then of cell b."""
    assert region_of(CUTS).nodes == ((0,), (1, 2), (3,), (4, 5))


def test_the_only_edge_into_a_node_cannot_be_cut() -> None:
    left = [[key.operation for key in keys] for keys in possible_arms(CUTS)]
    assert left == [["skip"], [ZEROISE, "skip"], [ZEROISE, "skip"]] * 2


def test_the_last_edge_that_carries_cannot_be_cut() -> None:
    arms = places(CUTS)
    arms[1] = [key for key in arms[1] if key.operation == ZEROISE]
    assert [key.operation for key in settled(region_of(CUTS), arms)[2]] == ["skip"]


def test_a_node_that_nothing_can_reach_is_refused_by_name() -> None:
    arms = [[Choice("a", "0-1", ZEROISE)], *places(CUTS)[1:]]
    with pytest.raises(InvalidFieldError, match=r"operations.*0-1.*cell a"):
        settled(region_of(CUTS), arms)


def test_live_genotypes_are_drawn_alike() -> None:
    """Three live pairs of operations enter node 2: 3,000 draws give each 1,000, within 5 standard errors of 26."""
    drawn = Counter(
        tuple(key.operation for key in draw_uniform(region_of(CUTS), possible_arms(CUTS), 0, (index,))[1:3])
        for index in range(3000)
    )
    assert set(drawn) == {(ZEROISE, "skip"), ("skip", ZEROISE), ("skip", "skip")}
    assert all(abs(count - 1000) < 130 for count in drawn.values())


def test_a_node_that_is_nearly_always_drawn_dead_gets_its_likeliest_live_arm() -> None:
    probabilities = [[1.0], [1 - 1e-30, 1e-30], [1 - 1e-20, 1e-20]] * 2
    arms = possible_arms(CUTS)
    chosen = draw_live(region_of(CUTS), arms, probabilities, lambda place, attempt: derived_random(place, attempt).random())
    assert [key.operation for key in chosen] == ["skip", ZEROISE, "skip"] * 2


@pytest.mark.parametrize("seed", range(20))
def test_a_bag_holds_every_possible_arm_once_and_is_live(seed: int) -> None:
    bag = balanced_bag(region_of(NINE), possible_arms(NINE), 9, seed, ("bag",))
    for place, keys in enumerate(possible_arms(NINE)):
        if len(keys) == 9:
            assert _operations(bag, place) == sorted(key.operation for key in keys)
    assert [NINE.dead_node(choices) for choices in bag] == [None] * 9


@pytest.mark.parametrize("seed", range(20))
def test_an_edge_with_fewer_arms_repeats_them_evenly(seed: int) -> None:
    """Nine places for eight arms (0-1, where zeroise is impossible): one appears twice."""
    bag = balanced_bag(region_of(NINE), possible_arms(NINE), 9, seed, ("bag",))
    assert sorted(Counter(_operations(bag, 0)).values()) == [1] * 7 + [2]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("size", [2, 3, 5, 9])
def test_a_bag_covers_every_arm_even_where_half_of_them_cut(seed: int, size: int) -> None:
    bag = balanced_bag(region_of(CUTS), possible_arms(CUTS), size, seed, ("bag",))
    assert {key for choices in bag for key in choices} == {key for keys in possible_arms(CUTS) for key in keys}
    assert [CUTS.dead_node(choices) for choices in bag] == [None] * size


def test_a_bag_without_zeroise_is_what_it_always_was() -> None:
    """Coverage of searches that began before there was zeroise goes on as it began."""
    space = SPACES.get("tiny")
    bag = balanced_bag(region_of(space), possible_arms(space), 3, 0, ("coverage",))
    assert ["".join(choice.operation[0] for choice in choices) for choices in bag] == ["mmdsdm", "ddsdsd", "ssmmms"]
