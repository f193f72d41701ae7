"""The tally of a training."""

from nas_service.lifecycle import CandidateState
from nas_service.reports import TrainingPhase
from nas_service.storage.models import Candidate
from workers.training_tally import TrainingTally

C = CandidateState


def _row(name: str, state: CandidateState = C.WAITING, done: int = 0) -> Candidate:
    return Candidate(id=name, state=state.value, epochs_done=done)


def test_epochs_and_states_are_counted_and_what_is_told_again_counts_once() -> None:
    rows = [_row("a", C.SUCCEEDED, 4), _row("b", done=1), _row("c"), _row("d")]
    tally = TrainingTally(rows, dict.fromkeys("abcd", 4), best=0.5)
    for epoch, accuracy in ((0, 0.3), (1, 0.6), (0, 0.3)):
        tally.note_epoch("b", epoch, accuracy)
    tally.note_state("b", C.ATTACKING)
    tally.note_state("c", C.STOPPED)
    tally.note_state("d", C.FAILED)
    seen = tally.progress(TrainingPhase.CANDIDATES)
    assert (seen.candidates, seen.finished, seen.failed, seen.under_attack) == (4, 2, 1, 1)
    assert (seen.epochs, seen.total, seen.best_validation_accuracy) == (6, 16, 0.6)


def test_a_control_counts_and_is_never_the_best() -> None:
    tally = TrainingTally([_row("found"), _row("control")], dict.fromkeys(("found", "control"), 2), None, {"control"})
    tally.note_epoch("found", 0, 0.3)
    tally.note_epoch("control", 0, 0.9)
    seen = tally.progress(TrainingPhase.CANDIDATES)
    assert (seen.epochs, seen.best_validation_accuracy) == (2, 0.3)


def test_before_the_first_epoch_there_is_no_best() -> None:
    tally = TrainingTally([_row("a")], {"a": 2}, best=None)
    assert tally.progress(TrainingPhase.LOADING).best_validation_accuracy is None
    tally.note_epoch("a", 0, 0.0)
    assert tally.progress(TrainingPhase.CANDIDATES).best_validation_accuracy == 0.0
