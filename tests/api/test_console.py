"""What the command line says of a job that is under way."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from api.commands.results import print_candidates
from api.console import console, print_table, watch
from api.job_words import describe
from api.views import CandidateView, JobView
from nas_service.lifecycle import CandidateState, JobState
from nas_service.reports import (
    AnyProgress,
    CandidateMetrics,
    RegistrationPhase,
    RegistrationProgress,
    RobustnessFigures,
    SearchPhase,
    SearchProgress,
    TrainingPhase,
    TrainingProgress,
)
from tests.reports import class_figures, epoch_report, even, metrics

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TRAINING = TrainingProgress(
    phase=TrainingPhase.CANDIDATES, candidates=2, finished=0, epochs=40, total=40, best_validation_accuracy=0.5
)
SEARCH = SearchProgress(
    phase=SearchPhase.SAMPLING, samples=3, total=9, arms=18, arms_left=12, best_reward=0.25, seconds_left=65.0
)

DECODING = RegistrationProgress(phase=RegistrationPhase.DECODING, images=1500, total=3000)


def _job(progress: AnyProgress | None, state: str = "running", waiting_for: str | None = None) -> JobView:
    return JobView(
        id="1",
        kind="search" if progress is None else progress.kind,
        name="",
        state=JobState(state),
        attempt=1,
        waiting_for=waiting_for,
        progress=progress,
        error=None,
        parent_id=None,
        created_at=NOW,
        started_at=NOW,
        committed_at=None,
        finished_at=None,
        spec={},
    )


def _changed(progress: SearchProgress | TrainingProgress, **changes: object) -> SearchProgress | TrainingProgress:
    return progress.model_copy(update=changes)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (_job(None), (0, 0, "running")),
        (_job(None, "queued", "its turn: 2 queued before it"), (0, 0, "waits for its turn: 2 queued before it")),
        (_job(SEARCH), (3, 9, "3/9 samples, 12/18 arms left, best 25.00 %, 1:05 left")),
        (_job(SEARCH, "cancelled"), (3, 9, "3/9 samples, 12/18 arms left, best 25.00 %")),
        (
            _job(SEARCH, "paused", "somebody to resume it"),
            (3, 9, "waits for somebody to resume it, 3/9 samples, 12/18 arms left, best 25.00 %"),
        ),
        (
            _job(_changed(SEARCH, phase=SearchPhase.LOADING, samples=0, best_reward=None, seconds_left=None)),
            (0, 9, "reading the data, 0/9 samples, 12/18 arms left"),
        ),
        (
            _job(_changed(TRAINING, full_precision_left=1, epochs=0, best_validation_accuracy=None)),
            (0, 40, "1 full-precision network(s) first, to learn or to attack from, 0/2 candidates, 0/40 epochs"),
        ),
        (_job(TRAINING), (40, 40, "0/2 candidates, 40/40 epochs, best so far 50.00 % validation")),
        (_job(RegistrationProgress(phase=RegistrationPhase.LISTING)), (0, 0, "listing the files")),
        (_job(DECODING), (1500, 3000, "1,500/3,000 images")),
        (
            _job(DECODING, "queued", "its turn"),
            (1500, 3000, "waits for its turn, 1,500/3,000 images"),
        ),
        (
            _job(_changed(TRAINING, under_attack=2, failed=1)),
            (40, 40, "0/2 candidates, 40/40 epochs, 1 failed, 2 under attack, best so far 50.00 % validation"),
        ),
    ],
)
def test_progress_in_words(job: JobView, said: tuple[int, int, str]) -> None:
    assert describe(job) == said


@pytest.mark.parametrize("last", ["succeeded", "failed"])
def test_a_watcher_is_told_once_when_the_data_were_read_or_the_job_is_over(last: str) -> None:
    loading = _job(_changed(SEARCH, phase=SearchPhase.LOADING))
    ways = {"succeeded": [_job(None, "queued"), loading, _job(SEARCH), _job(SEARCH)], "failed": [loading]}
    coming, told = iter([*ways[last], _job(SEARCH, last)]), list[tuple[str, bool]]()
    screen = Console(file=io.StringIO())
    ended = watch(lambda: next(coming), screen, lambda job: told.append((job.state, job.progress == SEARCH)))
    assert ended.state == last
    assert told == [("running" if last == "succeeded" else "failed", True)]


def _candidate(method: str, known: CandidateMetrics) -> CandidateView:
    return CandidateView(
        id=f"id-{method}",
        training_id="1",
        architecture_id="1",
        method={"name": method},
        seed=0,
        state=CandidateState.SUCCEEDED,
        epochs_done=1,
        validation_accuracy=0.9,
        test_accuracy=0.8,
        metrics=known,
        cost={},
        seconds=1.0,
        worker=None,
        device=None,
        error=None,
        created_at=NOW,
        started_at=NOW,
        finished_at=NOW,
    )


def test_robustness_has_a_table_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    accuracies = {"clean": 0.8, "fgsm": 0.7, "pgd-20": 0.6, "transfer-pgd-20": 0.75}
    stood = RobustnessFigures(
        eps=0.1, restarts=1, images=50, accuracies=accuracies, worst=0.55, masked_by=(), validation_pgd_20=0.6
    )
    attacked = metrics().model_copy(update={"robustness": stood})
    print_candidates("candidates", [_candidate("bnn", attacked), _candidate("mcn", metrics())])
    first, second = capsys.readouterr().out.split("test accuracy under attack")
    assert "id-bnn" in first
    assert "id-mcn" in first
    assert "FGSM" not in first
    assert "id-mcn" not in second
    for shown in ("id-bnn", "0.1", "80.00 %", "70.00 %", "60.00 %", "75.00 %", "55.00 %", "no"):
        assert shown in second


def test_where_classes_differ_in_size_the_balanced_accuracy_stands_in_the_one_row_of_the_candidate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_width", 140)
    uneven = CandidateMetrics.of(epoch_report(), even(900), class_figures(("common", "rare"), [[200, 0], [1, 0]]), None)
    tested = _candidate("bnn", uneven).model_copy(update={"test_accuracy": uneven.test_accuracy})
    print_candidates("candidates", [tested, _candidate("mcn", metrics())])
    shown = capsys.readouterr().out
    assert (shown.count("id-bnn"), shown.count("id-mcn")) == (1, 1)
    row = shown.splitlines()[2]
    assert "id-bnn" in row
    assert "99.50 %, 50.00 % balanced" in row
    assert "balanced: the mean over the classes" in shown


def test_classes_of_one_size_have_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_candidates("candidates", [_candidate("mcn", metrics())])
    assert "balanced" not in capsys.readouterr().out


def test_no_cell_of_a_table_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("names", ["name"], [("\x1b[2Jgone\rover",), ("two\nlines",)])
    out = capsys.readouterr().out
    assert "\\x1b[2Jgone\\rover" in out
    assert "two\\n" not in out


def test_candidates_that_were_not_attacked_have_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_candidates("candidates", [_candidate("mcn", metrics())])
    assert "under attack" not in capsys.readouterr().out
