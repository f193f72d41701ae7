"""TrainingTally: how far a training is, counted as its candidates go on."""

from collections.abc import Collection, Mapping, Sequence

from nas_service.lifecycle import CandidateState
from nas_service.reports import TrainingPhase, TrainingProgress
from nas_service.storage.models import Candidate

_WELL = frozenset({CandidateState.SUCCEEDED, CandidateState.STOPPED})


class TrainingTally:
    """Counts states and epochs, so that nobody has to read all candidates for each of them."""

    def __init__(
        self, rows: Sequence[Candidate], epochs: Mapping[str, int], best: float | None, controls: Collection[str] = ()
    ) -> None:
        """Begin with what earlier attempts did.

        Args:
            rows: All candidates.
            epochs: That each is to be trained, by id.
            best: Validation accuracy of any epoch so far.
            controls: Ids of candidates that are trained to compare with: they are never the best.
        """
        self._states = {row.id: CandidateState(row.state) for row in rows}
        self._done = {row.id: row.epochs_done for row in rows}
        self._epochs = dict(epochs)
        self._total = sum(epochs.values())
        self._best = best
        self._controls = controls
        self.full_precision_left = 0

    def epochs_of(self, candidate_id: str) -> int:
        """Return how many epochs a candidate is to be trained."""
        return self._epochs[candidate_id]

    def note_epoch(self, candidate_id: str, epoch: int, validation_accuracy: float) -> None:
        """Count an epoch, from 0; one that is told again counts once."""
        self._done[candidate_id] = max(self._done[candidate_id], epoch + 1)
        if candidate_id not in self._controls:
            self._best = max(validation_accuracy, -1.0 if self._best is None else self._best)

    def note_state(self, candidate_id: str, state: CandidateState) -> None:
        """Count a move."""
        self._states[candidate_id] = state

    def progress(self, phase: TrainingPhase) -> TrainingProgress:
        """Return the figures as they are."""
        states = list(self._states.values())
        return TrainingProgress(
            phase=phase,
            candidates=len(states),
            finished=sum(state in _WELL for state in states),
            failed=states.count(CandidateState.FAILED),
            under_attack=states.count(CandidateState.ATTACKING),
            epochs=sum(self._done.values()),
            total=self._total,
            best_validation_accuracy=self._best,
            full_precision_left=self.full_precision_left,
        )
