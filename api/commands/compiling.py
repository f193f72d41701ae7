"""`nas compile`: a bundle's network as C with other numbers, here and now, without a service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from api.commands.files import require_writable
from api.commands.options import Json
from api.console import print_json, print_table, say
from nas_service.errors import ExportError
from nas_service.export.numbers import Activations, Weights
from nas_service.settings import Settings
from nas_service.wording import percent
from search_spaces.errors import InvalidFieldError

_OTHER_DATA = (
    "the images, classes or split of dataset {} are not those that this network was trained with, so its numbers cannot be "
    "calibrated on them"
)


def compile_bundle(
    bundle: Annotated[Path, typer.Argument(help="Bundle of a candidate.")],
    activations: Annotated[
        Activations,
        typer.Option(help="Between layers. int16: whole numbers, half the RAM of float32, with an accuracy of their own."),
    ] = Activations.INT16,
    weights: Annotated[
        Weights,
        typer.Option(help="Of stem and classifier. int8: a quarter of float32's flash, with an accuracy of their own."),
    ] = Weights.FLOAT32,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Zip to write; named after its numbers if left out.")
    ] = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Write a bundle's network as C with int16 activations, int8 weights or both: c/, packed.py, a card and a manifest.

    How large numbers of 16 bits are is seen on training images; accuracy is measured, and the C compared bit for bit with its
    definition, on all validation and test images. Nothing in the bundle is run.
    """
    chosen = [kind.value for kind in (activations, weights) if kind.value != "float32"]
    if not chosen:
        raise InvalidFieldError("--activations", activations.value, "int16, or --weights int8: the C of float32 is in the bundle")
    output = output or Path(f"network-{'-'.join(chosen)}.zip")
    if output.exists() and bundle.exists() and output.samefile(bundle):
        raise InvalidFieldError("--output", str(output), "another file than the bundle")
    require_writable("--output", output)
    from nas_service.export.bundle_archive import look_at  # noqa: PLC0415 - torch is loaded by the commands that need it only

    look_at(bundle)  # before that, which takes seconds
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415 - as above
    from nas_service.export.bundle_reading import read_bundle  # noqa: PLC0415
    from nas_service.export.compiled import compile_network  # noqa: PLC0415
    from nas_service.export.rebuilding import network_of  # noqa: PLC0415

    settings = Settings()
    read = read_bundle(bundle)
    network, stated = network_of(read), read.candidate
    dataset = open_dataset(stated.dataset, settings)
    if stated.dataset_digest not in {None, dataset.digest}:
        raise ExportError(_OTHER_DATA.format(stated.dataset.name))
    compiled = compile_network(read, network, dataset, settings.bundled_test_bytes, (activations, weights))
    output.write_bytes(compiled.content)
    if as_json:
        told = {"path": str(output), "activations": activations.value, "weights": weights.value}
        print_json({**told, "c": compiled.facts})
    else:
        _print(output, compiled.facts)


def _print(output: Path, facts: dict[str, Any]) -> None:
    rows = [
        (name, percent(part["bundle"]), percent(part["compiled"]), part["images"], part["other_class"])
        for name, part in facts["accuracy"].items()
    ]
    print_table("accuracy", ["part", "bundle", "this", "images", "of another class"], rows)
    flash = facts.get("flash_bytes")
    told = f"{facts['arena_bytes']:,} bytes of RAM, " + (
        f"{facts['constant_bytes']:,} of constants" if flash is None else f"{flash:,} of flash"
    )
    say(told)
    if facts["verified"]:
        say(f"the bits of its definition on {facts['images']:,} images")
    else:
        say(f"not verified: {facts['reason']}")
    say(str(output))
