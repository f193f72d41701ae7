"""Pruned networks in bundles: physically smaller, the same outputs, and readable again."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.rbcn import RbcnConv2d
from nas_service.export.bundle import Exported, candidate_bundle
from nas_service.export.bundle_reading import read_bundle, read_test_images
from nas_service.export.packed import verify
from nas_service.export.rebuilding import network_of
from nas_service.export.runtime import BinaryConv2d, count_correct
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.network import network_cost
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype


@pytest.mark.parametrize("scale", ["spatial", "scalar"])
def test_a_pruned_layer_is_exactly_its_frozen_form(scale: str) -> None:
    """With real factors inside the kernel up to the rounding of 216 products, which are summed in float64 when frozen."""
    method = METHODS.get("rbcn").from_settings({"prune": 0.5, "scale": scale})
    layer = method(ConvShape(in_channels=24, out_channels=24, kernel_size=3, padding=1))
    assert isinstance(layer, RbcnConv2d)
    assert layer.mask is not None
    layer.mask.pruned[::2] = True
    seen = verify(layer, method.freeze(layer), torch.randn(64, 24, 8, 8))
    assert seen.exact or (scale == "spatial" and seen.max_difference < 1e-5)


def test_an_average_over_a_single_epoch_of_pruning_is_pruned() -> None:
    """The filters go at the end of the epoch, after the last step: the average must hear of it."""
    exported = _export("rbcn", {"prune": 0.4, "adversarial_weight": 0.0}, epochs=2, ema_decay=0.9)
    assert json.loads(zipfile.ZipFile(io.BytesIO(exported.content)).read("manifest.json"))["pruned"]


PRUNED: list[tuple[str, dict[str, Any]]] = [
    ("rbcn", {"prune": 0.4, "adversarial_weight": 0.0}),
    ("rbcn", {"prune": 0.4, "adversarial_weight": 0.0, "scale": "scalar"}),
    ("bonn", {"keep_filters": 0.5, "feature_loss": 0.0}),
]


def _export(name: str, settings: dict[str, Any], epochs: int = 3, **recipe: float) -> Exported:
    space, genotype, dataset = SPACES.get("tiny"), tiny_genotype(), digits()
    method = METHODS.get(name).from_settings(settings)
    plan = CandidatePlan(
        space, genotype, method, Recipe.model_validate({"epochs": epochs, "max_steps_per_epoch": 2, **recipe}), 0
    )
    trainer = CandidateTrainer(plan, dataset, torch.device("cpu"))
    *_, last = trainer.fit()
    named, data = Component(name=name, settings=settings), Component(name="digits")
    task = CandidateTask("", Component(name="tiny"), genotype, named, data, plan.recipe, seed=0, bundled_test_bytes=10**6)
    return candidate_bundle(trainer.network, method, dataset, task, last)


@pytest.mark.parametrize(
    ("name", "settings"),
    [PRUNED[0], pytest.param(*PRUNED[1], marks=pytest.mark.slow), PRUNED[2]],
    ids=["rbcn-spatial", "rbcn-scalar", "bonn"],
)
def test_a_pruned_bundle_is_smaller_and_evaluates_to_what_it_states(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    """`candidate_bundle` has compared the written network's logits with those of the masked one by then."""
    exported = _export(name, settings)
    (tmp_path / "b.zip").write_bytes(exported.content)
    bundle = read_bundle(tmp_path / "b.zip")
    network = network_of(bundle)
    pruned = [layer for layer in network.modules() if isinstance(layer, BinaryConv2d) and layer.filters]
    assert pruned
    assert all(layer.signs.shape[0] == layer.filters < layer.out_channels for layer in pruned)
    images, labels = read_test_images(bundle.files["test.safetensors"], bundle.candidate.image)
    assert count_correct(network, images, labels) == bundle.manifest["metrics"]["test_correct"]
    whole = network_cost(
        SPACES.get("tiny"), tiny_genotype(), digits().image_format, METHODS.get(name).from_settings(settings).facts.precision
    )
    assert exported.cost["binary_parameters"] < whole.binary_parameters
    assert exported.cost["flops"] + exported.cost["bops"] < whole.flops + whole.bops
    assert bundle.manifest["cost"] == exported.cost
