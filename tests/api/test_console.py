"""What the command line says of a job that is under way."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.commands.results import print_candidates
from api.console import describe
from api.views import CandidateView, JobView

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRAINING = {"candidates": 2, "finished": 0, "epochs": 40, "total": 40, "best_validation_accuracy": 0.5}
SEARCH = {"samples": 3, "total": 9, "arms": 18, "arms_left": 12, "best_reward": 0.25, "seconds_left": 65.0}


def _job(kind: str, progress: dict[str, Any], state: str = "running") -> JobView:
    return JobView(
        id="1",
        kind=kind,
        name="",
        state=state,
        attempt=1,
        progress=progress,
        error=None,
        parent_id=None,
        created_at=NOW,
        started_at=NOW,
        finished_at=None,
        spec={},
    )


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (_job("search", {}), (0, 0, "running")),
        (_job("search", SEARCH), (3, 9, "3/9 samples, 12/18 arms left, best 25.00 %, 1:05 left")),
        (_job("search", SEARCH, "cancelled"), (3, 9, "3/9 samples, 12/18 arms left, best 25.00 %")),
        (_job("training", {}), (0, 0, "running")),
        (
            _job("training", TRAINING | {"teachers_left": 1}),
            (0, 0, "1 full-precision network(s) first, to learn or to attack from"),
        ),
        (_job("training", TRAINING), (40, 40, "0/2 candidates, 40/40 epochs, best so far 50.00 % validation")),
        (
            _job("training", TRAINING | {"under_attack": 2}),
            (40, 40, "0/2 candidates, 40/40 epochs, 2 under attack, best so far 50.00 % validation"),
        ),
    ],
)
def test_progress_in_words(job: JobView, said: tuple[int, int, str]) -> None:
    assert describe(job) == said


def _candidate(method: str, metrics: dict[str, Any]) -> CandidateView:
    return CandidateView(
        id=f"id-{method}",
        training_id="1",
        architecture_id="1",
        method={"name": method},
        seed=0,
        state="succeeded",
        epochs_done=1,
        validation_accuracy=0.9,
        test_accuracy=0.8,
        metrics=metrics,
        cost={},
        seconds=1.0,
        error=None,
        created_at=NOW,
        finished_at=NOW,
    )


def test_robustness_has_a_table_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    accuracies = {"clean": 0.8, "fgsm": 0.7, "pgd-20": 0.6, "transfer-pgd-20": 0.75}
    robustness = {"eps": 0.1, "accuracies": accuracies, "worst": 0.55, "gradient_masking": False}
    print_candidates("candidates", [_candidate("bnn", {"robustness": robustness}), _candidate("mcn", {})])
    first, second = capsys.readouterr().out.split("test accuracy under attack")
    assert "id-bnn" in first
    assert "id-mcn" in first
    assert "FGSM" not in first
    assert "id-mcn" not in second
    for shown in ("id-bnn", "0.1", "80.00 %", "70.00 %", "60.00 %", "75.00 %", "55.00 %", "no"):
        assert shown in second


def test_candidates_that_were_not_attacked_have_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_candidates("candidates", [_candidate("mcn", {})])
    assert "under attack" not in capsys.readouterr().out
