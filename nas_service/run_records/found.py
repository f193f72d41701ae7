"""What stands behind the candidates of a training: its architectures, and the samples of the searches that found them, flat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from nas_service.run_records.record import RunRecord


@dataclass(frozen=True)
class ArchitectureRecord:
    """One architecture that a training trains.

    Attributes:
        architecture: Its id.
        search: Id of the search that found it, or drew it.
        rank: Among what that search found, 1 best.
        score: What the search thought of it, in the unit of its strategy; None of a control.
        attacked_score: The same of its accuracy under attack; None where that is no objective.
        control: Which kind of control it is; None of one that was found.
        digest: Of its genotype.
        genotype: As canonical JSON, which `nas train-local --genotype` reads.
        created_at: When it was kept.
        cost: As `Cost.to_dict`, for the method of its search.
    """

    architecture: str
    search: str
    rank: int
    score: float | None
    attacked_score: float | None
    control: str | None
    digest: str
    genotype: str
    created_at: datetime
    cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleRecord:
    """One sample of a search, as REST's `SampleView` tells it.

    Attributes:
        search: Id of its search.
        sample: Its place in the search, from 0.
        wave: The wave that it was part of.
        digest: Of its genotype, by which an architecture is found again.
        genotype: As canonical JSON.
        reward: What the strategy learnt from it.
        clean_accuracy: On validation images; None of a path that diverged.
        attacked_accuracy: The same under attack; None without one.
        parent_reward: Of the full-precision parent; None where the strategy needs none.
        fidelity: Share of a whole training that it was.
        steps: Optimizer steps that it took.
        loss: Of its training.
        diverged: Whether it did.
        seconds: That it took.
        worker: Host and process.
        attempt: Of the search that committed it.
        created_at: When it was committed.
        cost: As `Cost.to_dict`.
    """

    search: str
    sample: int
    wave: int
    digest: str
    genotype: str
    reward: float
    clean_accuracy: float | None
    attacked_accuracy: float | None
    parent_reward: float | None
    fidelity: float
    steps: int | None
    loss: float | None
    diverged: bool
    seconds: float
    worker: str
    attempt: int
    created_at: datetime
    cost: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingRecords:
    """All that is exported of one training.

    Attributes:
        name: Of the training, for people.
        candidates: In the order of their ids.
        architectures: That they are of, in the order of searches and ranks.
        samples: Of the searches that found those, search by search, in order.
    """

    name: str
    candidates: Sequence[RunRecord]
    architectures: Sequence[ArchitectureRecord]
    samples: Sequence[SampleRecord]
