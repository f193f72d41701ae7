"""The part of a model card for who runs the network without torch: in C, or in a runtime of ONNX."""

from collections.abc import Mapping, Sequence
from typing import Any

from nas_service.wording import code_span, markdown, printable

_CODE = 12_000  # bytes of code beside the constants on a Cortex-M4, where no compiler could tell


def c_lines(manifest: Mapping[str, Any], *, has_test_images: bool) -> Sequence[str]:
    """Return the section on C: what it takes, what was verified, how it is built and called; or why there is none."""
    known = manifest["c"]
    if not known["written"]:
        return ["## C", "", f"This network cannot be written as C: {printable(known['reason'])}.", ""]
    return [
        "## C, without Python",
        "",
        *_table(known, manifest["cost"], manifest["metrics"]),
        "",
        _verified(known, manifest),
        "",
        *use_lines(has_test_images=has_test_images),
    ]


def onnx_lines(manifest: Mapping[str, Any]) -> Sequence[str]:
    """Return the section on ONNX."""
    known = manifest["onnx"]
    if not known["written"]:
        return ["## ONNX", "", f"This network cannot be written as ONNX: {printable(known['reason'])}.", ""]
    if known["verified"]:
        seen = f"**Verified when it was made** on {_images(known, manifest)} in {known['runtime']}: {_alike(known)}."
    else:
        seen = f"**Not verified**: {markdown(known['reason'])}."
    return [
        "## ONNX",
        "",
        "`network.onnx` takes `pixels`, float32 (n, C, H, W) in [0, 1] as `model.py` does, and gives `logits`: standard",
        "operators of opset 18. It is for reach, not for speed: no runtime has a binary convolution, so bits become floats.",
        "",
        seen,
        "",
    ]


def qonnx_lines(manifest: Mapping[str, Any]) -> Sequence[str]:
    """Return the section on QONNX."""
    known = manifest["qonnx"]
    if not known["written"]:
        return ["## QONNX", "", f"This network cannot be written as QONNX: {printable(known['reason'])}.", ""]
    return [
        "## QONNX, for research",
        "",
        "`network-qonnx.onnx` has a `BipolarQuant` of scale 1 (domain `qonnx.custom_op.general`) on both operands of each binary",
        "convolution, and batch norms as they are; weights are float32, the batch is one image. The package `qonnx` runs it.",
        "That a tool for FPGAs builds something of it is not promised: stem, pooling and sums are real numbers.",
        "",
        f"**Not verified**: {markdown(known['reason'])}.",
        "",
    ]


def flash_row(known: Mapping[str, Any]) -> str:
    """Return what C takes of flash, for a table."""
    constants = known["constant_bytes"]
    if "flash_bytes" not in known:
        return f"{constants:,} bytes of constants, and some {_CODE:,} of code (no compiler was there to tell)"
    flash = f"{known['flash_bytes']:,} bytes: {constants:,} of constants, the rest code ({code_span(known['flash_of'])})"
    if known["flash_with_checksum_bytes"] > known["flash_bytes"]:
        flash += f"; {known['flash_with_checksum_bytes']:,} of an object, with what a self-test or a library needs"
    return flash


def _table(known: Mapping[str, Any], cost: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    return [
        "| of `c/network.c` | |",
        "|---|---|",
        f"| test accuracy | {metrics['test_accuracy']:.4f} |",
        f"| flash | {flash_row(known)} |",
        f"| RAM | {known['arena_bytes']:,} bytes (`NN_ARENA_BYTES`, given by the caller), and a few hundred bytes of stack |",
        f"| for one image | {cost['bops']:,} binary and {cost['flops']:,} other multiply-accumulates |",
    ]


def _images(known: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    total = sum(part["images"] for part in manifest["rounding"].values())
    return f"{known['images']:,} of {total:,} validation and test images"


def _alike(known: Mapping[str, Any]) -> str:
    near = known["other_class"]
    which = f"all but {near:,} images whose two best logits lie as near to each other" if near else "every image"
    return f"logits within {known['tolerance']:g} of the frozen network's, of the largest or of 1, and its class on {which}"


def _verified(known: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    if not known["verified"]:
        return f"**Not verified**: {markdown(known['reason'])}. `make -C c selftest` verifies {known['selftest_images']} images."
    return f"**Verified when it was made** on {_images(known, manifest)}: {verified_ways(known)}; {_alike(known)}."


def verified_ways(known: Mapping[str, Any]) -> str:
    """Return with what C was compiled, and that it made the same bits."""
    ways = " and ".join(f"{code_span(build['flags'])} ({build['instructions']})" for build in known["builds"])
    return f"compiled by {code_span(known['compiler'])} with {ways}, the same bits of every logit"


def use_lines(*, has_test_images: bool) -> list[str]:
    """Return how C is built and called."""
    return [
        "```",
        "make -C c selftest   # a C compiler and make are all it takes; exit status 0: the same bits as where it was made",
        "make -C c lib        # libnetwork.a; also: native (a shared library), cortex-m4 (an object, and its size)",
        "python packed.py"
        + ("     # the same C" if has_test_images else " --data FILE.safetensors  # uint8 images (NCHW) and labels; the same C")
        + " from Python, with numpy alone",
        "```",
        "",
        "```c",
        '#include "network.h"',
        "",
        "static uint64_t arena[(NN_ARENA_BYTES + 7) / 8];",
        "float logits[NN_CLASSES];",
        "nn_run(arena, image, logits); /* uint8_t image[NN_HEIGHT][NN_WIDTH][NN_CHANNELS], 0 to 255 */",
        "```",
        "",
        "`c/network.c` is C99, needs `memcpy` and `memset`, allocates nothing and keeps nothing between calls. Compile it with",
        "`-ffp-contract=off` and without `-ffast-math`: then every compiler and processor computes the same bits.",
        "",
        "```python",
        "from packed import Network",
        "",
        "logits = Network()(pixels)  # numpy, (N, C, H, W): uint8, or float of whole grey levels: images / 255",
        "```",
        "",
        "Where there is no compiler, `packed.py` takes what was compiled elsewhere for such a processor: `c/libnetwork.so`, as",
        "`make -C c native` writes it, what `NN_LIBRARY` names, or `Network(library=...)`. It has to be of this network.",
        "",
    ]
