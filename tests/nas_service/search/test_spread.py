"""What is trained of a ranked list: the best, and what differs from all before it on half of the edges or more."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from nas_service.search.spread import edges_apart, spread
from search_spaces.genotype import Choice, Genotype


def _genotype(text: str) -> Genotype:
    """Return an architecture with a letter for the operation of each edge."""
    return Genotype("letters", tuple(Choice("a", f"0-{place}", letter) for place, letter in enumerate(text)))


def test_the_first_and_what_is_half_of_the_edges_apart_is_taken_by_rank() -> None:
    """Of four edges two must differ: abaa and aaab do not from aaaa, bbaa does, ccaa does from both, and comes before dddd."""
    ranked = list(map(_genotype, ["aaaa", "abaa", "bbaa", "aaab", "ccaa", "dddd"]))
    found = spread(ranked, 3)
    assert (found.places, found.apart) == ((0, 2, 4), 3)


def test_half_of_an_odd_number_of_edges_is_rounded_up() -> None:
    ranked = list(map(_genotype, ["aaaaa", "bbaaa", "bbbaa"]))
    assert spread(ranked, 2).places == (0, 2)


def test_where_too_few_are_apart_the_best_of_the_others_fill_up() -> None:
    ranked = list(map(_genotype, ["aaaa", "baaa", "abaa", "bbbb", "aaba"]))
    found = spread(ranked, 4)
    assert (found.places, found.apart) == ((0, 1, 2, 3), 2)


@given(st.lists(st.text("abc", min_size=6, max_size=6), unique=True, min_size=1, max_size=12), st.integers(1, 12))
def test_any_list_gives_the_number_that_is_asked_for_in_order_of_rank(texts: list[str], count: int) -> None:
    """The first is always taken, and where nothing fills up all are apart."""
    ranked = list(map(_genotype, texts))
    found = spread(ranked, count)
    assert len(found.places) == min(count, len(ranked))
    assert list(found.places) == sorted(set(found.places))
    assert found.places[0] == 0
    if found.apart == len(found.places):
        assert all(2 * edges_apart(ranked[one], ranked[other]) >= 6 for one, other in combinations(found.places, 2))
    else:  # every one that is left is near to one that was taken
        left = set(range(len(ranked))) - set(found.places)
        assert all(any(2 * edges_apart(ranked[one], ranked[other]) < 6 for other in found.places) for one in left)
