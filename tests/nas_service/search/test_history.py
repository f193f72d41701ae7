"""Derived randomness."""

from nas_service.search.history import derived_random, permutation


def test_streams_are_the_same_on_every_machine() -> None:
    """Written down once: a change would make resumed searches differ from uninterrupted ones."""
    assert derived_random(0, "sample", 7, "a", "0-1").random() == 0.9858235299331707
    assert permutation(derived_random(3, "coverage"), 5) == [0, 1, 2, 4, 3]


def test_different_paths_give_different_streams() -> None:
    values = {derived_random(seed, name, index).random() for seed in range(3) for name in "ab" for index in range(3)}
    assert len(values) == 18


def test_a_permutation_holds_every_index_once() -> None:
    assert sorted(permutation(derived_random(0), 9)) == list(range(9))
