"""Model cards: the README.md of a bundle."""

from collections.abc import Iterator, Mapping
from typing import Any

from nas_service.binarization.method import METHODS
from nas_service.export.deployed_card import c_lines, onnx_lines, qonnx_lines
from nas_service.export.hub import front_matter
from nas_service.export.runtime import PYTHON, ROUNDING, TORCH
from nas_service.reports import MATRIX_CLASSES, ClassFigures
from nas_service.wording import code_span, listed, markdown
from search_spaces.space import SPACES

_NAMED = 20  # classes in a table, or in a sentence; manifest.json has all
_SETTINGS = 2000  # letters of settings; manifest.json has all


def _origin(space: Mapping[str, Any], search: Mapping[str, Any]) -> str:
    settings = space.get("settings", {})
    template = f" in the template `{settings['template']}`" if "template" in settings else ""
    if SPACES.get(space["name"]).is_reference:
        return f"`{space['name']}` of the literature, made by hand,{template}".rstrip(",")
    if "control" in search:
        return (
            f"drawn at random from the search space `{space['name']}`{template} to compare with, a control ({search['control']})"
        )
    return f"found in the search space `{space['name']}`{template}"


def _cost_table(cost: Mapping[str, Any]) -> list[str]:
    bytes_32 = 4 * (cost["binary_parameters"] + cost["float_parameters"])
    return [
        "| cost for one image | |",
        "|---|---|",
        f"| 1-bit parameters | {cost['binary_parameters']:,} |",
        f"| 32-bit parameters | {cost['float_parameters']:,} |",
        f"| FLOPs (multiply-accumulates with a float operand) | {cost['flops']:,} |",
        f"| BOPs (multiply-accumulates of two binary operands) | {cost['bops']:,} |",
        f"| OPs = FLOPs + BOPs / 64 | {cost['ops']:,.0f} |",
        f"| packed size | {cost['packed_bytes']:,} bytes (the parameters at 32 bits: {bytes_32:,}) |",
        "",
        "Convolutions and the linear layer are counted; batch norm, PReLU, pooling, sums and scales are not.",
    ]


def _accuracy_table(metrics: Mapping[str, Any]) -> list[str]:
    names = ("accuracy", "balanced_accuracy")
    figures = {part: " | ".join(f"{metrics[f'{part}_{name}']:.4f}" for name in names) for part in ("validation", "test")}
    rows = [f"| {part} | {shown} | {metrics[f'{part}_images']} |" for part, shown in figures.items()]
    tested = metrics["test_classes"]
    return [
        "| | accuracy | balanced accuracy | images |",
        "|---|---|---|---|",
        *rows,
        "",
        "The test images were read once, after training; no search ever saw them. Balanced accuracy is the mean of the",
        f"accuracies of the classes that have images; {tested['covered']} of {len(tested['names'])} have test images.",
    ]


def _rounding(manifest: Mapping[str, Any]) -> list[str]:
    """Return the sentence on how the frozen network compares with the trained one."""
    parts = manifest["rounding"].values()
    images, above, other = (sum(part[name] for part in parts) for name in ("images", "above_tolerance", "other_class"))
    return [
        "All figures are of the frozen network, whose arithmetic gives the same signs whatever the order of its sums; of",
        f"the {images} validation and test images, {above} have logits that differ from those of the network as trained by more",
        f"than rounding, where a sign flipped, and {other} another class.",
        "",
    ]


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by their path, as text."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", "-" if value is None or value == {} else str(value)


def _settings(settings: Mapping[str, Any]) -> str:
    """Return settings as a clause."""
    if not settings:
        return "with its default settings"
    shown = "; ".join(f"{name} = {value}" for name, value in _flat(settings))
    return f"with {code_span(shown if len(shown) <= _SETTINGS else f'{shown[:_SETTINGS]}...')}"


def _recipe(recipe: Mapping[str, Any]) -> list[str]:
    rows = [f"| {code_span(name)} | {markdown(value)} |" for name, value in _flat(recipe)]
    return ["| recipe | |", "|---|---|", *rows, ""]


