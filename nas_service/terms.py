"""Terms of comparisons: what views, tables and files name alike. Plain values that need nothing but Python."""

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any


class Quantity(StrEnum):
    """What the best candidate is chosen by; test images have no say."""

    VALIDATION_ACCURACY = "validation_accuracy"
    VALIDATION_PGD_20 = "validation_pgd_20"  # on validation images under PGD-20


class FrontAccuracy(StrEnum):
    """What a front would have high."""

    CLEAN = "clean"
    ATTACKED = "attacked"


class FrontCost(StrEnum):
    """What a front would have low."""

    OPS = "ops"
    PACKED_BYTES = "packed_bytes"


def method_label(method: Mapping[str, Any], more: Sequence[str] = ()) -> str:
    """Return `name`, or `name(setting=value, recipe.epochs=9)` where something was asked for; `more` goes behind it."""
    asked = [f"{key}={json.dumps(value)}" for key, value in sorted(method.get("settings", {}).items())]
    asked += [f"recipe.{key}={json.dumps(value)}" for key, value in sorted(method.get("recipe", {}).items())]
    asked += more
    return f"{method['name']}({', '.join(asked)})" if asked else str(method["name"])
