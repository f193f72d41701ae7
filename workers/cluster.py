"""Connecting a driver to Ray."""

import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import ray
from ray._private.state import actors  # the public way to ask needs Ray's dashboard, which a local Ray does without

from nas_service.capacity import Capacity
from nas_service.errors import UnavailableError
from nas_service.logs import adopt_logger
from nas_service.settings import Settings
from workers.reasons import described
from workers.scratch import make_scratch, temporary_folder


@contextmanager
def connected(settings: Settings) -> Iterator[Capacity]:
    """Start or join the Ray that the settings name, give its capacity, and leave it at the end of the block.

    `local` is said on purpose: plain `ray.init` would join whatever cluster it finds on the machine.

    Raises:
        UnavailableError: If it does not start, or cannot be joined now.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    adopt_logger("ray")
    with _ray_folder(settings) as folder:
        with _asked("Ray did not start"):
            if settings.ray_address == "local":
                os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into ~/.ray, for all to read
                ray.init(
                    address="local",
                    num_cpus=len(os.sched_getaffinity(0)),
                    object_store_memory=settings.object_store_bytes,
                    include_dashboard=False,
                    log_to_driver=True,
                    configure_logging=False,
                    _temp_dir=str(folder),
                )
            else:
                ray.init(address=settings.ray_address, configure_logging=False)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # ray.init puts a handler of its own, which only exits
        try:
            with _asked("Ray does not answer"):
                resources = ray.cluster_resources()  # type: ignore[no-untyped-call]  # Ray does not annotate it
            yield Capacity(cpus=resources.get("CPU", 0), gpus=resources.get("GPU", 0))
        finally:
            ray.shutdown()


@contextmanager
def _ray_folder(settings: Settings) -> Iterator[Path]:
    """Give the folder for the sockets and logs of a Ray of one's own: below the scratch folder, else one for the block."""
    if settings.scratch is not None:
        make_scratch(settings.scratch)
        yield settings.scratch / "ray"
        return
    with tempfile.TemporaryDirectory(prefix="nas-", dir=temporary_folder(), ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "ray"


@contextmanager
def _asked(what: str) -> Iterator[None]:
    """Inside the block, what Ray raises means that it is away: it has no class of its own for that (a plain Exception, say).

    Raises:
        UnavailableError: With `what` in front.
    """
    try:
        yield
    except Exception as error:
        raise UnavailableError(f"{what}: {described(error)}") from error


def missing_place(cpus: float, gpus: float) -> str | None:
    """Return what keeps actors of this driver that take so much each on one machine from being placed now.

    None: nothing does, or one has its place and a process there that has yet to say so.

    Raises:
        UnavailableError: If Ray does not answer.
    """
    with _asked("Ray does not answer"):
        if _is_starting():
            return None
        nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]  # as above
        is_free = _fits(ray.available_resources(), cpus, gpus)  # type: ignore[no-untyped-call]  # as above
    wanted = f"{cpus:g} CPU(s)" + (f" and {gpus:g} GPU(s)" if gpus else "")
    if not any(_fits(node["Resources"], cpus, gpus) for node in nodes):
        return f"a machine of the cluster with {wanted}: none of the {len(nodes)} that are there has them"
    return None if is_free else f"a place on the cluster: {wanted} are not free, other work has them"


def _is_starting() -> bool:
    """Return whether an actor of this driver has a process that is not ready: what is not free is its own then."""
    job = ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    return any(actor["Pid"] for actor in actors(job_id=job, actor_state_name="PENDING_CREATION").values())


def _fits(resources: Mapping[str, float], cpus: float, gpus: float) -> bool:
    return resources.get("CPU", 0) >= cpus and resources.get("GPU", 0) >= gpus
