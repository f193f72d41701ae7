"""Another search as a prior in a spec: what is filled in, and what is refused by its field."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_service.capacity import Capacity
from nas_service.catalogue import search_strategy
from nas_service.checking.datasets import DatasetSource
from nas_service.checking.specs import Place, check_search
from nas_service.errors import InvalidInputError
from nas_service.search.earlier import PriorSearch
from nas_service.search.history import Sample
from nas_service.search.strategy import STRATEGIES
from nas_service.specs import FromSearch, SearchSpec
from search_spaces.errors import InvalidFieldError
from search_spaces.space import SPACES, SearchSpace, connect_all
from tests.samples import random_genotype

TINY = SPACES.get("tiny")


def _earlier(count: int, space: SearchSpace = TINY) -> PriorSearch:
    return PriorSearch(space, tuple(Sample(i, random_genotype(space, i), i / count) for i in range(count)))


def _checked(earlier: PriorSearch | None, **given: Any) -> SearchSpec:  # noqa: ANN401 - fields of a spec
    def find(asked: FromSearch) -> PriorSearch | None:
        return None if earlier is None else PriorSearch(earlier.space, earlier.history[: asked.samples])

    place = Place(Capacity(cpus=2, gpus=0), DatasetSource(Path(), {}), find)
    return check_search({"space": "tiny", "method": "bnn", "strategy": "abandit-plus", "from_search": "x", **given}, place).spec


def _refused(earlier: PriorSearch | None, **given: Any) -> InvalidFieldError:  # noqa: ANN401 - fields of a spec
    with pytest.raises(InvalidInputError) as caught:
        _checked(earlier, **given)
    (problem,) = caught.value.problems
    return problem


def test_the_number_of_samples_is_filled_in() -> None:
    """Committed samples never change: id and number fix all that the strategy depends on."""
    assert _checked(_earlier(20)).from_search == FromSearch(search="x", samples=20)
    assert _checked(_earlier(20), from_search={"search": "x", "samples": 8}).from_search == FromSearch(search="x", samples=8)
    assert _checked(_earlier(20), strategy="screen-and-train").from_search == FromSearch(search="x", samples=20)
    assert _checked(None, from_search=None).from_search is None


@pytest.mark.parametrize("name", [name for name in STRATEGIES.names() if not STRATEGIES.get(name).takes_prior])
def test_strategies_without_a_model_refuse_by_name(name: str) -> None:
    problem = _refused(_earlier(20), strategy=name)
    assert (problem.field, problem.given) == ("from_search", "x")
    assert str(problem.allowed).startswith(f"null: {name} has no model")
    assert "abandit-plus and screen-and-train" in str(problem.allowed)


def test_the_other_search_has_to_be_there() -> None:
    problem = _refused(None)
    assert (problem.field, problem.given, problem.allowed) == ("from_search.search", "x", "the id of a search that is there")


def test_its_space_has_to_have_the_same_edges_and_some_operation_in_common() -> None:
    problem = _refused(_earlier(20, replace(TINY, name="deeper", edges=connect_all(4, TINY.edges[0].operations))))
    assert problem.field == "from_search.search"
    assert "deeper" in str(problem.given)
    assert "cells and edges of tiny" in str(problem.allowed)
    strange = replace(TINY, name="strange", edges=connect_all(2, ("A", "B", "C")))
    assert "some operation of tiny on the same edge" in str(_refused(_earlier(20, strange)).allowed)
    assert _checked(_earlier(20, replace(TINY, channels=4, cells=7))).from_search is not None


def test_it_takes_enough_samples_of_one_fidelity() -> None:
    problem = _refused(_earlier(5))
    assert (problem.field, problem.given) == ("from_search", "5 samples")
    assert problem.allowed == "at least 6 samples of one fidelity, two for each operation of an edge"
    assert _refused(_earlier(20), from_search={"search": "x", "samples": 5}).field == "from_search.samples"
    problem = _refused(_earlier(20), from_search={"search": "x", "samples": 21})
    assert (problem.field, problem.given, problem.allowed) == ("from_search.samples", 21, "at most 20, which are committed")


def test_arms_may_be_abandoned_beside_it() -> None:
    """The draws that decide know the slope of another search's samples."""
    spec = _checked(_earlier(20), strategy={"name": "abandit-plus", "settings": {"abandon_below": 0.02}})
    assert spec.from_search is not None


def test_no_strategy_is_made_of_fewer_samples_than_the_spec_names() -> None:
    spec = _checked(_earlier(20))
    assert search_strategy(spec, _earlier(20)).prior is not None
    for wrong in (None, _earlier(19)):
        with pytest.raises(InvalidFieldError, match=r"from_search\.samples"):
            search_strategy(spec, wrong)


def test_what_is_faulty_is_told_once_and_not_looked_up() -> None:
    problem = _refused(None, from_search={"samples": 3})
    assert (problem.field, problem.allowed) == ("from_search.search", "a value: this field is required")
