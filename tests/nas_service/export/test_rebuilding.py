"""Rebuilding networks from bundles: what does not fit is refused before it is built, and `model.py` is compared."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space, stated_space
from nas_service.errors import ExportError
from nas_service.export.bundle import image_facts
from nas_service.export.bundle_reading import Bundle, read_bundle, read_test_images
from nas_service.export.packed import freeze_network
from nas_service.export.rebuilding import has_own_source, network_of
from nas_service.export.runtime import count_correct
from nas_service.export.standalone import frozen_weights, source_title, write_source
from nas_service.specs import Component
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.contracts.test_methods import CONFIGURED, configured
from tests.nas_service.export.test_bundle import CASES, _made
from tests.nas_service.export.test_pruning import PRUNED, _export
from tests.samples import RGB_9, random_genotype

PRUNED_LAYER = "cells.0.preprocess.conv"


@cache
def _bundle(folder: Path) -> Bundle:
    (folder / "b.zip").write_bytes(_made(0)[0])
    return read_bundle(folder / "b.zip")


@pytest.fixture
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return the bundle of a small trained network."""
    return _bundle(tmp_path_factory.getbasetemp())


def _refusal(bundle: Bundle) -> str:
    with pytest.raises(ExportError) as caught:
        network_of(bundle)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) <= 500
    return message


DEEP = {"name": "bats", "settings": {"cells": 64, "channels": 1024}}
MANIFESTS: list[tuple[dict[str, Any], str]] = [
    (
        {"method": {"name": "bn"}},
        "the bundle's network cannot be rebuilt: method.name: 'bn' is not allowed; allowed: did you mean bnn",
    ),
    ({"method": {"name": "\x1b"}}, r"the bundle's network cannot be rebuilt: method.name: '\x1b' is not allowed"),
    ({"method": {"name": "bnn", "settings": {"x": 1}}}, "the bundle's network cannot be rebuilt: method.settings.x: 1 is not"),
    (
        {"space": {"name": "tiny", "settings": {"operations": ["skip"]}}},
        "the bundle's network cannot be rebuilt: genotype.cells.",
    ),
    (
        {"space": {"name": "tiny", "settings": {"operations": ["x"]}}},
        "the bundle's network cannot be rebuilt: space.settings.opera",
    ),
    (
        {"space": {"name": "tiny", "settings": {"operations": [1] * 50_000}}},
        "the bundle's network cannot be rebuilt: space.settin",
    ),
    (
        {"space": {"name": "tiny", "settings": {"channels": 2**40}}},
        "the bundle's network cannot be rebuilt: space.settings.channels",
    ),
    ({"space": {"name": "tiny", "settings": {"channels": 1024}}}, "weights.safetensors does not fit the genotype, which takes "),
    ({"space": {"name": "tiny", "settings": {"channels": 4}}}, "weights.safetensors does not fit the genotype: "),
    ({"space": DEEP}, "the bundle's network cannot be rebuilt: genotype.space: 'tiny' is not allowed; allowed: bats"),
    ({"pruned": {"": 1}}, "the bundle's network cannot be rebuilt: pruned.: 1 is not allowed; allowed: nothing"),
    (
        {"pruned": {"normalize": 1}},
        "the bundle's network cannot be rebuilt: pruned.normalize: 1 is not allowed; allowed: nothing",
    ),
    ({"pruned": {"cells": 1}}, "the bundle's network cannot be rebuilt: pruned.cells: 1 is not allowed; allowed: nothing"),
    ({"pruned": {"no.such": 1}}, "the bundle's network cannot be rebuilt: pruned.no.such: 1 is not allowed; allowed: nothing"),
    (
        {"pruned": {PRUNED_LAYER: 0}},
        f"the bundle's network cannot be rebuilt: pruned.{PRUNED_LAYER}: 0 is not allowed; allowed: 1 to 8",
    ),
    ({"pruned": {PRUNED_LAYER: 2**62}}, f"the bundle's network cannot be rebuilt: pruned.{PRUNED_LAYER}: 4611686018427387904 is"),
    ({"pruned": {PRUNED_LAYER: 4}}, "weights.safetensors does not fit the genotype: "),
]


@pytest.mark.parametrize(("changes", "reason"), MANIFESTS, ids=[reason for _, reason in MANIFESTS])
def test_a_manifest_that_the_weights_do_not_fit_is_refused(bundle: Bundle, changes: dict[str, Any], reason: str) -> None:
    assert _refusal(Bundle({**bundle.manifest, **changes}, bundle.files)).startswith(reason)


def test_as_many_classes_as_somebody_likes_are_not_built(bundle: Bundle) -> None:
    image = {**bundle.manifest["image"], "classes": 9_000}
    changed = Bundle({**bundle.manifest, "image": image, "class_names": ["x"] * 9_000}, bundle.files)
    assert _refusal(changed).startswith("weights.safetensors does not fit the genotype, which takes 1")
    few = Bundle({**bundle.manifest, "image": {**image, "classes": 3}, "class_names": ["x"] * 3}, bundle.files)
    form = "classifier.weight is torch.float32 (10, 32) instead of torch.float32 (3, 32)"
    assert _refusal(few) == f"weights.safetensors does not fit the genotype: {form}"


