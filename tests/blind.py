"""A network that takes every image for its first class, and its bundle."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.data.part import Part
from nas_service.export.bundle import Exported, candidate_bundle
from nas_service.recipes.recipe import Recipe
from nas_service.specs import Component
from nas_service.tasks import CandidateTask
from search_spaces.space import SPACES
from tests.reports import epoch_report
from tests.samples import digits, tiny_genotype


def blind_bundle(class_names: Sequence[str], tests: Sequence[int]) -> Exported:
    """Return the bundle of a blind network for so many test images of each class."""
    source = digits()
    labels = torch.repeat_interleave(torch.tensor(tests)).numpy()
    known = replace(source.validation, labels=source.validation.labels % len(class_names))
    test = Part(source.train.images[: len(labels)], labels)
    dataset = replace(source, class_names=tuple(class_names), validation=known, test=test)
    genotype, method = tiny_genotype(), METHODS.get("xnor-net").from_settings({})
    network = binary_network(SPACES.get("tiny"), genotype, method, dataset.image_format)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.eye(len(class_names))[0])
    parts = (Component(name="tiny"), genotype, Component(name="xnor-net"), Component(name="digits"))
    task = CandidateTask("", *parts, Recipe(), seed=0, bundled_test_bytes=10**6)
    return candidate_bundle(network, method, dataset, task, epoch_report())
