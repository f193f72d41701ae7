"""`nas compile`: a bundle's network as C with other activations, here and now, without a service."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.files import require_writable
from api.commands.options import Json
from api.console import console, percent, print_json, print_table
from nas_service.errors import ExportError
from nas_service.settings import Settings
from search_spaces.errors import InvalidFieldError


class Activations(StrEnum):
    """Numbers between a network's layers."""

    INT16 = "int16"


_OTHER_DATA = (
    "the images, classes or split of dataset {} are not those that this network was trained with, so its numbers cannot be "
    "calibrated on them"
)


def compile_bundle(
    bundle: Annotated[Path, typer.Argument(help="Bundle of a candidate.")],
    activations: Annotated[
        Activations, typer.Option(help="int16: whole numbers of 16 bits, half the RAM of float32, with an accuracy of their own.")
    ] = Activations.INT16,
    output: Annotated[Path, typer.Option("--output", "-o", help="Zip to write.")] = Path("network-int16.zip"),
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write a bundle's network as C whose maps have numbers of 16 bits: c/, packed.py, a card and a manifest.

    How large the numbers are is seen on training images; accuracy is measured, and the C compared bit for bit with its
    definition, on all validation and test images. Nothing in the bundle is run.
    """
    if output.exists() and bundle.exists() and output.samefile(bundle):
        raise InvalidFieldError("--output", str(output), "another file than the bundle")
    from nas_service.export.bundle_archive import look_at  # noqa: PLC0415 - torch is loaded by the commands that need it only

    look_at(bundle)  # before that, which takes seconds
    require_writable("--output", output)
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415 - as above
    from nas_service.export.bundle_reading import read_bundle  # noqa: PLC0415
    from nas_service.export.int16_c import compile_int16  # noqa: PLC0415
    from nas_service.export.rebuilding import network_of  # noqa: PLC0415

    settings = Settings()
    read = read_bundle(bundle)
    network, stated = network_of(read), read.candidate
    dataset = open_dataset(stated.dataset, settings)
    if stated.dataset_digest not in {None, dataset.digest}:
        raise ExportError(_OTHER_DATA.format(stated.dataset.name))
    compiled = compile_int16(read, network, dataset, settings.bundled_test_bytes)
    output.write_bytes(compiled.content)
    if as_json:
        print_json({"path": str(output), "activations": activations.value, "c": compiled.facts})
    else:
        _print(output, compiled.facts)


def _print(output: Path, facts: dict[str, Any]) -> None:
    rows = [
        (name, percent(part["float32"]), percent(part["int16"]), part["images"], part["other_class"])
        for name, part in facts["accuracy"].items()
    ]
    print_table("accuracy", ["part", "float32", "int16", "images", "of another class"], rows)
    flash = facts.get("flash_bytes")
    told = f"{facts['arena_bytes']:,} bytes of RAM, " + (
        f"{facts['constant_bytes']:,} of constants" if flash is None else f"{flash:,} of flash"
    )
    console.print(told, markup=False, highlight=False)
    if facts["verified"]:
        console.print(f"the bits of its definition on {facts['images']:,} images", markup=False, highlight=False)
    else:
        console.print(f"not verified: {facts['reason']}", markup=False, highlight=False, soft_wrap=True)
    console.print(str(output), markup=False, highlight=False, soft_wrap=True)