def _with_weights(bundle: Bundle, **changes: Tensor) -> Bundle:
    weights = load(bundle.files["weights.safetensors"])
    changed = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return Bundle(bundle.manifest, {**bundle.files, "weights.safetensors": save({**weights, **changed})})


def test_weights_of_another_kind_are_refused(bundle: Bundle) -> None:
    message = _refusal(_with_weights(bundle, classifier__bias=torch.zeros(10, dtype=torch.float64)))
    assert message.endswith("classifier.bias is torch.float64 (10,) instead of torch.float32 (10,)")
    message = _refusal(_with_weights(bundle, classifier__bias=torch.zeros(1, 10)))
    assert message.endswith("classifier.bias is torch.float32 (1, 10) instead of torch.float32 (10,)")
    assert _refusal(_with_weights(bundle, **{"a\x1b": torch.zeros(1)})).endswith(r"does not fit the genotype: a\x1b ...")


FILES: list[tuple[str, bytes, str]] = [
    ("weights.safetensors", b"none", "weights.safetensors is no safetensors file that this version reads: "),
    ("weights.safetensors", b"\xff" * 100, "weights.safetensors is no safetensors file that this version reads: "),
    ("weights.safetensors", save({"other": torch.zeros(10_000)}), "weights.safetensors does not fit the genotype: "),
    ("genotype.json", b"\xff", "genotype.json holds text that is not Unicode"),
    ("genotype.json", b"[" * 100_000, "genotype.json is nested too deeply"),
    ("genotype.json", b"[]", "genotype.json holds list instead of an object"),
    ("genotype.json", b"{}", "the bundle's network cannot be rebuilt: genotype.space: None is not allowed"),
    (
        "genotype.json",
        b'{"space": "tiny", "cells": {"a": {"0-1": 1}}}',
        "the bundle's network cannot be rebuilt: genotype.cells.a.0-1: 1",
    ),
    (
        "genotype.json",
        b'{"space": "tiny", "cells": {"a\\u001b": 1}}',
        r"the bundle's network cannot be rebuilt: genotype.cells.a\x1b: 1",
    ),
]


@pytest.mark.parametrize(("name", "content", "reason"), FILES, ids=[f"{name} {reason}" for name, _, reason in FILES])
def test_a_file_that_is_none_is_refused(bundle: Bundle, name: str, content: bytes, reason: str) -> None:
    assert _refusal(Bundle(bundle.manifest, {**bundle.files, name: content})).startswith(reason)


@pytest.mark.parametrize("lost", ["weights.safetensors", "genotype.json"])
def test_a_file_that_is_missing_is_named(bundle: Bundle, lost: str) -> None:
    files = {name: content for name, content in bundle.files.items() if name != lost}
    assert _refusal(Bundle(bundle.manifest, files)) == f"the bundle lacks {lost}"


HUGE = """
import json, resource, sys
from pathlib import Path
import torch
from safetensors.torch import save
from nas_service.catalogue import build_space
from nas_service.binarization.network import binary_network
from nas_service.catalogue import build_method, build_space, stated_space
from nas_service.errors import ExportError
from nas_service.export.bundle import image_facts
from nas_service.export.bundle_reading import Bundle, read_bundle, read_test_images
from nas_service.export.rebuilding import network_of
from nas_service.specs import Component
from tests.samples import random_genotype

bundle = read_bundle(Path(sys.argv[1]))
network_of(bundle)  # imports what there is to import
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, cells in (("abandit", 64), ("bats", 20), ("tiny", 2)):
    settings = {"channels": 768, "cells": cells}
    space = Component(name=name, settings=settings)
    genotype = random_genotype(build_space(space)).to_json().encode()
    for pruned in ({}, {"cells.0.preprocess.conv": 1}):
        for size in (0, 2**12):
            weights = save({"x": torch.zeros(size)})
            manifest = {**bundle.manifest, "space": space.model_dump(), "pruned": pruned}
            try:
                network_of(Bundle(manifest, {**bundle.files, "genotype.json": genotype, "weights.safetensors": weights}))
            except ExportError as error:
                print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_network_larger_than_its_weights_is_not_built(tmp_path: Path) -> None:
    """Whatever is stated to be pruned: there are at most 16 KiB of weights for 10^7 to 10^11 parameters, each of which would take
    fifteen bytes. Its memory's peak is measured, so the process is a fresh one.
    """
    (tmp_path / "b.zip").write_bytes(_made(0)[0])
    script = [sys.executable, "-c", HUGE, str(tmp_path / "b.zip")]
    *refusals, grown_mib = subprocess.run(script, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(refusals) == 12
    assert sum("parameters; allowed: up to 134217728" in line for line in refusals) == 8
    assert sum("weights.safetensors does not fit the genotype, which takes" in line for line in refusals) == 4
    assert int(grown_mib) < 64


def test_outputs_that_a_pruned_layer_does_not_have_are_refused(tmp_path: Path) -> None:
    """They would be an IndexError in the middle of a network, or others' outputs."""
    (tmp_path / "p.zip").write_bytes(_export(*PRUNED[0]).content)
    pruned = read_bundle(tmp_path / "p.zip")
    assert has_own_source(pruned, network_of(pruned))
    weights = load(pruned.files["weights.safetensors"])
    name = next(name for name in weights if name.endswith(".gather"))
    for value in (-1, 1000):
        gather = weights[name].clone()
        gather[0] = value
        files = {**pruned.files, "weights.safetensors": save({**weights, name: gather})}
        assert _refusal(Bundle(pruned.manifest, files)).startswith(
            f"weights.safetensors: {name} points at outputs other than 0 to"
        )


