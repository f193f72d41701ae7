"""Connecting a driver to Ray."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from nas_service.catalogue import Capacity
from nas_service.settings import Settings


@contextmanager
def connected(settings: Settings) -> Iterator[Capacity]:
    """Start or join the Ray that the settings name, give its capacity, and leave it at the end of the block.

    `local` is said on purpose: plain `ray.init` would join whatever cluster it finds on the machine.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    on_sigterm = signal.getsignal(signal.SIGTERM)
    if settings.ray_address == "local":
        ray.init(
            address="local",
            num_cpus=len(os.sched_getaffinity(0)),
            object_store_memory=settings.object_store_bytes,
            include_dashboard=False,
            log_to_driver=True,
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
