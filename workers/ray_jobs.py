"""RayJobLauncher: drivers as Ray Jobs on a cluster, submitted over HTTP; this process never joins the cluster."""

import time

import httpx
from ray.exceptions import RayError
from ray.job_submission import JobDetails, JobSubmissionClient

from nas_service.catalogue import Capacity
from nas_service.errors import NotReadyError
from nas_service.settings import Settings
from workers.launcher import Exit

_HTTP_TIMEOUT_S = 10


class RayJobLauncher:
    """One Ray Job an attempt; its submission id is `<job>-<attempt>`, so that submitting twice is refused.

    The driver finds database and artifacts through the settings in the environment of the cluster's own containers:
    nothing that a user sent is forwarded but the job's id.
    """

    def __init__(self, settings: Settings) -> None:
        """Connect to the job server.

        Raises:
            NotReadyError: If the address is not http(s), or nobody answers.
        """
        self._url = settings.ray_jobs_url.rstrip("/")
        self._token = settings.ray_auth_token.get_secret_value()
        if not self._url.startswith(("http://", "https://")):
            raise NotReadyError(f"NAS_RAY_JOBS_URL is {self._url!r}; allowed: an http or https address")
        try:
            self._client = JobSubmissionClient(self._url)
        except (ConnectionError, RuntimeError, RayError) as error:
            raise NotReadyError(f"Ray's job server does not answer at {self._url} (NAS_RAY_JOBS_URL): {error}") from error
        self._launched: set[tuple[str, int]] = set()

    def capacity(self) -> Capacity:
        """Return the processors and GPUs of all live nodes, as the cluster's own dashboard counts them.

        Raises:
            NotReadyError: If the job server does not answer.
        """
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            reply = httpx.get(f"{self._url}/nodes", params={"view": "summary"}, headers=headers, timeout=_HTTP_TIMEOUT_S)
            nodes = reply.raise_for_status().json()["data"]["summary"]
        except httpx.HTTPError as error:
            raise NotReadyError(f"Ray's job server does not say what it has ({self._url}): {error}") from error
        resources = [node["raylet"]["resourcesTotal"] for node in nodes if node["raylet"].get("state") == "ALIVE"]
        cpus, gpus = ([entry.get(kind, 0) for entry in resources] or [0] for kind in ("CPU", "GPU"))
        return Capacity(sum(cpus), sum(gpus), max(cpus), max(gpus))

    def launch(self, job_id: str, attempt: int) -> None:
        """Submit the driver; it joins the cluster that runs it, whose `python` must have this project."""
        self._client.submit_job(
            entrypoint=f"python -m workers {job_id} {attempt}",
            submission_id=f"{job_id}-{attempt}",
            runtime_env={"env_vars": {"NAS_RAY_ADDRESS": "auto"}},
        )
        self._launched.add((job_id, attempt))

    def ended(self, job_id: str, attempt: int) -> Exit | None:
        """Return how a submitted driver ended; a job server that is away says nothing, the lease does."""
        if (job_id, attempt) not in self._launched:
            return None
        info = self._info(job_id, attempt)
        if info is None or not info.status.is_terminal():
            return None
        self._launched.discard((job_id, attempt))
        return Exit(f"the Ray Job ended as {info.status}: {info.message}")

    def stop(self, job_id: str, attempt: int, *, grace_s: float) -> None:
        """Ask Ray to end the driver (SIGTERM, then SIGKILL) and wait up to `grace_s` seconds."""
        self._launched.discard((job_id, attempt))
        info = self._info(job_id, attempt)
        if info is None or info.status.is_terminal():
            return
        self._client.stop_job(f"{job_id}-{attempt}")
        deadline = time.monotonic() + grace_s
        while time.monotonic() < deadline:
            info = self._info(job_id, attempt)
            if info is None or info.status.is_terminal():
                return
            time.sleep(0.5)

    def trouble(self) -> str | None:
        """Nothing yet."""
        return None

    def tidy(self) -> None:
        """Nothing yet."""

    def close(self, *, grace_s: float) -> list[tuple[str, int]]:
        """Leave the drivers alone: on a cluster they outlive the controller."""
        del grace_s
        self._launched.clear()
        return []

    def _info(self, job_id: str, attempt: int) -> JobDetails | None:
        try:
            return self._client.get_job_info(f"{job_id}-{attempt}")
        except (RuntimeError, ConnectionError, RayError):
            return None
