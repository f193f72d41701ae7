"""`nas train-local` and `nas evaluate`: work without a service, without Ray and without a database."""

from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.commands.classes import print_weak, print_worst
from api.commands.files import require_writable
from api.commands.options import Json
from api.commands.specs import Sets, read_spec
from api.console import console, print_json, print_remarks, print_table, say
from nas_service.errors import ExportError
from nas_service.reports import ClassFigures
from nas_service.search.strategy import STRATEGIES
from nas_service.settings import Settings
from nas_service.wording import percent
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace

if TYPE_CHECKING:
    import torch

    from nas_service.export.bundle_reading import Bundle
    from nas_service.export.rewriting import Rewritten
    from nas_service.reports import EpochReport
    from search_spaces.network import Network


class Runner(StrEnum):
    """What the rebuilt network is run with."""

    TORCH = "torch"
    C = "c"
    ONNX = "onnx"


_DIFFERS = (
    "model.py differs from what this version writes from genotype and weights: another version wrote it, or somebody changed it. "
    "It was not run here; run it only if you trust where it came from."
)

_FILES_DIFFER = (
    "{}: not what this version writes from genotype and weights: another version wrote it, or somebody changed it. It was not "
    "run here."
)

_OTHER_DATA = (
    "the images, classes or split of dataset {} are not those that this network was trained and tested with, so they cannot "
    "show what the manifest states; give test images with --data FILE.safetensors"
)


def _genotype(space: SearchSpace, file: Path | None, seed: int) -> Genotype:
    if file is None:
        return STRATEGIES.get("random").from_settings(space, {}, seed).suggest((), 1)[0]
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFieldError("--genotype", str(file), f"a readable JSON file ({error})") from error
    return space.parse(Genotype.from_json(text).to_dict())


def _device(name: str) -> "torch.device":
    import torch  # noqa: PLC0415 - loaded by the commands that need it only, so that the others start at once

    there = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    allowed = ["cpu", "cuda", *there] if there else ["cpu"]
    if name not in allowed:
        raise InvalidFieldError("--device", name, ", ".join(allowed) + ("" if there else " (torch sees no CUDA device here)"))
    return torch.device(name)


