"""Timing: how long like work took here, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Timing:
    """How long something took.

    Attributes:
        seconds: The mean.
        count: Of how many.
    """

    seconds: float
    count: int


def method_key(method: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """Return what the time of an epoch depends on: the method, and its recipe but for the number of epochs."""
    own, shared = (
        {name: value for name, value in given.items() if name != "epochs"} for given in (method.get("recipe", {}), recipe)
    )
    return json.dumps([method["name"], method.get("settings", {}), own, shared], sort_keys=True)
