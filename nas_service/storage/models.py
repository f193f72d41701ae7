"""The tables. Alembic's migrations are the only source of the schema in a database; this is what they must agree with."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from nas_service.storage.base import CASCADE, Base, Id, UtcDateTime
from nas_service.storage.service_models import AccessKey, AuditEvent, BrowserSession, ControllerRow, FileHold, Litter, Total

__all__ = [
    "ATTACK_SECONDS",
    "CASCADE",
    "IS_MOVE",
    "IS_QUEUED",
    "AccessKey",
    "Architecture",
    "ArmRoundRow",
    "ArmTable",
    "Artifact",
    "AuditEvent",
    "Base",
    "BrowserSession",
    "Candidate",
    "CandidateEpoch",
    "ControllerRow",
    "DatasetRow",
    "Event",
    "FileHold",
    "Id",
    "IdempotencyKey",
    "Job",
    "JobTag",
    "Litter",
    "SampleRow",
    "Total",
    "UsageRow",
    "UtcDateTime",
]

IS_QUEUED = "state = 'queued'"  # of a job; as the next, it is said in full
IS_MOVE = "kind = 'state'"  # of an event; with a placeholder for the kind no database would take the index of moves
ATTACK_SECONDS = "attack_seconds"  # beside the figures of `metrics`, which the same seed repeats and a time does not


class Job(Base):
    """A search, a training or a registration, with its own progress so that lists never read histories."""

    __tablename__ = "jobs"
    __table_args__ = (
        # The project is in each, so that what others see is told without a look at the rows, whose specs are long.
        Index("ix_jobs_kind_id", "kind", "id", "project"),
        Index("ix_jobs_state_id_kind", "state", "id", "kind", "project"),
        # Lists are filtered in this one alone, from the newest on.
        Index(
            "ix_jobs_listed",
            "id",
            "kind",
            "state",
            "space",
            "dataset",
            "strategy",
            "parent_id",
            "folded_name",
            "project",
            "owner",
        ),
        # The head of every owner's queue is looked up in this one, however long the queues are.
        Index(
            "ix_jobs_waiting",
            "state",  # or SQLite takes another index, which begins with it
            "kind",
            "owner",
            "priority",
            "id",
            postgresql_where=text(IS_QUEUED),
            sqlite_where=text(IS_QUEUED),
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(200))
    folded_name: Mapped[str]  # as it is compared where upper and lower case are the same
    state: Mapped[str] = mapped_column(String(16))
    spec: Mapped[dict[str, Any]]
    space: Mapped[str | None] = mapped_column(String(100))  # the names in the spec, for lists
    dataset: Mapped[str | None] = mapped_column(String(100))
    strategy: Mapped[str | None] = mapped_column(String(100))
    methods: Mapped[list[Any]]
    note: Mapped[str] = mapped_column(default="")  # of people, for people
    owner: Mapped[str | None] = mapped_column(String(100))  # of the key that submitted it; null where nobody was asked for one
    project: Mapped[str | None] = mapped_column(String(100))  # of that key: who has a key of the same one shares it
    parent_id: Mapped[str | None] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), index=True)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")  # among its owner's; the highest goes first
    begins_from: Mapped[str | None] = mapped_column(
        Id, index=True
    )  # the search whose samples a search begins with, as its spec says
    attempt: Mapped[int] = mapped_column(default=0)
    stalls: Mapped[int] = mapped_column(default=0)  # attempts lost since the last progress
    made_room: Mapped[bool] = mapped_column(default=False, server_default=false())  # was asked to, for another; see `turns`
    turn_at: Mapped[datetime | None]  # when its last driver took over
    counted_at: Mapped[datetime | None]  # up to when what it holds is in `usage`; null: it holds nothing
    cpus: Mapped[float] = mapped_column(default=0.0, server_default="0")  # that its actors or trials have now
    gpus: Mapped[float] = mapped_column(default=0.0, server_default="0")
    lease_expires_at: Mapped[datetime | None]  # by the database's clock
    waiting_for: Mapped[str | None]  # what keeps it from going on, where somebody knows; in words
    progress: Mapped[dict[str, Any]] = mapped_column(default=dict)
    committed_at: Mapped[datetime | None]  # last progress
    usual_s: Mapped[float | None]  # the longest that work was silent and then was not
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    samples: Mapped[int | None]  # that a search will take, for limits by owner; null where it was submitted otherwise


class UsageRow(Base):
    """What a job held on one day, by the database's clock and in UTC; it stays when the job is deleted."""

    __tablename__ = "usage"
    __table_args__ = (Index(None, "day", "owner", "seconds"),)

    job_id: Mapped[str] = mapped_column(Id, primary_key=True)  # no foreign key
    day: Mapped[date] = mapped_column(primary_key=True)
    owner: Mapped[str | None] = mapped_column(String(100))  # as of the job
    project: Mapped[str | None] = mapped_column(String(100))
    seconds: Mapped[float] = mapped_column(default=0.0)  # for which a driver had the job
    cpu_seconds: Mapped[float] = mapped_column(default=0.0)  # of what its actors and trials asked of Ray
    gpu_seconds: Mapped[float] = mapped_column(default=0.0)


class JobTag(Base):
    """A word that people gave to a job."""

    __tablename__ = "job_tags"
    __table_args__ = (Index(None, "tag", "job_id"),)

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    tag: Mapped[str] = mapped_column(String(50), primary_key=True)


