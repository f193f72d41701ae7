"""What the API gives: the resources as pydantic models, shared by the server, the client and the CLI. No FastAPI here."""

from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationInfo, computed_field, field_validator, model_validator

from nas_service.lifecycle import CandidateState, JobState
from nas_service.reports import CandidateMetrics, DatasetReport, Progress
from nas_service.search.control import Control
from nas_service.terms import Quantity, method_label

Item = TypeVar("Item")

_LISTED = {"listed": True}  # how pydantic tells a validator that it reads an entry of a list


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
    request_id: str | None = Field(None, description="Of the request, by which the log of the service tells more.")


class FieldProblem(View):
    """What is wrong with one field."""

    field: str
    given: Any = None
    allowed: str


PLURALS = {"search": "searches", "training": "trainings", "registration": "registrations"}  # of kinds of jobs, in paths


class JobView(View):
    """A search, a training or a registration."""

    id: str
    kind: str
    name: str
    note: str = Field("", description="Of people, for people.")
    tags: list[str] = Field(default_factory=list)
    state: JobState
    attempt: int
    priority: int = Field(0, description="Among the queued jobs of its owner: the highest goes first.")
    waiting_for: str | None = Field(None, description="What it waits for, in words; null where it waits for nothing.")
    queue_position: int | None = Field(
        None, description="1: it is claimed next of its kinds, as all owners stand now; null where it is not queued."
    )
    cpu_seconds: float = Field(
        0.0, description="Processors that its actors and trials asked for, times seconds, of all attempts."
    )
    gpu_seconds: float = Field(0.0, description="GPUs likewise.")
    progress: Progress | None = Field(description="Null before its first attempt.")
    error: str | None
    parent_id: str | None
    owner: str | None = Field(None, description="Whose key submitted it; null where nobody was asked for one.")
    project: str | None = Field(None, description="Whose keys share it; null: everybody's.")
    created_at: datetime
    started_at: datetime | None
    committed_at: datetime | None = Field(description="Its last progress.")
    finished_at: datetime | None
    last_event: int = Field(
        0, description="Id of its newest event as of this view; 0: none. A stream from after it loses and repeats nothing."
    )
    spec: dict[str, Any]

    @field_validator("progress", mode="before")
    @classmethod
    def _nothing_told(cls, given: object) -> object:
        return given or None

    @property
    def path(self) -> str:
        """Where it is told."""
        return f"/v1/{PLURALS[self.kind]}/{self.id}"


class SampleView(View):
    """One evaluated path."""

    index: int
    wave: int
    genotype: dict[str, Any]
    digest: str
    reward: float
    clean_accuracy: float | None = Field(description="On validation; null for a path that diverged.")
    attacked_accuracy: float | None = Field(
        description="On validation under the attack that it was trained against (one-step FGSM for free training); null without "
        "adversarial training, and for a path that diverged."
    )
    parent_reward: float | None = Field(description="Of the full-precision parent; null where the strategy needs none.")
    fidelity: float = Field(
        description="Share of a whole training that it was; 1 with shared weights. Rewards of others are not alike."
    )
    steps: int | None = Field(description="Optimizer steps that it took; null where an earlier version sampled.")
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
    scores for `cp-nas`, effects in rank scores (0 is average) with two standard deviations for `abandit-plus` and
    `screen-and-train`.
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


class ArchitectureView(View):
    """A genotype that a search discovered, or drew as a control."""

    id: str
    search_id: str = Field(validation_alias=AliasChoices("search_id", "job_id"))
    rank: int = Field(description="Among what the search found, 1 best; controls come after those.")
    score: float | None = Field(description="What the search thought of it, in the unit of its strategy; null of a control.")
    attacked_score: float | None = Field(
        None,
        description="The same of its accuracy under attack; null where that is no objective of the search, and of a control.",
    )
    control: Control | None = Field(
        None, description="Which kind of control it is: a random architecture, to compare with; null of one that was found."
    )
    digest: str
    genotype: dict[str, Any]
    cost: dict[str, int | float]
    created_at: datetime

    @model_validator(mode="after")
    def _unscored(self) -> Self:
        if self.control is not None:
            self.score = None
        return self


class CandidateView(View):
    """An architecture trained with one method and one seed."""

    id: str
    training_id: str = Field(validation_alias=AliasChoices("training_id", "job_id"))
    architecture_id: str
    control: Control | None = Field(None, description="Which kind of control the architecture is; null of one that was found.")
    method: dict[str, Any]
    seed: int
    state: CandidateState
    epochs_done: int
    epochs_total: int | None = Field(
        None, description="That it is trained; early stopping may end it sooner. Null where its training does not tell."
    )
    validation_accuracy: float | None = Field(description="Of its last epoch; when it succeeded, of the frozen network.")
    test_accuracy: float | None
    metrics: CandidateMetrics | None = Field(
        description="Null until it succeeded. In lists `test_classes` is null too: `GET /v1/candidates/{candidate_id}` has it."
    )
    cost: dict[str, int | float]
    seconds: float = Field(description="Of its epochs, validation included.")
    attack_seconds: float | None = Field(
        None,
        description="Of the attacks on the trained network; null before, without attacks, and where an earlier version trained.",
    )
    worker: str | None = Field(description="Host and process of its last trial.")
    device: str | None = Field(description="Of its last trial.")
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @computed_field(description="Of the method: its name, with the settings that were given.")  # type: ignore[prop-decorator]
    @property
    def method_label(self) -> str:
        """Return how the method is called in comparisons."""
        return method_label(self.method)

    @field_validator("metrics", mode="before")
    @classmethod
    def _nothing_known(cls, given: object, how: ValidationInfo) -> object:
        if how.context is _LISTED and isinstance(given, dict):
            given = {name: value for name, value in given.items() if name != "test_classes"}
        return given or None

    @classmethod
    def listed(cls, row: object) -> Self:
        """Return a row as lists give it: without the figures of every class, which may take half a megabyte."""
        return cls.model_validate(row, context=_LISTED)


class BestView(View):
    """The best of the candidates that succeeded, all judged by one quantity."""

    quantity: Quantity = Field(description="PGD-20 on validation images where every one was attacked alike, else clean accuracy.")
    value: float = Field(description="Of the quantity, in [0, 1].")
    mean: float = Field(description="Of the quantity, over the seeds of its method and architecture, which are the best by this.")
    spread: float | None = Field(description="Sample standard deviation over those seeds; null for one.")
    seeds: int = Field(description="How many they are.")
    candidate: CandidateView


class EntryView(View):
    """One entry of the catalogue."""

    name: str
    summary: str
    reference: str | None = None
    settings_schema: dict[str, Any] | None = None
    facts: dict[str, Any] = Field(default_factory=dict)


class DatasetView(View):
    """A dataset: built in, or a name for a kind with settings, and what was counted of it."""

    name: str
    kind: str = Field(description="Of a built-in dataset its name.")
    summary: str
    settings: dict[str, Any]
    settings_schema: dict[str, Any] | None = Field(None, description="Of a built-in dataset.")
    facts: DatasetReport | None = Field(None, description="As they were counted when it was registered; null if it is built in.")
    registered_at: datetime | None = None
    registration_id: str | None = Field(
        None, description="The registration that counted; it may be deleted. Null if it is built in, or older than registrations."
    )
    sheet: str | None = Field(None, description="Path of a picture of some of the images; null where there is none.")


class Readiness(View):
    """Whether the service can work, and what is in its way."""

    status: str
    checks: dict[str, str]
    queued: int = 0
    running: int = 0
