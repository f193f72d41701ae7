"""What can happen to a job: one model a kind of event, the same in the database, in the API and in a client. Plain pydantic."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from nas_service.lifecycle import CandidateState, JobState

Thousandth = int  # of the unit of a strategy's means
ChangedMean = tuple[int, Thousandth | None]  # position of an arm in the space's order, and its new mean
ChangedLeader = tuple[int, int | None]  # place of an edge, counted over all cells, and the position of its leading arm


class JobEvent(BaseModel):
    """Base: frozen, and readable from what an earlier version wrote, which knew fewer fields.

    Attributes:
        kind: Under which it is kept.
    """

    model_config = ConfigDict(frozen=True)

    kind: ClassVar[str]

    def to_data(self) -> dict[str, Any]:
        """Return what is kept of it: without what is null."""
        return self.model_dump(mode="json", exclude_none=True)


class StateTold(JobEvent):
    """The job moved."""

    kind = "state"
    state: JobState
    error: str | None = Field(None, description="Why it failed.")


class PhaseTold(JobEvent):
    """The job does something else now."""

    kind = "phase"
    phase: str = Field(description="As in the job's progress.")


class WaveTold(JobEvent):
    """Samples were committed together; only `samples` and `rewards` are there where an earlier version wrote it."""

    kind = "wave"
    first: int | None = Field(None, description="Index of its first sample.")
    samples: int = Field(description="Committed, this wave's included.")
    rewards: tuple[float, ...] = Field(description="Of its samples, in [0, 1].")
    fidelities: tuple[float, ...] | None = Field(
        None, description="Share of a whole training that each of its samples was; null: all were whole, or shared weights."
    )
    seconds: tuple[float, ...] = Field((), description="Of its samples, to the thousandth.")
    pulled: tuple[tuple[int, ...], ...] = Field(
        (), description="One list a sample: the positions of its arms in the space's order, one a place of the cells."
    )
    means: tuple[ChangedMean, ...] | None = Field(
        None,
        description="Position and new mean, in whole thousandths of its unit, of every arm whose mean changed so; null in place "
        "of the mean: it has none any more. Null where `all_means` is shorter.",
    )
    all_means: tuple[Thousandth | None, ...] | None = Field(
        None, description="The means of all arms in the space's order, as in `means`; null where that is shorter."
    )
    leading: tuple[ChangedLeader, ...] = Field(
        (),
        description="For every edge that another arm leads now: the edge's place, counted over the edges of the first cell, then "
        "of the next, and the arm's position; null in place of it: none leads. As `leading` in the arm table, which knows the "
        "exact means.",
    )


class RoundTold(JobEvent):
    """A round ended."""

    kind = "round"
    round: int = Field(description="From 1.")
    samples: int = Field(description="Committed when it ended.")


class AbandonedArm(BaseModel):
    """An arm as it was when it was dropped."""

    model_config = ConfigDict(frozen=True)

    position: int = Field(description="In the space's order.")
    cell: str
    edge: str
    operation: str
    pulls: int
    mean: float | None
    lower: float | None
    upper: float | None


class AbandonedTold(JobEvent):
    """Arms were dropped at the end of a round."""

    kind = "abandoned"
    round: int = Field(description="From 1.")
    samples: int = Field(description="Committed when it ended.")
    arms: tuple[AbandonedArm, ...]


class BestTold(JobEvent):
    """A sample is better than all before it; of several in a wave the best is told."""

    kind = "best"
    index: int = Field(description="Of the sample.")
    reward: float = Field(description="In [0, 1].")
    digest: str = Field(description="Of its genotype.")


class EndedEarly(JobEvent):
    """A search found nothing more to sample."""

    kind = "search.ended_early"
    samples: int
    of: int = Field(description="Samples that the whole search would have had.")


class TrainingChosen(JobEvent):
    """A search chose what is trained of what it keeps, and drew controls."""

    kind = "search.chosen"
    ranks: tuple[int, ...] = Field(description="Of the chosen, 1 best.")
    apart: int = Field(description="How many of them differ from each other on half of the edges or more; the others fill up.")
    uniform: int = Field(0, description="Controls that were drawn uniformly.")
    like_cost: int = Field(0, description="Controls with costs like those of the best.")
    within: int = Field(0, description="How many of those are within 10 % of its OPs and parameters; the others are the nearest.")


class BestNotKept(JobEvent):
    """A search ended before its work was done, and what it found could not be kept."""

    kind = "search.best_not_kept"
    reason: str


class CandidateTold(JobEvent):
    """A candidate moved."""

    kind = "candidate"
    candidate: str
    state: CandidateState
    error: str | None = None
    worker: str | None = Field(None, description="Host and process of its trial.")
    device: str | None = None
    resumed_from: int | None = Field(None, description="Epochs that were done before; null for none.")
    by_search: bool | None = Field(None, description="The search that found it did them, trained alike; null: an earlier trial.")


class EpochTold(JobEvent):
    """A candidate was trained for an epoch."""

    kind = "epoch"
    candidate: str
    epoch: int = Field(description="From 0.")
    epochs: int = Field(description="That it is to be trained.")
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    flip_ratio: float
    seconds: float


class AttackTold(JobEvent):
    """An attack on a candidate ended."""

    kind = "attack"
    candidate: str
    attack: str
    accuracy: float = Field(description="Share of the test images that are classified correctly under it, in [0, 1].")


class FullPrecisionTrained(JobEvent):
    """A full-precision network, to learn from or to attack from, is trained."""

    kind = "full-precision.trained"
    architecture: str
    validation_accuracy: float


class DataRead(JobEvent):
    """A job read its data for the first time; every later attempt must find the same."""

    kind = "data.read"
    digest: str = Field(description="Of images, classes and split.")
    train: int | None = None
    validation: int | None = None
    test: int | None = None
    skipped: Mapping[str, int] = Field(default_factory=dict, description="How many files were left out, by reason.")
    warnings: tuple[str, ...] = Field((), description="What people should know before they train.")


class AttemptLost(JobEvent):
    """The driver of an attempt is gone."""

    kind = "lost"
    attempt: int
    reason: str


class AttemptReleased(JobEvent):
    """An attempt let the job go, for another one to go on."""

    kind = "released"
    attempt: int
    reason: str


class OtherTold(JobEvent):
    """Something that this version does not know, or cannot read: another version wrote it."""

    kind = "other"
    name: str = Field(description="Its kind, as it was written.")
    data: Mapping[str, Any]


KINDS: dict[str, type[JobEvent]] = {
    model.kind: model
    for model in (
        StateTold,
        PhaseTold,
        WaveTold,
        RoundTold,
        AbandonedTold,
        BestTold,
        EndedEarly,
        TrainingChosen,
        BestNotKept,
        CandidateTold,
        EpochTold,
        AttackTold,
        FullPrecisionTrained,
        DataRead,
        AttemptLost,
        AttemptReleased,
    )
}
EventKind = Literal[
    "state",
    "phase",
    "wave",
    "round",
    "abandoned",
    "best",
    "search.ended_early",
    "search.chosen",
    "search.best_not_kept",
    "candidate",
    "epoch",
    "attack",
    "full-precision.trained",
    "data.read",
    "lost",
    "released",
]