def train_local(  # noqa: PLR0913, PLR0917 - the options of the command line
    space: Annotated[str, typer.Option(help="Search space.")] = "abandit-general",
    genotype: Annotated[Path | None, typer.Option(help="genotype.json; a random one if left out.")] = None,
    dataset: Annotated[str, typer.Option(help="Dataset.")] = "digits",
    method: Annotated[str, typer.Option(help="Binarization method.")] = "xnor-net",
    epochs: Annotated[int | None, typer.Option(help="Epochs.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads; part of what makes results repeat.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, or where there is one cuda or cuda:N.")] = "cpu",
    output: Annotated[Path, typer.Option("--output", "-o", help="Bundle to write.")] = Path("bundle.zip"),
    sets: Sets = None,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Train one network here and now and write its bundle."""
    require_writable("--output", output)
    import torch  # noqa: PLC0415 - as above

    from nas_service.candidate import train_to_bundle  # noqa: PLC0415
    from nas_service.catalogue import build_space  # noqa: PLC0415
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415
    from nas_service.checking.specs import check_local_training  # noqa: PLC0415

    settings, place = Settings(), _device(device)
    options = {"space": space, "dataset": dataset, "method": method, "recipe.epochs": epochs, "seed": seed}
    spec = check_local_training(read_spec(None, options, sets).required(), settings.data, gpus=place.type == "cuda")
    torch.set_num_threads(threads)

    def show(report: "EpochReport") -> None:
        if not as_json:
            figures = f"loss {report.train_loss:.4f}, validation {percent(report.validation_accuracy)}"
            say(f"epoch {report.epoch + 1}/{spec.recipe.epochs}: {figures}")

    chosen = _genotype(build_space(spec.space), genotype, seed)
    with console.status("reading images") as status:
        data = open_dataset(spec.dataset, settings, lambda done, total: status.update(f"reading images: {done:,} of {total:,}"))
    if not as_json:
        print_remarks(data.facts.skipped, data.facts.warnings)
    content, metrics, _ = train_to_bundle(spec, chosen, data, settings.bundled_test_bytes, place, show)
    output.write_bytes(content)
    if as_json:
        print_json({"bundle": str(output), "metrics": metrics.model_dump(mode="json", exclude_none=True)})
    else:
        told = f"test accuracy {percent(metrics.test_accuracy)}, balanced {percent(metrics.test_balanced_accuracy)}"
        say(told)
        if metrics.test_classes is not None:
            print_weak(metrics.test_classes)
        say(f"bundle: {output}")


def _readable(value: object) -> str:
    return percent(value) if isinstance(value, float) else str(value)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidFieldError("--data", str(file), f"a readable safetensors file ({error.strerror})") from error


def _test_images(bundle: "Bundle", data: Path | None) -> tuple["torch.Tensor", "torch.Tensor"]:
    from nas_service.checking.datasets import open_dataset  # noqa: PLC0415 - as above
    from nas_service.export.bundle import write_test_images  # noqa: PLC0415
    from nas_service.export.bundle_archive import TEST_IMAGES  # noqa: PLC0415
    from nas_service.export.bundle_reading import read_test_images  # noqa: PLC0415

    stated = bundle.candidate
    if data is not None:
        return read_test_images(_content(data), stated.image, str(data))
    if TEST_IMAGES in bundle.files:
        return read_test_images(bundle.files.pop(TEST_IMAGES), stated.image)  # which copies them: their bytes are let go
    dataset = open_dataset(stated.dataset, Settings())
    if stated.dataset_digest not in {None, dataset.digest}:
        raise ExportError(_OTHER_DATA.format(stated.dataset.name))
    part = dataset.test
    if part is None:
        raise ExportError("the dataset of this bundle has no test images; give --data FILE.safetensors")
    return read_test_images(write_test_images(part), stated.image)


def _classify(network: "Network", written: "Rewritten", images: "torch.Tensor", runner: Runner) -> "torch.Tensor":
    import torch  # noqa: PLC0415 - as above

    from nas_service.deploy.onnx_verifying import classify_in_onnx  # noqa: PLC0415
    from nas_service.export import runtime  # noqa: PLC0415
    from nas_service.export.formats import DownloadFormat  # noqa: PLC0415
    from nas_service.export.rewriting import classify_in_c  # noqa: PLC0415

    if runner is Runner.C:
        return classify_in_c(written.files(DownloadFormat.C), images)
    if runner is Runner.ONNX:
        (content,) = written.files(DownloadFormat.ONNX).values()
        return torch.from_numpy(classify_in_onnx(content, images.numpy()))
    try:
        return runtime.classify(network, images)
    except RuntimeError as error:  # torch's word for too little memory
        raise ExportError(f"the test images cannot be classified: {error}") from error


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Bundle of a candidate.")],
    data: Annotated[Path | None, typer.Option(help="Safetensors file with images (uint8 NCHW) and labels.")] = None,
    runner: Annotated[
        Runner, typer.Option("--with", help="torch; c: generated and compiled here; onnx: generated here, run by ONNX Runtime.")
    ] = Runner.TORCH,
    as_json: Json = False,  # noqa: FBT002 - typer's way
) -> None:
    """Verify a bundle's files, rebuild its network from genotype and weights, and classify the test images.

    Nothing in the bundle is run; whether its model.py, its C and its ONNX are what this version writes is told. With c or onnx
    it is an error if the bundle's own files of that are others.
    """
    from nas_service.export.bundle_archive import TEST_IMAGES, look_at  # noqa: PLC0415 - as above

    look_at(bundle)  # before torch is loaded, which takes seconds
    from nas_service.export.bundle_reading import read_bundle  # noqa: PLC0415
    from nas_service.export.rebuilding import has_own_source, network_of  # noqa: PLC0415
    from nas_service.export.rewriting import Rewritten  # noqa: PLC0415

    read = read_bundle(bundle)
    network, stated = network_of(read), read.candidate.metrics.test_accuracy
    is_own = has_own_source(read, network)
    is_sure = TEST_IMAGES in read.files or read.candidate.dataset_digest is not None
    images, labels = _test_images(read, data)
    written = Rewritten(read, network)
    predicted = _classify(network, written, images, runner)
    by_class = ClassFigures.count(read.candidate.class_names, labels.tolist(), predicted.tolist())
    result = {
        "accuracy": by_class.accuracy,
        "balanced_accuracy": by_class.balanced_accuracy,
        "correct": sum(by_class.correct),
        "images": len(labels),
        "manifest_accuracy": stated,
        "model_py": "as written" if is_own else "differs",
        **written.states,
        "with": runner.value,
    }
    if as_json:
        print_json({**result, "classes": by_class.model_dump(mode="json")})
    else:
        print_table(str(bundle), ["figure", "value"], [(key, _readable(value)) for key, value in result.items()])
        print_worst(by_class)
        if not is_own:
            say(_DIFFERS)
        if differing := [name for names in written.differing.values() for name in names]:
            say(_FILES_DIFFER.format(", ".join(differing)))
    if names := written.differing.get(runner.value):
        raise ExportError(
            f"what was run is what this version ({version('nas-service')}) writes; the bundle has something else in "
            f"{', '.join(names)}: another version or state of this service wrote it, or somebody changed it"
        )
    if data is None and by_class.accuracy != stated:
        doubt = "" if is_sure else f"; it does not state the images of {read.candidate.dataset.name}, which may be others now"
        raise ExportError(f"the network reaches {by_class.accuracy!r}, the manifest states {stated!r}{doubt}")
