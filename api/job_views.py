"""What lists of jobs, changes of a job and its log look like; beside `views.py`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from api.views import View
from nas_service.lifecycle import JobState
from nas_service.reports import Progress, SearchProgress, TrainingProgress

ERROR_SHOWN = 200  # letters of an error in a list

Wanted = str | Sequence[str]  # several values of one filter: one of them

RANK = "Of the queued jobs of one owner the highest goes first, of the same the oldest; other owners' are not overtaken."
Rank = Annotated[int, Field(ge=-100, le=100)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]


class JobRow(View):
    """A job as lists show it: without its spec."""

    id: str
    kind: str
    name: str
    state: JobState
    space: str | None = Field(None, description="By its name, as the next three; null for a registration.")
    dataset: str | None = Field(None, description="Of a registration the one that it registers.")
    strategy: str | None = Field(None, description="Null unless it is a search.")
    methods: list[str] = Field(description="Binarization methods of a training, or of the training that a search starts.")
    progress: Progress | None = Field(description="Null before its first attempt.")
    best: float | None = Field(
        None, description="Of a search the best reward, of a training the best validation accuracy of any epoch, so far."
    )
    error: str | None = Field(description=f"The first {ERROR_SHOWN} letters.")
    parent_id: str | None
    owner: str | None = Field(None, description="Whose key submitted it; null where nobody was asked for one.")
    project: str | None = Field(None, description="Whose keys share it; null: everybody's.")
    tags: list[str] = Field(default_factory=list)
    priority: int = Field(0, description="Among the queued jobs of its owner: the highest goes first.")
    waiting_for: str | None = Field(None, description="What it waits for, in words; null where it waits for nothing.")
    queue_position: int | None = Field(
        None, description="1: it is claimed next of its kinds, as all owners stand now; null where it is not queued."
    )
    cpu_seconds: float = Field(
        0.0, description="Processors that its actors and trials asked for, times seconds, of all attempts."
    )
    gpu_seconds: float = Field(0.0, description="GPUs likewise.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @field_validator("progress", mode="before")
    @classmethod
    def _nothing_told(cls, given: object) -> object:
        return given or None

    @field_validator("error", mode="before")
    @classmethod
    def _beginning(cls, given: object) -> object:
        return given[:ERROR_SHOWN] if isinstance(given, str) else given

    def best_so_far(self) -> float | None:
        """Return the best figure that the progress tells."""
        if isinstance(self.progress, SearchProgress):
            return self.progress.best_reward
        return self.progress.best_validation_accuracy if isinstance(self.progress, TrainingProgress) else None


class JobCounts(View):
    """How many jobs there are."""

    by_state: dict[JobState, int] = Field(description="States that no job is in are 0.")
    total: int


def _each_once(tags: list[str]) -> list[str]:
    return sorted(set(tags))


class JobChange(BaseModel):
    """What people may change of a job at any time; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=200, description="The spec keeps the one that was submitted.")
    note: str = Field("", max_length=10_000, description="For people; replaces the note that was there.")
    tags: Annotated[list[Tag], Field(max_length=20), AfterValidator(_each_once)] = Field(
        [], description="Replace the tags that were there; kept in order, each once."
    )
    priority: Rank = Field(0, description=RANK)

    def given(self) -> dict[str, Any]:
        """Return what was given."""
        return self.model_dump(include=self.model_fields_set)


class LogView(View):
    """A part of what the driver of an attempt printed."""

    attempt: int | None = Field(description="Null before the first.")
    attempts: list[int] = Field(description="Of which something is kept, and the last one.")
    lines: list[str] = Field(description="As they were printed, with whatever they hold: nothing is taken out.")
    next: int = Field(description="Byte at which the next part begins: what to give as `after`.")
    size: int = Field(description="Bytes that are there now.")
    missing: str | None = Field(None, description="Why nothing is there, and where it is instead, in words.")
