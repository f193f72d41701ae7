"""Events as the API gives them: one view a kind, told apart by `kind`; and what streams tell beside events. No FastAPI here."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from api.views import View
from nas_service.job_events import (
    AbandonedTold,
    AttackTold,
    AttemptLost,
    AttemptReleased,
    BestNotKept,
    BestTold,
    CandidateTold,
    DataRead,
    EndedEarly,
    EpochTold,
    FullPrecisionTrained,
    OtherTold,
    PhaseTold,
    RoundTold,
    StateTold,
    TrainingChosen,
    WaveTold,
)
from nas_service.lifecycle import JobState
from nas_service.reports import Progress


class _EventView(View):
    """Base: something that happened to a job."""

    id: int = Field(description="Grows: of two events of a job, or of two moves of any jobs, the later one has the larger id.")
    created_at: datetime


class StateEvent(_EventView):
    """The job moved."""

    kind: Literal["state"]
    data: StateTold


class PhaseEvent(_EventView):
    """The job does something else now."""

    kind: Literal["phase"]
    data: PhaseTold


class WaveEvent(_EventView):
    """Samples were committed together."""

    kind: Literal["wave"]
    data: WaveTold


class RoundEvent(_EventView):
    """A round ended."""

    kind: Literal["round"]
    data: RoundTold


class AbandonedEvent(_EventView):
    """Arms were dropped at the end of a round."""

    kind: Literal["abandoned"]
    data: AbandonedTold


class BestEvent(_EventView):
    """A sample is better than all before it; of several in a wave the best is told."""

    kind: Literal["best"]
    data: BestTold


class EndedEarlyEvent(_EventView):
    """A search found nothing more to sample."""

    kind: Literal["search.ended_early"]
    data: EndedEarly


class TrainingChosenEvent(_EventView):
    """A search chose what is trained of what it keeps, and drew controls."""

    kind: Literal["search.chosen"]
    data: TrainingChosen


class BestNotKeptEvent(_EventView):
    """A search ended before its work was done, and what it found could not be kept."""

    kind: Literal["search.best_not_kept"]
    data: BestNotKept


class CandidateEvent(_EventView):
    """A candidate moved."""

    kind: Literal["candidate"]
    data: CandidateTold


class EpochEvent(_EventView):
    """A candidate was trained for an epoch."""

    kind: Literal["epoch"]
    data: EpochTold


class AttackEvent(_EventView):
    """An attack on a candidate ended."""

    kind: Literal["attack"]
    data: AttackTold


class FullPrecisionEvent(_EventView):
    """A full-precision network, to learn from or to attack from, is trained."""

    kind: Literal["full-precision.trained"]
    data: FullPrecisionTrained


class DataReadEvent(_EventView):
    """A job read its data for the first time; every later attempt must find the same."""

    kind: Literal["data.read"]
    data: DataRead


class LostEvent(_EventView):
    """The driver of an attempt is gone."""

    kind: Literal["lost"]
    data: AttemptLost


class ReleasedEvent(_EventView):
    """An attempt let the job go, for another one to go on."""

    kind: Literal["released"]
    data: AttemptReleased


class OtherEvent(_EventView):
    """Something that this version does not know, or cannot read: another version wrote it."""

    kind: Literal["other"]
    data: OtherTold


AnyEvent = (
    StateEvent
    | PhaseEvent
    | WaveEvent
    | RoundEvent
    | AbandonedEvent
    | BestEvent
    | EndedEarlyEvent
    | TrainingChosenEvent
    | BestNotKeptEvent
    | CandidateEvent
    | EpochEvent
    | AttackEvent
    | FullPrecisionEvent
    | DataReadEvent
    | LostEvent
    | ReleasedEvent
    | OtherEvent
)
EventView = Annotated[AnyEvent, Field(discriminator="kind")]
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(EventView)


def event_view(row: Any) -> AnyEvent:  # noqa: ANN401 - a row of the database, which clients do without
    """Return an event as it is shown."""
    try:
        told = {"id": row.id, "kind": row.kind, "data": row.data, "created_at": row.created_at}
        return _EVENT.validate_python(told)
    except ValidationError:
        other = OtherTold(name=row.kind, data=row.data)
        return OtherEvent(id=row.id, kind="other", data=other, created_at=row.created_at)


class ProgressMessage(View):
    """How far a job is: the first message of every stream, and again when it changed."""

    job_id: str
    kind: str = Field(description="Of the job.")
    state: JobState
    progress: Progress | None = Field(description="Null before its first attempt.")
    waiting_for: str | None = Field(description="What it waits for, in words.")
    error: str | None


class LogMessage(View):
    """Lines that a driver wrote."""

    attempt: int
    first: int = Field(
        description="Byte at which the lines begin in the attempt's log; more than the last `next`: some were skipped."
    )
    next: int = Field(description="Byte at which the next line begins.")
    lines: tuple[str, ...]
    missing: str | None = Field(default=None, description="Why there are none, and where they may be; left out: they are here.")


class EndMessage(View):
    """The last message: the job is over, and everything was told."""

    state: JobState | None = Field(description="Null: the job was deleted.")
