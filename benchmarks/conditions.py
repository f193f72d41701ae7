"""The conditions of a measurement, printed above every table."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch


def conditions() -> str:
    """Return processor, system and versions in one paragraph."""
    models = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    versions = ", ".join(found for name in ("torch", "ray", "nas-service") if (found := _version(name)))
    cores = len(os.sched_getaffinity(0))
    when = datetime.now(UTC).date().isoformat()
    return f"{when}, {cores} cores of {models[0] if models else 'unknown'}, Python {platform.python_version()}, {versions}"


def pick_device(name: str) -> torch.device:
    """Return the device of a name, CUDA for `auto` where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """Return what computes, for people."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    return f"{device.type}, {torch.get_num_threads()} thread(s)"


def _version(name: str) -> str:
    """Return name and version of an installed package, nothing of one that is not there."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""
