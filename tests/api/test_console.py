"""What the command line says of a job that is under way."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.console import describe
from api.views import JobView

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
