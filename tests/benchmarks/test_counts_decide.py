"""The published rule's choices follow counts more than accuracies: a finding, reproduced."""

from benchmarks.counts_decide import mean_percentile


def test_with_rewards_in_zero_to_one_accuracy_hardly_matters() -> None:
    """Ten edges, 12 toys, K = 9, T = 3: in per cent the same rule keeps clearly better arms."""
    published, _ = mean_percentile("abandit as published, rewards in [0, 1]", edges=10, repeats=12)
    per_cent, _ = mean_percentile("abandit, rewards in per cent", edges=10, repeats=12)
    assert published < 0.75
    assert per_cent > published + 0.08
