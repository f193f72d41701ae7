"""The card of a network's C whose numbers are others than its bundle's."""

from collections.abc import Mapping
from typing import Any

from nas_service.export.deployed_card import flash_row, use_lines, verified_ways
from nas_service.export.model_card import picture_lines
from nas_service.wording import code_span, markdown

_ACTIVATIONS = (
    "Maps have numbers of 16 bits, and all is computed in whole numbers. How large they become was seen on {:,} training images."
)
_WEIGHTS = (
    "Weights of the stem and the classifier have 8 bits, with a step for each output; nothing was looked at but the weights."
)


def compiled_card(manifest: Mapping[str, Any]) -> str:
    """Return the README.md of a zip that `nas compile` made, with what its manifest's `c` tells."""
    known, method, data = manifest["c"], manifest["method"], manifest["dataset"]
    lines = [
        f"# {markdown(method['name'])} on {markdown(data['name'])}, {_numbers(known)}",
        "",
        f"A 1-bit network of the space {code_span(manifest['space']['name'])} as C. It is another network than that of the",
        "bundle it was made from by `nas compile`, with an accuracy of its own.",
        *([_ACTIVATIONS.format(known["calibration_images"])] if known["activations"] == "int16" else []),
        *([_WEIGHTS] if known["weights"] == "int8" else []),
        "",
        f"Classes, in the order of the logits: {', '.join(markdown(name) for name in manifest['class_names'])}.",
        "",
        "| accuracy | bundle | this | images | of another class |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {part['bundle']:.4f} | {part['compiled']:.4f} | {part['images']:,} | {part['other_class']:,} |"
            for name, part in known["accuracy"].items()
        ),
        "",
        "| of `c/network.c` | |",
        "|---|---|",
        f"| flash | {flash_row(known)} |",
        f"| RAM | {known['arena_bytes']:,} bytes (`NN_ARENA_BYTES`, given by the caller), and a few hundred bytes of stack |",
        *_of_bundle(known["bundle"]),
        "",
        _verified(known),
        "",
        *picture_lines(manifest),
        *use_lines(has_test_images=False),
    ]
    return "\n".join(lines)


def _numbers(known: Mapping[str, Any]) -> str:
    named = {"int16 activations": known["activations"] == "int16", "int8 weights": known["weights"] == "int8"}
    return " and ".join(name for name, is_so in named.items() if is_so)


def _of_bundle(before: Mapping[str, Any]) -> list[str]:
    """Return what the bundle's own C takes, as far as that is known."""
    flash = f"{before['flash_bytes']:,} bytes of flash and " if "flash_bytes" in before else ""
    return [f"| the bundle's C | {flash}{before['arena_bytes']:,} of RAM |"] if "arena_bytes" in before else []


def _verified(known: Mapping[str, Any]) -> str:
    if not known["verified"]:
        return f"**Not verified**: {markdown(known['reason'])}. `make -C c selftest` verifies {known['selftest_images']} images."
    images = f"{known['images']:,} validation and test images"
    defined = "the reference in Python's integers" if known["activations"] == "int16" else "the network of these weights in torch"
    return f"**Verified when it was made** on all {images}: {verified_ways(known)}, and of {defined}."
