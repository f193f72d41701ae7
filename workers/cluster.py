"""Connecting a driver to Ray."""

import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from nas_service.catalogue import Capacity
from nas_service.settings import Settings
from workers.scratch import make_scratch, temporary_folder


@contextmanager
def connected(settings: Settings) -> Iterator[Capacity]:
    """Start or join the Ray that the settings name, give its capacity, and leave it at the end of the block.

    `local` is said on purpose: plain `ray.init` would join whatever cluster it finds on the machine.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    with _ray_folder(settings) as folder:
        if settings.ray_address == "local":
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else Ray writes one into ~/.ray, for all to read
            ray.init(
                address="local",
                num_cpus=len(os.sched_getaffinity(0)),
                object_store_memory=settings.object_store_bytes,
                include_dashboard=False,
                log_to_driver=True,
                _temp_dir=str(folder),
            )
        else:
            ray.init(address=settings.ray_address)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # ray.init puts a handler of its own, which only exits
        try:
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
