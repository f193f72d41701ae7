"""Every space by discovery: a genotype of it trains a step, freezes, is written as source and computes the same there."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.export.measured_cost import measured_cost
from nas_service.export.packed import freeze_network
from nas_service.export.standalone import frozen_weights, write_source
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.network import network_cost
from search_spaces.space import SPACES
from tests.rounding import differing, pixels
from tests.samples import digits, random_genotype

XNOR = METHODS.get("xnor-net").from_settings({})


@pytest.mark.parametrize("name", SPACES.names())
def test_a_trained_network_equals_its_written_source_to_the_last_bit(name: str) -> None:
    space, dataset = replace(SPACES.get(name), channels=4), digits()
    genotype = random_genotype(space, 1)
    plan = CandidatePlan(space, genotype, XNOR, Recipe(epochs=1, max_steps_per_epoch=1, batch_size=32), seed=0)
    trainer = CandidateTrainer(plan, dataset, torch.device("cpu"))
    reports = list(trainer.fit())
    assert len(reports) == 1
    network = trainer.network.eval()
    frozen = freeze_network(network, XNOR)
    namespace: dict[str, Any] = {"__file__": "model.py", "__name__": "model"}
    exec(write_source(frozen, "Test."), namespace)  # noqa: S102 - our own text, written a moment ago
    written = namespace["Network"]().eval()
    written.load_state_dict(frozen_weights(frozen))
    image = dataset.image_format
    images = pixels(image, 64)
    assert torch.equal(written(images), frozen(images))
    assert differing(frozen(images), network(images)) <= 1  # a sign may flip: real layers round in another way
    assert measured_cost(frozen, image) == network_cost(space, genotype, image, XNOR.facts.precision)
