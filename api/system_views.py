"""What /v1/system tells of the service and of what works for it; beside `views.py`."""

from datetime import date, datetime

from pydantic import Field

from api.views import Readiness, View


class CapacityView(View):
    """What the place where drivers run can give in all."""

    cpus: float
    gpus: float


class LauncherView(View):
    """How drivers start."""

    kind: str = Field(description="child-process, or ray-job.")
    capacity: CapacityView | None = Field(description="Null where it cannot be told now.")
    trouble: str | None = Field(description="Why no driver can be started now; null: one can, as far as is known.")


class ControllerView(View):
    """A controller that looked after the queue within the last minute."""

    id: str
    started_at: datetime
    stepped_at: datetime = Field(description="Its last good step.")
    trouble: str | None = Field(description="Why it can start no driver.")


class WorkerView(View):
    """A process that works for a job, as far as what it committed tells: nobody beats a drum."""

    id: str
    host: str | None = Field(description="Null where it is not known: of drivers.")
    device: str | None
    job: str
    job_kind: str
    job_name: str
    doing: str
    since: datetime | None


class DatabaseFacts(View):
    """The database."""

    kind: str = Field(description="sqlite, or postgresql.")
    bytes: int | None = Field(description="Null where it cannot be told.")


class DiskView(View):
    """Room."""

    home_free_bytes: int | None
    artifact_bytes: int | None = Field(description="Of the files of candidates and registrations, in the artifact store.")


class SystemView(View):
    """The service, and what works for it."""

    versions: dict[str, str]
    launcher: LauncherView
    controllers: list[ControllerView]
    workers: list[WorkerView]
    queue: dict[str, int] = Field(description="Jobs by state.")
    database: DatabaseFacts
    disk: DiskView
    readiness: Readiness


class OwnersUsageView(View):
    """What the jobs of an owner held."""

    owner: str | None = Field(description="Null: jobs for which nobody was asked for a key.")
    project: str | None
    jobs: int = Field(description="That were at work, those included that were deleted since.")
    seconds: float = Field(description="For which drivers had them.")
    cpu_seconds: float = Field(description="Processors that actors and trials asked for, times seconds.")
    gpu_seconds: float = Field(description="GPUs likewise.")

    @property
    def held(self) -> tuple[float, float, float]:
        """Seconds of drivers, processors and GPUs."""
        return self.seconds, self.cpu_seconds, self.gpu_seconds


class UsageView(View):
    """What jobs held, by owner and project."""

    since: date | None
    until: date | None
    owners: list[OwnersUsageView] = Field(description="Who had most of the GPUs first, then of the processors.")
