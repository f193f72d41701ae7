"""Genotype: a value with a canonical form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Choice, Genotype
from search_spaces.space import SPACES
from tests.samples import random_genotype, tiny_genotype


def test_the_digest_is_stable_between_versions() -> None:
    """A digest that changed would orphan every stored genotype: this one was computed once and written down."""
    assert tiny_genotype("skip").to_json() == (
        '{"cells":{"a":{"0-1":"skip","0-2":"skip","1-2":"skip"},"b":{"0-1":"skip","0-2":"skip","1-2":"skip"}},"space":"tiny"}'
    )
    assert tiny_genotype("skip").digest == "9f4f9865d2cd111d5b45974405242f0590dc2c032d07419a47341bbb71bc3f76"


def test_json_does_not_depend_on_the_order_of_choices() -> None:
    genotype = random_genotype(SPACES.get("tiny"))
    turned = Genotype(genotype.space, tuple(reversed(genotype.choices)))
    assert turned.to_json() == genotype.to_json()
    assert turned.digest == genotype.digest


@given(st.integers(0, 10_000))
def test_json_round_trip_gives_an_equal_value(seed: int) -> None:
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space, seed)
    assert space.parse(json.loads(genotype.to_json())) == genotype


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_different_genotypes_have_different_digests(left: int, right: int) -> None:
    space = SPACES.get("abandit-general")
    first, second = random_genotype(space, left), random_genotype(space, right)
    assert (first == second) == (first.digest == second.digest)


def test_operation_finds_the_choice_of_an_edge() -> None:
    genotype = Genotype("s", (Choice("a", "0-1", "skip"), Choice("b", "0-1", "pool")))
    assert genotype.operation("b", "0-1") == "pool"
    with pytest.raises(KeyError):
        genotype.operation("b", "1-2")


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ([], "genotype"),
        ({"space": "tiny"}, "genotype.cells"),
        ({"space": 3, "cells": {}}, "genotype.space"),
        ({"space": "tiny", "cells": {"a": []}}, "genotype.cells.a"),
        ({"space": "tiny", "cells": {"a": {"0-1": 7}}}, "genotype.cells.a.0-1"),
        ({"space": "tiny", "cells": {"a": {"0-1": "skip"}}, "more": 1}, "genotype.more"),
    ],
)
def test_a_wrong_shape_names_the_field(payload: object, field: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        Genotype.from_dict(payload)
    assert caught.value.field == field


def test_text_that_is_no_json_says_where() -> None:
    with pytest.raises(InvalidFieldError, match="line 1 column 2"):
        Genotype.from_json("{")


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000], ids=["brackets", "digits"])
def test_text_that_python_does_not_read_is_refused_as_well(text: str) -> None:
    with pytest.raises(InvalidFieldError, match=r"genotype: '.*\.\.\. is not allowed; allowed: JSON \("):
        Genotype.from_json(text)


def test_what_a_message_quotes_of_a_genotype_is_printable() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        Genotype.from_dict({"space": "tiny", "cells": {"a\x1b[2J\nb\ud800": 1}})
    assert str(caught.value).startswith(r"genotype.cells.a\x1b[2J b\ud800: 1 is not allowed")


def test_an_operation_that_the_space_does_not_allow_is_named_with_those_it_does() -> None:
    payload = tiny_genotype("skip").to_dict()
    payload["cells"]["b"]["1-2"] = "separable-conv-3x3"  # type: ignore[index]  # a dictionary, typed as object
    with pytest.raises(InvalidFieldError, match=r"genotype.cells.b.1-2: .*one of: skip, max-pool-3x3, dilated-conv-3x3"):
        SPACES.get("tiny").parse(payload)


def test_a_missing_edge_and_an_unknown_cell_are_named() -> None:
    space = SPACES.get("tiny")
    operations = {(c.cell, c.edge): c.operation for c in tiny_genotype().choices}
    del operations["a", "0-2"]
    with pytest.raises(InvalidFieldError, match=r"genotype\.cells\.a\.0-2"):
        space.genotype(operations)
    with pytest.raises(InvalidFieldError, match=r"genotype\.cells\.z\.0-1"):
        space.genotype({**operations, ("a", "0-2"): "skip", ("z", "0-1"): "skip"})


def test_a_genotype_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match=r"genotype.space: 'tiny' is not allowed; allowed: abandit-general"):
        SPACES.get("abandit-general").parse(tiny_genotype().to_dict())


def test_equal_choices_of_genotypes_that_were_read_are_one_object() -> None:
    """A long history is read in a tenth of the memory."""
    first, second = (Genotype.from_dict(json.loads(json.dumps(tiny_genotype().to_dict()))) for _ in range(2))
    assert first == second
    assert all(one is other for one, other in zip(first.choices, second.choices, strict=True))
