"""What the command line shows of comparisons and samples where a terminal has 80 columns: no figure is broken."""

import re

import pytest

from api.commands.results import print_comparison
from api.commands.search_readers import print_samples
from api.console import console
from api.training_views import ComparisonView, ControlLineView, ControlsView, HandMadeView, MethodView
from nas_service.search.control import Control
from tests.api.commands.test_classes import pair

ID, METHOD = "0199f3a2-7c31-7e55-9f0a-3b2d9c1a7e10", "react-net(preset=adambnn)"
SAMPLE = {
    "index": 12345,
    "wave": 999,
    "reward": 0.7512,
    "clean_accuracy": 0.7512,
    "attacked_accuracy": None,
    "fidelity": 0.125,
    "steps": 1200,
    "ops": 123456789.25,
    "packed_bytes": 1234567,
    "seconds": 1234.5678,
    "digest": "0123456789abcdef",
}


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> "Lines":
    """Return what was printed, without colours, in so many columns of a terminal."""
    monkeypatch.setattr(console, "_width", getattr(request, "param", 80))
    monkeypatch.setattr(console, "_force_terminal", True)
    return Lines(capsys)


class Lines:
    """Lines that were printed since they were last asked for."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        """Keep what captures them."""
        self._captured = captured

    def __call__(self) -> list[str]:
        """Return them."""
        return re.sub(r"\x1b\[[\d;]*m", "", self._captured.readouterr().out).splitlines()


def _controls(kind: Control, p_value: float | None) -> ControlsView:
    more = {"architectures": 16, "left_out": 0, "mean": 0.9012, "spread": 0.0123, "best": 0.9234, "apart": 0.1, "gain": 0.0345}
    return ControlsView.model_validate({"control": kind, **more, "gain_error": 0.0045, "p_value": p_value})


def test_a_comparison_breaks_no_figure_in_80_columns(lines: Lines) -> None:
    beside = ControlLineView(
        method=METHOD,
        search_id=ID,
        architecture=ID,
        test_mean=0.9567,
        test_spread=0.0031,
        seeds=3,
        uniform=_controls(Control.UNIFORM, 0.0123),
        like_cost=_controls(Control.LIKE_COST, None),
        unlike=0,
        trainings_paid=None,
        random_best=None,
    )
    made = HandMadeView(
        method=METHOD,
        architecture=ID,
        network="resnet-20(channels=4)",
        hand_made=ID,
        training=ID,
        seeds=3,
        test_mean=0.8765,
        test_spread=0.01,
        ops_ratio=1.12,
        bytes_ratio=0.98,
        gain=0.0222,
        gain_error=0.0033,
    )
    pairs = [pair(0.5678).model_copy(update={"method": METHOD, "control": control}) for control in (None, Control.LIKE_COST)]
    methods = [MethodView(method=METHOD, test_mean=0.9951, balanced_mean=0.5678, mean_rank=1, score_correlation=0.71)]
    compared = ComparisonView(pairs=pairs, methods=methods, hand_made=[made], under_way=[], networks=[], pareto=[])
    print_comparison(compared.model_copy(update={"controls": [beside]}))
    shown = lines()
    assert max(map(len, shown)) <= 80
    words = {word for line in shown for word in re.split(r"[│\s]+", line)}
    assert words >= {"0199f3a2-7c31", "(like-cost)", "99.50", "56.78", "90.12", "1.23", "92.34", "+3.45", "0.45", "0.0123"}
    assert words >= {"95.67", "16", "+2.22", "0.33", "1.12", "0.98", "87.65", "12.50", "one-sided", "architecture"}


@pytest.mark.parametrize(("lines", "left_out"), [(80, "wave, steps, seconds"), (159, "")], indirect=["lines"])
def test_samples_are_whole_and_what_has_no_room_is_named(lines: Lines, left_out: str) -> None:
    print_samples(f"samples of {ID}", [SAMPLE])
    text = lines()
    told = "".join(text).partition("left out")[2]
    headings = {"sample", "wave", "reward", "fidelity", "steps", "OPs", "seconds", "architecture"}
    names = {word for line in text for word in re.split(r"[┃\s]+", line) if "┃" in line}
    assert headings - names == set(filter(None, left_out.split(", ")))
    assert told.startswith(f", since this terminal is narrow: {left_out};" if left_out else "")
    assert bool(told) == bool(left_out)
    figures = ["12345", "999", "0.7512", "0.1250", "1200", "123,456,789", "1,234,567", "1,234.6", "0123456789ab"]
    (row,) = (line for line in text if "│" in line)
    assert [each for each in figures if each not in row] == (["999", "1200", "1,234.6"] if left_out else [])


def test_accuracy_is_told_beside_the_reward_where_it_is_another_figure(lines: Lines) -> None:
    print_samples("samples", [SAMPLE])
    assert "clean" not in "".join(lines())
    print_samples("samples", [SAMPLE | {"reward": 0.5, "attacked_accuracy": 0.25}])
    assert re.search(r"0\.5000 *│ 0\.7512 *│ 0\.2500", "".join(lines()))
