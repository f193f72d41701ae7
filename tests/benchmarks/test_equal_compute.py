"""What rivals of a search need is known before it is searched, and is made once."""

from pathlib import Path

from benchmarks.benches import BENCHES, Truth
from benchmarks.equal_compute import Task, missing


def test_all_that_rivals_need_is_told_once_and_their_picks_last(tmp_path: Path) -> None:
    known = Truth(BENCHES["digits"], Path(), tmp_path / "none")
    truth = Truth(BENCHES["digits"], Path(), tmp_path / "kept")
    tasks = [Task(seed, 2, "digits", Path(), tmp_path) for seed in (0, 1)]
    assert not list(missing(tasks, truth))
    truth._known.clear()
    rounds = []
    while new := list(missing(tasks, truth)):
        rounds.append({(entry.genotype.digest, entry.seed) for entry in new})
        assert len(rounds[-1]) == len(new)
        for entry in new:
            validation, test = known.of(entry.genotype, entry.seed)
            truth.keep({"digest": entry.genotype.digest, "seed": entry.seed, "validation": validation, "test": test})
    assert len(rounds[0]) == 8
    assert {seed for _, seed in rounds[0]} == {0, 1}
    assert len(rounds) == 2
    assert not rounds[0] & rounds[1]
    again = Truth(BENCHES["digits"], Path(), tmp_path / "kept")
    again._known.clear()
    again.refresh()
    assert not list(missing(tasks, again))
