"""A real service under floods: somebody else is served, nothing grows, and who guesses keys is held up."""

from pathlib import Path

import pytest

from benchmarks.flood import HEADERS, asking_for_keys, flood, percentile


@pytest.mark.slow
@pytest.mark.parametrize("kind", HEADERS)
def test_a_tight_loop_leaves_others_served(tmp_path: Path, kind: str) -> None:
    """`flood` fails where a single request of somebody else is refused."""
    home = tmp_path / "home"
    home.mkdir()
    with asking_for_keys(home) as (served, keys):
        seen = flood(served, kind, keys, 3000, before_s=2.0)
    assert sum(seen.statuses.values()) == 3000
    assert set(seen.statuses) <= ({200, 429} if kind == "one key" else {401, 429})
    assert percentile(seen.during_ms, 0.5) < 1000, seen
    assert seen.memory_bytes[1] - seen.memory_bytes[0] < 30e6, seen
    answered = seen.statuses.get(200, 0) + len(seen.during_ms)  # each leaves a line; those that were turned away together a few
    assert seen.log_bytes < 10_000 + 500 * answered, seen
