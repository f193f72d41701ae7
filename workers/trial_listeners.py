"""What a training's driver does with what its trials tell.

Candidates go into the database, full-precision networks are counted. Every write names the attempt, and is refused if it is over.
"""

from collections.abc import Callable

from nas_service.errors import NasError
from nas_service.job_events import AttackTold, EpochTold, FullPrecisionTrained
from nas_service.lifecycle import CandidateState
from nas_service.reports import EpochReport, TrainingPhase
from nas_service.storage import attempts, candidates, events
from nas_service.storage.artifacts import record_artifact
from nas_service.storage.session import Session
from workers.context import JobContext
from workers.training_tally import TrainingTally
from workers.trial import Attacked, Attacking, Began, Done, Failed, News
from workers.trial_signs import TrialSigns


class _Watched:
    """What every listener has from the driver's hold on its job."""

    def __init__(self, context: JobContext, tally: TrainingTally) -> None:
        """Keep both."""
        self._context = context
        self._tally = tally
        self._signs = TrialSigns()

    @property
    def should_end(self) -> bool:
        """Whether all trials should be stopped."""
        return self._context.should_end

    def started(self, name: str) -> None:
        """Note that a trial has a process."""
        self._signs.start(name)
        self._context.mark(known=self._signs.known)

    def holds(self, cpus: float, gpus: float) -> None:
        """Note what all trials that run have together."""
        self._context.holds(cpus, gpus)

    def wait_for(self, reason: str) -> None:
        """Say what keeps every trial from running."""
        self._context.wait_for(reason)

    def go_on(self) -> None:
        """Say that nothing does any more."""
        self._context.go_on()

    def _hear(self, name: str, news: News) -> None:
        self._context.mark(self._signs.hear(name, news), known=self._signs.known)

    def _over(self, name: str) -> None:
        self._signs.end(name)
        self._context.mark(known=self._signs.known)


class CandidateListener(_Watched):
    """Writes every epoch, every move and every end of a candidate with the job's progress, in one transaction."""

    def told(self, name: str, news: News) -> None:
        """Take note of what the trial of a candidate told."""
        self._hear(name, news)
        match news:
            case Began():
                self._tally.note_state(name, CandidateState.TRAINING)
                where = news.worker, news.device, news.resumed_from
                self._commit(lambda session: candidates.begin(session, name, *where, by_search=news.by_search) and False)
            case EpochReport():
                self._tally.note_epoch(name, news.epoch, news.validation_accuracy)
                self._commit(lambda session: self._add_epoch(session, name, news))
            case Attacking():
                self._tally.note_state(name, CandidateState.ATTACKING)
                self._commit(lambda session: candidates.move(session, name, CandidateState.ATTACKING) and False)
            case Attacked():
                self._commit(lambda session: self._tell_attack(session, name, news))
            case Done():
                self._tally.note_epoch(name, news.last.epoch, news.last.validation_accuracy)
                self._end(name, CandidateState.SUCCEEDED, lambda session: self._succeed(session, name, news))
            case Failed():
                self.failed(name, news.error)

    def stopped(self, name: str) -> None:
        """Keep that a trial was ended early, at once."""
        self._over(name)
        self._end(name, CandidateState.STOPPED, lambda session: candidates.move(session, name, CandidateState.STOPPED))

    def failed(self, name: str, error: str) -> None:
        """Keep why a candidate failed, at once."""
        self._over(name)
        failed = CandidateState.FAILED
        self._end(name, failed, lambda session: candidates.move(session, name, failed, error=error))

    def _end(self, name: str, state: CandidateState, write: Callable[[Session], bool]) -> None:
        self._tally.note_state(name, state)
        self._commit(write)

    def _commit(self, write: Callable[[Session], bool]) -> None:
        """Write with the job's progress; it counts as progress if `write` says that something new is kept."""
        context, progress = self._context, self._tally.progress(TrainingPhase.CANDIDATES)
        with context.database.write() as session:
            if write(session):
                state = attempts.renew(session, context.hold, progress, context.usual_s)
            else:
                state = attempts.tell(session, context.hold, progress)
        context.note_state(state)

    def _add_epoch(self, session: Session, name: str, report: EpochReport) -> bool:
        """Keep an epoch, and tell it if it is new."""
        is_new = candidates.add_epoch(session, name, report)
        if is_new:
            figures = report.model_dump(include=set(EpochTold.model_fields))
            told = EpochTold(candidate=name, epochs=self._tally.epochs_of(name), **figures)
            events.record(session, self._context.hold.job_id, told)
        return is_new

    def _tell_attack(self, session: Session, name: str, news: Attacked) -> bool:
        """Tell how an attack ended; that is not kept otherwise before all of them have."""
        told = AttackTold(candidate=name, attack=news.attack, accuracy=news.accuracy)
        events.record(session, self._context.hold.job_id, told)
        return False

    def _succeed(self, session: Session, name: str, news: Done) -> bool:
        if news.metrics is None or news.cost is None:
            raise NasError(f"the trial of candidate {name} ended without figures")
        self._add_epoch(session, name, news.last)
        for kind, stored in news.files.items():
            record_artifact(session, name, kind, stored)
        return candidates.succeed(session, name, news.metrics, news.cost, news.attack_seconds)


class FullPrecisionListener(_Watched):
    """Shows how many full-precision networks are left, and keeps their accuracies as events; names are architectures' ids."""

    def told(self, name: str, news: News) -> None:
        """Take note of what the trial of a network told."""
        self._hear(name, news)
        match news:
            case EpochReport():
                self._show()
            case Done():
                self._tally.full_precision_left -= 1
                self._show(FullPrecisionTrained(architecture=name, validation_accuracy=news.last.validation_accuracy))
            case Failed():
                self.failed(name, news.error)

    def stopped(self, name: str) -> None:
        """Refuse it: nobody compares these networks."""
        raise NasError(f"the full-precision network of architecture {name} was stopped")

    def failed(self, name: str, error: str) -> None:
        """End the training: its candidates cannot do without.

        Raises:
            NasError: Always.
        """
        raise NasError(f"the full-precision network of architecture {name} failed: {error}")

    def _show(self, trained: FullPrecisionTrained | None = None) -> None:
        context = self._context
        with context.database.write() as session:
            progress = self._tally.progress(TrainingPhase.FULL_PRECISION)
            if trained is None:
                state = attempts.tell(session, context.hold, progress)
            else:  # it is kept: another attempt need not train it again
                state = attempts.renew(session, context.hold, progress)
                events.record(session, context.hold.job_id, trained)
        context.note_state(state)