@pytest.mark.parametrize("case", range(len(CASES)))
def test_our_own_source_is_known(case: int, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(_made(case)[0])
    read = read_bundle(tmp_path / "b.zip")
    assert has_own_source(read, network_of(read))


def _untrained(space: Component, method: Component, seed: int = 0) -> tuple[Bundle, Network]:
    """Return what a bundle has of an untrained network, and the frozen network itself."""
    built, binarizer = build_space(space), build_method(method)
    genotype = random_genotype(built, seed)
    frozen = freeze_network(binary_network(built, genotype, binarizer, RGB_9), binarizer)
    files = {
        "genotype.json": genotype.to_json().encode(),
        "weights.safetensors": save({name: tensor.contiguous() for name, tensor in frozen_weights(frozen).items()}),
        "model.py": write_source(frozen, source_title(space.name, method.name, "digits")).encode(),
    }
    manifest = {
        "kind": "candidate",
        "space": stated_space(space).model_dump(),
        "method": method.model_dump(),
        "dataset": {"name": "digits"},
        "image": image_facts(RGB_9),
        "class_names": ["a", "b", "c"],
        "metrics": {"test_accuracy": 0.5},
    }
    return Bundle(manifest, files), frozen


def _comes_back(bundle: Bundle, frozen: Network) -> bool:
    network = network_of(bundle)
    images = torch.rand(4, 3, 9, 11)
    return has_own_source(bundle, network) and torch.equal(network(images), frozen(images))


@configured(CONFIGURED)
def test_networks_of_every_method_come_back(name: str, settings: dict[str, Any]) -> None:
    assert _comes_back(*_untrained(Component(name="tiny"), Component(name=name, settings=settings)))


@pytest.mark.diagonal
@pytest.mark.parametrize("name", SPACES.names())
@pytest.mark.parametrize("seed", range(3))
def test_networks_of_every_space_come_back(name: str, seed: int) -> None:
    space = Component(name=name, settings={"channels": 12})
    assert _comes_back(*_untrained(space, Component(name="bnn"), seed))


def test_another_source_is_known(bundle: Bundle) -> None:
    network, source = network_of(bundle), bundle.files["model.py"]
    for other in (
        source + b"\n",
        source.replace(b"import json", b"import os, json"),
        b"",
        b"\xff",
        source.replace(b"\n", b"\r\n"),
    ):
        assert not has_own_source(Bundle(bundle.manifest, {**bundle.files, "model.py": other}), network)
    with pytest.raises(ExportError, match=r"the bundle lacks model\.py"):
        has_own_source(Bundle(bundle.manifest, {}), network)


def test_a_manifest_of_another_standard_deviation_than_the_weights_is_refused(bundle: Bundle) -> None:
    """It stands in the stem's source, the mean in the weights alone."""
    manifest = json.loads(json.dumps(bundle.manifest))
    manifest["image"]["std"] = [0.5 * each for each in manifest["image"]["std"]]
    with pytest.raises(ExportError, match=r"does not fit manifest\.json: normalize\.std is .* and image\.std"):
        network_of(Bundle(manifest, bundle.files))


def test_a_name_in_the_manifest_cannot_become_code_in_our_own_source(bundle: Bundle) -> None:
    """Else code that the name of a dataset smuggles into the title would be what this version writes."""
    name = 'digits."""\nimport os\n"""'
    injected = bundle.files["model.py"].replace(b"digits.", name.encode(), 1)
    manifest = json.loads(json.dumps(bundle.manifest))
    manifest["dataset"]["name"] = name
    with pytest.raises(ExportError, match="cannot be written into source"):
        has_own_source(Bundle(manifest, {**bundle.files, "model.py": injected}), network_of(bundle))


def test_a_bundle_of_a_version_before_convolutions_had_offsets_scores_as_it_says() -> None:
    """Written by the last version without them: xnor-net, 4 channels, two epochs of digits."""
    kept = read_bundle(Path(__file__).parent / "given" / "bundle-before-offsets.zip")
    assert "template" not in kept.manifest["space"]["settings"]
    assert kept.candidate.space.settings["template"] == "shortcut"  # which was the default then
    network = network_of(kept)
    images, labels = read_test_images(kept.file("test.safetensors"), kept.candidate.image)
    assert count_correct(network, images, labels) == kept.manifest["metrics"]["test_correct"]
    assert not has_own_source(kept, network)
