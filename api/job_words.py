"""Jobs in words: how far one is, what it does and what it waits for."""

from api.job_views import JobRow
from api.views import JobView
from nas_service.lifecycle import JobState
from nas_service.reports import (
    AnyProgress,
    RegistrationPhase,
    RegistrationProgress,
    SearchPhase,
    SearchProgress,
    TrainingPhase,
    TrainingProgress,
)
from nas_service.wording import percent


def _left(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} left"


_SEARCH_PHASES = {SearchPhase.LOADING: "reading the data", SearchPhase.PLACING: "starting workers"}
_TRAINING_PHASES = {TrainingPhase.LOADING: "reading the data"}
_REGISTRATION_PHASES = {RegistrationPhase.LISTING: "listing the files", RegistrationPhase.CONCLUDING: "drawing the contact sheet"}


def describe(job: JobView | JobRow) -> tuple[int, int, str]:
    """Return how much of a job is done, of how much, and the rest in words, first of all what it waits for."""
    waits = [f"waits for {job.waiting_for}"] if job.waiting_for else []
    progress = job.progress
    if progress is None:
        return 0, 0, ", ".join(waits) or job.state
    is_running = job.state == JobState.RUNNING
    done, words = _told(progress, is_running)
    return done, progress.total, ", ".join([*waits, *words])


def _told(progress: AnyProgress, is_running: bool) -> tuple[int, list[str]]:  # noqa: FBT001 - one of two ways to say it
    if isinstance(progress, SearchProgress):
        return progress.samples, _search_words(progress, is_running)
    if isinstance(progress, TrainingProgress):
        return progress.epochs, _training_words(progress, is_running)
    return progress.images, _registration_words(progress, is_running)


def _registration_words(progress: RegistrationProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - as above
    words = [_REGISTRATION_PHASES[progress.phase]] if is_running and progress.phase in _REGISTRATION_PHASES else []
    return [*words, f"{progress.images:,}/{progress.total:,} images"] if progress.total else words


def _search_words(progress: SearchProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - one of two ways to say it
    words = [_SEARCH_PHASES[progress.phase]] if is_running and progress.phase in _SEARCH_PHASES else []
    words += [f"{progress.samples}/{progress.total} samples", f"{progress.arms_left}/{progress.arms} arms left"]
    if progress.best_reward is not None:
        words.append(f"best {percent(progress.best_reward)}")
    if is_running and progress.seconds_left is not None:
        words.append(_left(progress.seconds_left))
    return words


def _training_words(progress: TrainingProgress, is_running: bool) -> list[str]:  # noqa: FBT001 - as above
    words = [_TRAINING_PHASES[progress.phase]] if is_running and progress.phase in _TRAINING_PHASES else []
    if is_running and progress.full_precision_left:
        words.append(f"{progress.full_precision_left} full-precision network(s) first, to learn or to attack from")
    words += [f"{progress.finished}/{progress.candidates} candidates", f"{progress.epochs}/{progress.total} epochs"]
    if progress.failed:
        words.append(f"{progress.failed} failed")
    if is_running and progress.under_attack:
        words.append(f"{progress.under_attack} under attack")
    if progress.best_validation_accuracy is not None:
        words.append(f"best so far {percent(progress.best_validation_accuracy)} validation")
    return words
