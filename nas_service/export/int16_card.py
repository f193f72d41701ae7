"""The card of a network's C with int16 activations."""

from collections.abc import Mapping
from typing import Any

from nas_service.export.deployed_card import flash_row, use_lines, verified_ways
from nas_service.export.model_card import picture_lines
from nas_service.wording import code_span, markdown


def int16_card(manifest: Mapping[str, Any]) -> str:
    """Return the README.md of a zip whose manifest's `c` was measured with int16 activations."""
    known, method, data = manifest["c"], manifest["method"], manifest["dataset"]
    lines = [
        f"# {markdown(method['name'])} on {markdown(data['name'])}, int16 activations",
        "",
        f"A 1-bit network of the space {code_span(manifest['space']['name'])} as C whose maps have numbers of 16 bits.",
        "It computes in whole numbers by a definition of its own: it is another network than that of the bundle it was made from",
        f"by `nas compile`. How large its numbers become was seen on {known['calibration_images']:,} training images.",
        "",
        f"Classes, in the order of the logits: {', '.join(markdown(name) for name in manifest['class_names'])}.",
        "",
        "| accuracy | float32 | int16 | images | of another class |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {part['float32']:.4f} | {part['int16']:.4f} | {part['images']:,} | {part['other_class']:,} |"
            for name, part in known["accuracy"].items()
        ),
        "",
        "| of `c/network.c` | |",
        "|---|---|",
        f"| flash | {flash_row(known)} |",
        f"| RAM | {known['arena_bytes']:,} bytes (`NN_ARENA_BYTES`, given by the caller), and a few hundred bytes of stack |",
        "",
        _verified(known),
        "",
        *picture_lines(manifest),
        *use_lines(has_test_images=False),
    ]
    return "\n".join(lines)


def _verified(known: Mapping[str, Any]) -> str:
    if not known["verified"]:
        return f"**Not verified**: {markdown(known['reason'])}. `make -C c selftest` verifies {known['selftest_images']} images."
    images = f"{known['images']:,} validation and test images"
    return f"**Verified when it was made** on all {images}: {verified_ways(known)}, and of the reference in Python's integers."
