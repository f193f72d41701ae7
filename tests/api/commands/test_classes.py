"""What the command line says of test images by class."""

import re

import pytest

from api.commands.classes import print_weak, print_worst
from api.commands.results import print_comparison
from api.console import console
from api.training_views import AttackView, ComparisonView, LiveNetworkView, MethodView, PairView, RunView
from nas_service.lifecycle import JobState
from tests.reports import class_figures, even


def test_classes_below_half_of_the_accuracy_and_those_without_images_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Accuracy is 202 of 205, and one of three is less than half of it."""
    matrix = [[201, 0, 0, 0], [1, 0, 0, 0], [2, 0, 1, 0], [0, 0, 0, 0]]
    print_weak(class_figures(("common", "ra\nre", "third", "none"), matrix))
    assert capsys.readouterr().out.splitlines() == [
        r"classes below half of the test accuracy: ra\nre 0.00 % (0 of 1), third 33.33 % (1 of 3)",
        "without test images, so that nothing is known of them: none",
    ]


def test_of_many_weak_classes_five_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    matrix = [[0] * 20 for _ in range(20)]
    matrix[0][0] = 100
    for place in range(1, 9):
        matrix[place][0] = 1
    print_weak(class_figures([f"c{place}" for place in range(20)], matrix))
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(
        "c1 0.00 % (0 of 1), c2 0.00 % (0 of 1), c3 0.00 % (0 of 1), c4 0.00 % (0 of 1), c5 0.00 % (0 of 1) and 3 more"
    )
    assert second.endswith("c9, c10, c11, c12, c13 and 6 more")


def test_where_every_class_does_well_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_weak(even(800))
    print_worst(class_figures(("cat", "dog"), [[3, 0], [0, 3]]))
    assert not capsys.readouterr().out


def test_the_worst_classes_have_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_worst(class_figures(("cat", "dog", "eel"), [[3, 1, 0], [0, 1, 3], [0, 0, 2]]))
    rows = [line.replace("│", "").split() for line in capsys.readouterr().out.splitlines() if "of" in line]
    assert rows == [["dog", "25.00", "%", "(1", "of", "4)", "eel", "(3)"], ["cat", "75.00", "%", "(3", "of", "4)", "dog", "(1)"]]


def pair(balanced: float | None) -> PairView:
    """Return a method on an architecture."""
    return PairView(
        method="xnor-net",
        architecture="0199f3a2-7c31-7e55-9f0a-3b2d9c1a7e10",
        search_id="0199f3a2-7c31-7e55-9f0a-3b2d9c1a7e11",
        architecture_rank=1,
        architecture_score=0.5,
        seeds=2,
        runs=[],
        test_mean=0.995,
        test_spread=0.01,
        validation_mean=0.9,
        balanced_mean=balanced,
        balanced_spread=None if balanced is None else 0.02,
        worst_class=None if balanced is None else "a rather long name",
        worst_class_mean=None if balanced is None else 0.125,
        rank=1,
        packed_bytes=10,
        ops=123456.5,
        cost={},
        seconds=1,
        attacked_mean=0.25,
        attacked_spread=None,
        eps=8 / 255,
        attack=AttackView(eps=8 / 255, restarts=3, images=1000, attacks=("clean", "pgd-20")),
    )


def test_a_comparison_shows_balanced_accuracies_in_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 80)
    monkeypatch.setattr(console, "_force_terminal", True)
    methods = [MethodView(method="xnor-net", test_mean=0.995, balanced_mean=0.5, mean_rank=1, score_correlation=None)]
    print_comparison(ComparisonView(pairs=[pair(0.5)], methods=methods, hand_made=[], under_way=[], networks=[], pareto=[]))
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    _, second = out.split("balanced test accuracy by architecture")
    for shown in ("50.00 %", "2.00 %", "12.50 %"):
        assert shown in second
    assert max(map(len, out.splitlines())) <= 80


def test_a_comparison_of_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(ComparisonView(pairs=[], methods=[], hand_made=[], under_way=[], networks=["resnet-20"], pareto=[]))
    assert capsys.readouterr().out == "No candidate is trained to its end yet: there is nothing to compare.\n"


@pytest.mark.parametrize("is_under_way", [True, False])
def test_a_hand_made_network_that_is_missing_is_offered_or_said_to_be_under_way(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, is_under_way: bool
) -> None:
    monkeypatch.setattr(console, "_width", 300)
    live = LiveNetworkView(job="j", kind="search", state=JobState.QUEUED, network="resnet-20(channels=4)", methods=["xnor-net"])
    run = RunView(candidate="c", training="t", seed=0, test_accuracy=0.9, validation_accuracy=0.9, attacked=None)
    print_comparison(
        ComparisonView(
            pairs=[pair(0.5).model_copy(update={"runs": [run]})],
            methods=[],
            hand_made=[],
            under_way=[live] if is_under_way else [],
            networks=["resnet-20"],
            pareto=[],
        )
    )
    shown = capsys.readouterr().out
    assert ("resnet-20(channels=4) is queued, to be trained alike: nas search watch j" in shown) == is_under_way
    assert ("nas training hand-made t trains one" in shown) != is_under_way


def test_without_figures_by_class_a_comparison_has_no_such_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(ComparisonView(pairs=[pair(None)], methods=[], hand_made=[], under_way=[], networks=[], pareto=[]))
    assert "balanced test accuracy" not in capsys.readouterr().out
