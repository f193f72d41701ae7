"""What a round dropped is told from the arms after it."""

from benchmarks.limited_causes import gone
from nas_service.search.bandit import Arm
from search_spaces.genotype import Choice


def _arm(edge: str, operation: str, pulls: int, upper: float, abandoned: int | None) -> Arm:
    return Arm(Choice("cell", edge, operation), pulls, 0.5, 0.4, upper, abandoned)


def test_what_a_round_dropped_is_judged_among_the_arms_of_its_edge_that_were_left() -> None:
    arms = [
        _arm("a", "x", 9, 1.0, 2),
        _arm("a", "y", 3, 1.2, None),
        _arm("a", "z", 30, 0.1, 1),  # went before
        _arm("b", "x", 3, 1.2, 2),  # though it had the higher bound
        _arm("b", "y", 9, 1.0, None),
        _arm("c", "x", 1, 1.0, None),  # nothing else was left there
    ]
    costs, worths = (
        dict(zip([arm.key for arm in arms], figures, strict=True)) for figures in ([1, 2, 0, 1, 2, 1], [2, 1, 9, 1, 2, 1])
    )
    first, second = gone(arms, 2, costs, worths)
    assert (first.by_bound, first.most_pulled, first.cheap, first.better) == (True, True, True, True)
    assert (second.by_bound, second.most_pulled, second.cheap, second.better) == (False, False, True, False)
