"""docker-compose.yml as Docker Compose itself reads it: variables put in, anchors and merges worked out, all forms long."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKER_COMPOSE = Path(sys.executable).with_name("docker-compose")
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}


def read_project(**variables: str) -> dict[str, Any]:
    """Return the project with these variables in the place of an .env file.

    Raises:
        ValueError: If Compose refuses the file, which it holds against its schema.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NAS_")}
    command = [str(DOCKER_COMPOSE), "--file", str(COMPOSE), "--project-name", "nas", "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**kept, **variables})
    if done.returncode or not done.stdout:  # this build of Compose ends well whatever it says
        raise ValueError(done.stderr)
    project: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))  # it could be read as a file again
    return project


def seconds(text: str) -> float:
    """Return what a duration as Compose writes it (`1m30s`) is in seconds."""
    total, digits, unit = 0.0, "", ""
    for letter in f"{text} ":
        if unit and not letter.isalpha():
            total, digits, unit = total + float(digits) * _UNITS_S[unit], "", ""
        digits, unit = (digits, unit + letter) if letter.isalpha() else (digits + letter, unit)
    return total


def size_bytes(text: str) -> int:
    """Return what a size (`64m`, `1g`, a number) is in bytes."""
    unit = _UNITS_BYTES.get(text[-1].lower(), 0)
    return int(text[:-1]) * unit if unit else int(text)


@dataclass(frozen=True)
class Tmpfs:
    """A folder in memory, as a line of `tmpfs` asks for it."""

    place: str
    mode: str
    size: int
    may_execute: bool


def tmpfs_of(service: Mapping[str, Any]) -> list[Tmpfs]:
    """Return the folders in memory of a service."""
    found = []
    for line in service.get("tmpfs") or ():
        place, _, options = line.partition(":")
        words = options.split(",")
        named = dict(word.split("=", 1) for word in words if "=" in word)
        found.append(Tmpfs(place, named.get("mode", "1777"), size_bytes(named.get("size", "64m")), "exec" in words))
    return found
