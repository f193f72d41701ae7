"""The conditions of a measurement, printed above every table."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def conditions() -> str:
    """Return processor, system and versions in one paragraph."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray", "nas-service"))
    cores = len(os.sched_getaffinity(0))
    when = datetime.now(UTC).date().isoformat()
    return f"{when}, {cores} cores of {models[0] if models else 'unknown'}, Python {platform.python_version()}, {versions}"