def picture_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return what a picture has to be before the network can be asked for its class."""
    image, name = manifest["image"], manifest["dataset"]["name"]
    grey = image["channels"] == 1
    pixel = "one byte, its grey level" if grey else "three bytes, red, green and blue in this order"
    means, stds = (", ".join(f"{value:.4g}" for value in image[key]) for key in ("mean", "std"))
    levels = ", ".join(f"{255 * mean:.0f}" for mean in image["mean"])
    told = "dark ink on a light ground, or the other way round" if grey else "channels in another order"
    lines = [
        "## Pictures",
        "",
        f"The network takes {image['height']} rows of {image['width']} pixels, rows from above, pixels from the left. A pixel is",
        f"{pixel}, 0 to 255 as pictures have it. In C the bytes of a pixel lie side by side; in Python arrays",
        "are (N, C, H, W), one channel behind the other, of bytes, or of floats in [0, 1] that are bytes / 255.",
        "",
        f"**Mean and standard deviation are inside the network** ({means} and {stds} of [0, 1]): do not take them out.",
        "Nothing else is done to a picture, and none of another size is taken: what the pictures of the dataset went through is",
        f"yours to do. The training images have a mean level of {levels} of 255; where yours are far from that, look for {told}.",
        *([f"Pictures of `{name}`: {manifest['preparation']}."] if manifest["preparation"] else []),
    ]
    return [*lines, ""]


def _class_row(figures: ClassFigures, place: int) -> str:
    accuracy, other = figures.accuracies[place], figures.confused_with[place]
    cells = [
        markdown(figures.names[place]),
        str(figures.images[place]),
        "-" if accuracy is None else f"{accuracy:.4f}",
        "-" if other is None else f"{markdown(figures.names[other])} ({figures.confused[place]})",
    ]
    return f"| {' | '.join(cells)} |"


def _class_table(figures: ClassFigures) -> list[str]:
    count = len(figures.names)
    shown = figures.worst[:_NAMED] if count > _NAMED else range(count)
    lines = ["## Test images by class", ""]
    if count > _NAMED:
        kept = "with the confusion matrix" if figures.confusion else f"no confusion matrix is kept of more than {MATRIX_CLASSES}"
        lines += [f"The {len(shown)} of {count} classes with the lowest accuracy; `manifest.json` has all, {kept}.", ""]
    lines += ["| class | images | accuracy | most confused with (images) |", "|---|---|---|---|"]
    lines += [*(_class_row(figures, place) for place in shown), ""]
    if figures.missing:
        unknown = listed([markdown(name) for name in figures.missing], _NAMED)
        lines += [f"**Without test images**: nothing is known of {unknown}.", ""]
    return lines


def _robustness_table(robustness: Mapping[str, Any]) -> list[str]:
    rows = [f"| {name} | {accuracy:.4f} |" for name, accuracy in robustness["accuracies"].items()]
    lines = [
        "## Robustness",
        "",
        f"Accuracy on {robustness['images']} test images, each pixel (in [0, 1]) changed by at most {robustness['eps']:.4g};",
        f"{robustness['restarts']} random start(s) an attack. Transfer images (if any) come from a full-precision network.",
        "",
        "| attack | accuracy |",
        "|---|---|",
        *rows,
        f"| all of these, image by image | {robustness['worst']:.4f} |",
        "",
    ]
    if robustness["masked_by"]:
        lines += [
            f"**Masked gradients**: {', '.join(robustness['masked_by'])} did more damage than any plain white-box attack.",
            "",
        ]
    return lines


def _use(image: Mapping[str, Any], *, has_test_images: bool) -> list[str]:
    shape = f"(N, {image['channels']}, {image['height']}, {image['width']})"
    return [
        f"Needs Python {PYTHON} and torch {TORCH} or newer, nothing else.",
        "",
        "```",
        "nas evaluate BUNDLE.zip  # before running it: is model.py what is written from these weights? nothing in the zip is run",
        "python model.py" if has_test_images else "python model.py --data test.safetensors  # uint8 images (NCHW) and labels",
        "```",
        "",
        "Running `model.py`, or importing it, runs whatever code is in it. Whoever gives a bundle on can change it, and with it",
        "the SHA-256 in `manifest.json`. `nas evaluate`, which comes with nas-service, reads the zip and runs nothing of it.",
        "",
        "```python",
        "from model import HERE, Network, read_safetensors",
        "",
        "network = Network()",
        'network.load_state_dict(read_safetensors(HERE / "weights.safetensors"))',
        f"logits = network.eval()(pixels)  # float32 in [0, 1], {shape}: images.to(torch.float32) / 255",
        "```",
        "",
        f"Other pixels (0 to 255, mean and std already taken out, NaN; outside [0, 1] by more than {ROUNDING:g}) and images of",
        "another shape are refused with a `ValueError`. While the network is traced or compiled there are no values to look at.",
        "",
        "`weights.safetensors` holds binary weights as bits: bit i of byte j, least significant first, is 1 where weight",
        "8j + i of the row-major (out, in / groups, k, k) kernel is +1. sign(0) is +1; binary convolutions pad with -1.",
        "",
    ]


def candidate_card(manifest: Mapping[str, Any], *, has_test_images: bool) -> str:
    """Return the model card of a trained candidate's bundle."""
    lines = [
        *_shared(manifest),
        "## Use",
        "",
        *_use(manifest["image"], has_test_images=has_test_images),
        *c_lines(manifest, has_test_images=has_test_images),
        *onnx_lines(manifest),
        *qonnx_lines(manifest),
    ]
    return "\n".join(lines)