class SampleRow(Base):
    """One evaluated path of a search."""

    __tablename__ = "samples"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    index: Mapped[int] = mapped_column(primary_key=True)
    wave: Mapped[int]
    genotype: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64))
    reward: Mapped[float]
    clean_accuracy: Mapped[float | None]
    attacked_accuracy: Mapped[float | None]
    parent_reward: Mapped[float | None]
    fidelity: Mapped[float] = mapped_column(default=1.0, server_default="1")
    steps: Mapped[int | None]  # null where an earlier version sampled
    loss: Mapped[float | None]
    diverged: Mapped[bool]
    cost: Mapped[dict[str, Any]]
    seconds: Mapped[float]
    worker: Mapped[str] = mapped_column(String(100))
    attempt: Mapped[int]
    created_at: Mapped[datetime]


class ArmTable(Base):
    """Every arm of a search as of its last committed wave, as columns in the space's order.

    Almost all figures change with every wave: a row for each arm would be the most of what a search writes.
    """

    __tablename__ = "arm_tables"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    names: Mapped[dict[str, Any]]  # cells, edges and operations, which stay
    figures: Mapped[dict[str, Any]]  # as of `ArmRoundRow.arms`


class ArmRoundRow(Base):
    """Every arm of a search as it was when a round ended, as columns in the space's order.

    Where working the arms out again is costly, also in between.
    """

    __tablename__ = "arm_rounds"

    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE), primary_key=True)
    samples: Mapped[int] = mapped_column(primary_key=True)  # committed then
    round: Mapped[int | None]  # that ended, from 1
    arms: Mapped[dict[str, Any]]


class Architecture(Base):
    """A genotype that a search discovered, or drew as a control; those come after the others in rank, with a score of 0."""

    __tablename__ = "architectures"
    __table_args__ = (UniqueConstraint("job_id", "rank"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE))
    rank: Mapped[int]
    genotype: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    score: Mapped[float]
    attacked_score: Mapped[float | None]  # where the accuracy under attack is an objective
    cost: Mapped[dict[str, Any]]
    control: Mapped[str | None] = mapped_column(String(16))  # its kind, of a random one that was drawn for comparison
    created_at: Mapped[datetime]


class Candidate(Base):
    """An architecture trained with one method and one seed."""

    __tablename__ = "candidates"
    __table_args__ = (UniqueConstraint("job_id", "position"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE))
    position: Mapped[int]
    architecture_id: Mapped[str] = mapped_column(Id, ForeignKey("architectures.id", ondelete=CASCADE), index=True)
    method: Mapped[dict[str, Any]]
    seed: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(16))
    epochs_done: Mapped[int] = mapped_column(default=0)
    validation_accuracy: Mapped[float | None]
    test_accuracy: Mapped[float | None]
    metrics: Mapped[dict[str, Any]] = mapped_column(default=dict)
    cost: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seconds: Mapped[float] = mapped_column(default=0.0)
    worker: Mapped[str | None] = mapped_column(String(100))  # host and process of its last trial
    device: Mapped[str | None] = mapped_column(String(50))
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    @property
    def attack_seconds(self) -> float | None:
        """How long the attacks took; None if there were none yet, or if an earlier version trained."""
        return self.metrics.get(ATTACK_SECONDS)


class CandidateEpoch(Base):
    """What one epoch of a candidate's training did."""

    __tablename__ = "candidate_epochs"

    candidate_id: Mapped[str] = mapped_column(Id, ForeignKey("candidates.id", ondelete=CASCADE), primary_key=True)
    epoch: Mapped[int] = mapped_column(primary_key=True)
    phase: Mapped[str] = mapped_column(String(50))
    train_loss: Mapped[float]
    train_accuracy: Mapped[float]
    validation_accuracy: Mapped[float]
    flip_ratio: Mapped[float]
    sign_balance: Mapped[float]
    bimodality: Mapped[float]
    seconds: Mapped[float]
    extra: Mapped[dict[str, Any]]


class Artifact(Base):
    """A file in the artifact store."""

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("owner_id", "kind"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(Id, index=True)  # a candidate, an architecture or a registration
    kind: Mapped[str] = mapped_column(String(32))
    key: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class DatasetRow(Base):
    """A dataset that a user registered: a name for a kind of dataset with settings."""

    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    kind: Mapped[str] = mapped_column(String(50))
    settings: Mapped[dict[str, Any]]
    facts: Mapped[dict[str, Any]]
    owner: Mapped[str | None] = mapped_column(String(100))  # as of the job that counted them
    project: Mapped[str | None] = mapped_column(String(100))
    registration_id: Mapped[str | None] = mapped_column(Id)  # the job that counted them; it may be deleted before the dataset
    created_at: Mapped[datetime]


class Event(Base):
    """Something that happened to a job; `id` grows, so it also orders a stream."""

    __tablename__ = "events"
    __table_args__ = (
        Index(None, "job_id", "id"),
        Index("ix_events_moves", "id", postgresql_where=text(IS_MOVE), sqlite_where=text(IS_MOVE)),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE))
    kind: Mapped[str] = mapped_column(String(32))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The reply that was given to a request, so that sending it again changes nothing."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_digest: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(Id, ForeignKey("jobs.id", ondelete=CASCADE))
    created_at: Mapped[datetime]
