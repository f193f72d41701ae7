"""What model hubs look for in a folder: a head of YAML in the card, `config.json` and `preprocessor_config.json`."""

import json
from collections.abc import Mapping
from typing import Any

from nas_service.json_text import json_text

LIBRARY, TASK = "nas-service", "image-classification"
_LEVELS = 255


def front_matter(manifest: Mapping[str, Any]) -> list[str]:
    """Return the YAML head of a candidate's card. It states no licence: that is the choice of whoever publishes the network."""
    method, data, metrics = manifest["method"]["name"], manifest["dataset"]["name"], manifest["metrics"]
    tags = ["1-bit", "binary-neural-network", "neural-architecture-search", method, manifest["space"]["name"]]
    figures = [("accuracy", metrics["test_accuracy"]), ("balanced_accuracy", metrics["test_balanced_accuracy"])]
    return [
        "---",
        f"library_name: {LIBRARY}",
        f"pipeline_tag: {TASK}",
        "tags:",
        *(f"- {_text(tag)}" for tag in tags),
        "datasets:",
        f"- {_text(data)}",
        "metrics:",
        *(f"- {kind}" for kind, _ in figures),
        "model-index:",
        f"- name: {_text(f'{method} on {data}')}",
        "  results:",
        "  - task:",
        f"      type: {TASK}",
        "    dataset:",
        f"      name: {_text(data)}",
        f"      type: {_text(data)}",
        "      split: test",
        "    metrics:",
        *(line for kind, value in figures for line in (f"    - type: {kind}", f"      value: {value!r}")),
        "---",
        "",
    ]


def _text(value: str) -> str:
    """Return a string of YAML: one of JSON, but that escapes are of 4 or 8 digits, not pairs of surrogates."""
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def hub_files(manifest: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, bytes]:
    """Return `config.json` and `preprocessor_config.json`.

    Args:
        manifest: Of a candidate.
        digests: SHA-256 of files that the network depends on, by name.
    """
    image, names = manifest["image"], manifest["class_names"]
    size = {"height": image["height"], "width": image["width"]}
    config = {
        "architecture": {"space": manifest["space"], "genotype": manifest["genotype_digest"]},
        "model_type": "binary-neural-network",
        "method": manifest["method"],
        "bits": manifest["bits"],
        "input": {"channels": image["channels"], **size, "range": [0, 1], "layout": "NCHW", "levels": _LEVELS + 1},
        "num_labels": image["classes"],
        "id2label": {str(place): name for place, name in enumerate(names)},
        "label2id": {name: place for place, name in enumerate(names)},
        "digests": dict(digests),
    }
    preprocessor = {
        "do_resize": True,
        "size": size,
        "do_rescale": True,
        "rescale_factor": 1 / _LEVELS,
        "do_normalize": False,  # mean and standard deviation are inside the network
        "do_convert_rgb": image["channels"] == 3,  # noqa: PLR2004 - red, green, blue
    }
    return {"config.json": _json(config), "preprocessor_config.json": _json(preprocessor)}


def _json(value: object) -> bytes:
    return f"{json_text(value)}\n".encode()