def c_card(manifest: Mapping[str, Any]) -> str:
    """Return the card of what of a bundle a program in C needs: it speaks of no other file."""
    return "\n".join([*_shared(manifest), *c_lines(manifest, has_test_images=False)])


def _shared(manifest: Mapping[str, Any]) -> list[str]:
    """Return what a card says whatever files are beside it: of the network, its figures, and what it was made from."""
    image, data, method = manifest["image"], manifest["dataset"], manifest["method"]
    names = [markdown(name) for name in manifest["class_names"]]
    return [
        *front_matter(manifest),
        f"# {method['name']} on {data['name']}",
        "",
        f"A 1-bit network, {_origin(manifest['space'], manifest['search'])}, trained with `{method['name']}`:",
        f"{METHODS.get(method['name']).summary}. The stem and the classifier are 32-bit.",
        "",
        *_accuracy_table(manifest["metrics"]),
        "",
        *_rounding(manifest),
        *_cost_table(manifest["cost"]),
        "",
        *_class_table(ClassFigures.model_validate(manifest["metrics"]["test_classes"])),
        *(_robustness_table(manifest["metrics"]["robustness"]) if "robustness" in manifest["metrics"] else []),
        *picture_lines(manifest),
        "## Data",
        "",
        f"`{data['name']}` {_settings(data['settings'])}: {image['height']}x{image['width']} pixels,",
        f"{image['channels']} channel(s), {image['classes']} classes: {listed(names, MATRIX_CLASSES)}.",
        "",
        "## Training",
        "",
        f"Method `{method['name']}` {_settings(method['settings'])}; seed {manifest['seed']}.",
        "",
        *_recipe(manifest["recipe"]),
    ]


def _place(manifest: Mapping[str, Any]) -> str:
    """Return what an architecture is to its search."""
    search = f"search `{manifest['search_id']}`"
    if "control" in manifest:
        return f"A control ({manifest['control']}) of {search}: drawn at random, to compare with what was found."
    return f"Rank {manifest['rank']} of {search}, score {manifest['score']:.4f}."


def architecture_card(manifest: Mapping[str, Any]) -> str:
    """Return the model card of an architecture that was not trained."""
    lines = [
        f"# An architecture of {manifest['space']['name']}",
        "",
        f"{_place(manifest)} It holds no weights: `genotype.json` is the architecture, `diagram.svg` its picture.",
        "",
        *_cost_table(manifest["cost"]),
        "",
        *_c_table(manifest),
    ]
    return "\n".join(lines)


def _c_table(manifest: Mapping[str, Any]) -> list[str]:
    """Return what an architecture takes in C, or why it has none, where a manifest tells."""
    if "c_refused" in manifest:
        return [f"No C: {manifest['c_refused']}.", ""]
    if "c" not in manifest:
        return []
    c = manifest["c"]
    return [
        "| as C, planned before training | |",
        "|---|---|",
        f"| flash on a Cortex-M4, about | {c['flash_bytes']:,} bytes |",
        f"| of them constants, at most | {c['constant_bytes']:,} bytes |",
        f"| RAM, without the stack | {c['arena_bytes']:,} bytes |",
        f"| an image on a Cortex-M4, about | {c['cortex_m4_instructions']:,} instructions |",
        "",
    ]
