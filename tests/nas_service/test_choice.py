"""What a search hands to its training: the spread of what it keeps, and controls."""

import pytest

from nas_service.catalogue import build_method
from nas_service.choice import choose
from nas_service.search.control import Control
from nas_service.search.strategy import STRATEGIES, Ranked
from nas_service.specs import Component, SearchTraining
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES
from tests.samples import GREY_8, random_genotype

_PRECISION = build_method(Component(name="bnn")).facts.precision


def _training(**more: object) -> SearchTraining:
    return SearchTraining.model_validate({"methods": ["bnn"], **more})


@pytest.mark.parametrize("controls", [0, 3])
def test_a_neighbour_of_the_best_gives_way_to_what_is_far_from_it(controls: int) -> None:
    """On one edge of six another operation: the second of the list; the third is drawn by itself."""
    space = SPACES.get("tiny")
    strategy = STRATEGIES.get("random").from_settings(space, {}, 0)
    first = random_genotype(space, 1)
    edge = first.choices[0]
    other = next(name for name in space.edges[0].operations if name != edge.operation)
    near = Genotype(space.name, (Choice(edge.cell, edge.edge, other), *first.choices[1:]))
    far = Genotype(
        space.name,
        tuple(
            Choice(key.cell, key.edge, next(name for name in space.edges[0].operations if name != key.operation))
            for key in first.choices
        ),
    )
    ranked = [Ranked(genotype, 0.9) for genotype in (first, near, far)]
    found = choose(_training(top_k=2, controls=controls), strategy, ranked, GREY_8, _PRECISION)
    assert found.places == (0, 2)
    assert (found.told.ranks, found.told.apart) == ((1, 3), 2)
    kinds = [one.control for one in found.controls]
    assert kinds == ([Control.UNIFORM] * 2 + [Control.LIKE_COST] if controls else [])
    assert (found.told.uniform, found.told.like_cost) == (kinds.count(Control.UNIFORM), kinds.count(Control.LIKE_COST))
    assert found.told.within == sum(one.apart <= 0.1 for one in found.controls if one.control is Control.LIKE_COST)
    assert not {one.genotype for one in found.controls} & {first, far}
