"""Random search with shared weights."""

from collections import Counter

from nas_service.search.history import Sample
from nas_service.search.strategy import STRATEGIES
from search_spaces.space import SPACES


def test_it_takes_as_many_samples_as_the_anti_bandit_unless_told() -> None:
    for space in (SPACES.get("tiny"), SPACES.get("abandit-general")):
        budget = STRATEGIES.get("abandit").from_settings(space, {}, 0).total
        assert STRATEGIES.get("random").from_settings(space, {}, 0).total == budget
        assert STRATEGIES.get("random").from_settings(space, {"samples": 5}, 0).total == 5


def test_every_operation_is_drawn_equally_often() -> None:
    """900 draws an edge of 3 arms: 300 each, within 5 standard errors of 14."""
    strategy = STRATEGIES.get("random").from_settings(SPACES.get("tiny"), {"samples": 900}, 7)
    counts = Counter(choice for genotype in strategy.suggest((), 900) for choice in genotype.choices)
    assert len(counts) == 18
    assert all(abs(count - 300) < 71 for count in counts.values())


def test_arms_have_plain_means() -> None:
    strategy = STRATEGIES.get("random").from_settings(SPACES.get("tiny"), {"samples": 6}, 7)
    genotypes = strategy.suggest((), 6)
    history = tuple(Sample(i, genotype, i / 10) for i, genotype in enumerate(genotypes))
    for arm in strategy.arms(history):
        seen = [s.reward for s in history if arm.key in s.genotype.choices]
        assert arm.pulls == len(seen)
        assert arm.abandoned_round is None
        assert arm.mean == (sum(seen) / len(seen) if seen else None)
