"""What the API gives: the resources as pydantic models, shared by the server, the client and the CLI. No FastAPI here."""

from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from search_spaces.given import GivenModel

Item = TypeVar("Item")


class View(BaseModel):
    """Base: readable from rows and dataclasses."""

    model_config = ConfigDict(from_attributes=True)


class Page(View, Generic[Item]):
    """One page of a list; `next` is the cursor of the page after it, or null."""

    items: list[Item]
    next: str | None = None


class Problem(View):
    """An error, after RFC 9457 (application/problem+json)."""

    type: str = Field(description="Stable: programs may rely on it.")
    title: str
    status: int
    detail: str
    errors: list["FieldProblem"] = Field(default_factory=list, description="One entry a field, for 422.")
    more: int = Field(0, description="Faults beyond those that `errors` lists.")


class FieldProblem(View):
    """What is wrong with one field."""

    field: str
    given: Any = None
    allowed: str


class JobView(View):
    """A search or a training."""

    id: str
    kind: str
    name: str
    state: str
    attempt: int
    progress: dict[str, Any]
    error: str | None
    parent_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    spec: dict[str, Any]


class SampleView(View):
    """One evaluated path."""

    index: int
    wave: int
    genotype: dict[str, Any]
    digest: str
    reward: float
    clean_accuracy: float | None = Field(description="On validation; null for a path that diverged.")
    attacked_accuracy: float | None = Field(description="On validation under one-step FGSM; null without adversarial training.")
    parent_reward: float | None = Field(description="Of the full-precision parent; null where the strategy needs none.")
    loss: float | None
    diverged: bool
    cost: dict[str, int | float]
    seconds: float
    worker: str
    attempt: int
    created_at: datetime


class ArmView(View):
    """The statistics of one arm.

    `mean`, `lower` and `upper` are in the strategy's own unit: accuracy for `abandit`, `random` and `evolution`, child-parent
    scores for `cp-nas`, effects in rank scores (0 is average) with two standard deviations for `abandit-plus`.
    """

    cell: str
    edge: str
    operation: str
    pulls: int = Field(description="How often it was sampled.")
    mean: float | None = Field(description="Performance of the samples that held it; null before the first.")
    lower: float | None = Field(description="Lower confidence bound.")
    upper: float | None = Field(description="Upper confidence bound.")
    abandoned_round: int | None = Field(
        description="Round, from 1, at whose end it was dropped; 0: no live architecture can hold it; null: it lives. A round is "
        "K * T samples for `abandit`; for `abandit-plus` the first ends with the balanced samples, every other takes K."
    )
    best_probability: float | None = Field(
        description="Share of 128 posterior draws whose best architecture holds it, when it was last asked about; null without "
        "`abandon_below`."
    )


class EventView(View):
    """Something that happened to a job."""

    id: int
    kind: str
    data: dict[str, Any]
    created_at: datetime


class ArchitectureView(View):
    """A discovered genotype."""

    id: str
    search_id: str
    rank: int
    score: float
    digest: str
    genotype: dict[str, Any]
    cost: dict[str, int | float]
    created_at: datetime


class CandidateView(View):
    """An architecture trained with one method and one seed."""

    id: str
    training_id: str
    architecture_id: str
    method: dict[str, Any]
    seed: int
    state: str
    epochs_done: int
    validation_accuracy: float | None
    test_accuracy: float | None
    metrics: dict[str, Any]
    cost: dict[str, int | float]
    seconds: float
    error: str | None
    created_at: datetime
    finished_at: datetime | None


class PairView(View):
    """One method on one architecture, over all seeds."""

    method: str
    architecture: str
    seeds: int
    test_mean: float
    test_spread: float | None = Field(description="Sample standard deviation over seeds; null for one seed.")
    validation_mean: float
    rank: float = Field(description="Among the methods on this architecture by mean test accuracy; equal ones share it.")
    packed_bytes: float
    seconds: float


class MethodView(View):
    """One method over all architectures."""

    method: str
    test_mean: float
    mean_rank: float
    score_correlation: float | None = Field(
        description="Spearman's rank correlation between the search's score and the trained test accuracy; null under three "
        "architectures."
    )


class ComparisonView(View):
    """The finished candidates of a training, compared."""

    pairs: list[PairView]
    methods: list[MethodView]


class EpochView(View):
    """One epoch of a candidate's training."""

    epoch: int
    phase: str
    train_loss: float
    train_accuracy: float
    validation_accuracy: float
    flip_ratio: float = Field(description="Share of the binary weights whose sign changed over the epoch.")
    sign_balance: float = Field(description="Share of +1 among the binary weights.")
    bimodality: float = Field(
        description="Sarle's coefficient of the latent weights: 0.33 for one normal mode, 1 for two points."
    )
    seconds: float
    extra: dict[str, float]


class EntryView(View):
    """One entry of the catalogue."""

    name: str
    summary: str
    reference: str | None = None
    settings_schema: dict[str, Any] | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


class DatasetRegistration(GivenModel):
    """A folder or file under the data root, to be known by a name."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=100, description="Lower-case words joined by hyphens.")
    kind: str = Field(
        min_length=1, max_length=100, description="A built-in dataset that reads files: image-folder, parquet or cifar10."
    )
    settings: dict[str, Any] = Field(default_factory=dict, description="Settings of the kind.")


class Readiness(View):
    """Whether the service can work, and what is in its way."""

    status: str
    checks: dict[str, str]
    queued: int = 0
    running: int = 0
