"""The ladder: each rung has all switches of those below it."""

import pytest

from benchmarks.search_engine import GRAPH, LADDER, ladder
from nas_service.recipes.acceleration import PLAIN, Compilation, Precision


def test_the_whole_ladder_begins_plain_and_ends_with_everything_that_goes_together() -> None:
    rungs = dict(ladder([name for name, _ in LADDER]))
    assert rungs["plain"] == PLAIN
    top = rungs["compiled regions"]
    assert (top.precision, top.compile) == (Precision.BF16, Compilation.REGIONS)
    assert top.cuda_graph
    assert top.channels_last
    assert top.fused_optimizer
    assert not top.shared_sign


def test_rungs_that_are_left_out_leave_their_switch_off() -> None:
    rungs = dict(ladder(["fused optimizer", "bf16"]))
    assert list(rungs) == ["plain", "fused optimizer", "bf16"]
    assert not rungs["bf16"].channels_last
    assert GRAPH not in rungs


def test_a_rung_nobody_knows_is_refused() -> None:
    with pytest.raises(SystemExit, match="warp drive"):
        ladder(["warp drive"])
