"""A binary supernet with its full-precision parent beside it, for strategies that judge a path by both (CP-NAS)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import MethodSettings
from nas_service.data.dataset import ImageDataset
from nas_service.reports import Beat, no_beat
from nas_service.training.state.path_weights import Weights
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer, TrainedPath
from search_spaces.genotype import Genotype

_PREFIX = "parent."


class PathTrainer(Protocol):
    """What trains and scores sampled paths from shared weights.

    Attributes:
        device: Where.
    """

    device: torch.device

    def weights(self) -> Weights:
        """Return copies of all shared weights on the CPU."""
        ...

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the shared weights named in `weights`."""
        ...

    def evaluate(self, index: int, genotype: Genotype) -> TrainedPath:
        """Train and score a path as sample `index`; the shared weights stay as they are."""
        ...


class ParentChildTrainer:
    """Two supernets of one space: every path is trained and scored in both, with the same settings, images and seed.

    The parent's shared weights go by the child's names with `parent.` before them. A path whose parent diverged has a parent's
    accuracy of 0, as the child's would be.

    References:
        Zhuo et al., "CP-NAS", IJCAI 2020, arXiv 2005.00057, algorithm 1.
    """

    def __init__(self, plan: SupernetPlan, dataset: ImageDataset, device: torch.device, *, beat: Beat = no_beat) -> None:
        """Build both; arguments as of `SupernetTrainer`."""
        self.device = device
        self._child = SupernetTrainer(plan, dataset, device, beat=beat)
        self._parent = SupernetTrainer(replace(plan, method=FullPrecision(MethodSettings())), dataset, device, beat=beat)

    def weights(self) -> Weights:
        """Return copies of the shared weights of both on the CPU."""
        return self._child.weights() | _prefixed(self._parent.weights())

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the shared weights named in `weights`."""
        parents = {name: tensor for name, tensor in weights.items() if name.startswith(_PREFIX)}
        self._parent.load({name.removeprefix(_PREFIX): tensor for name, tensor in parents.items()})
        self._child.load({name: tensor for name, tensor in weights.items() if name not in parents})

    def evaluate(self, index: int, genotype: Genotype) -> TrainedPath:
        """Train and score a path in both; the evaluation is the child's, with the parent's reward and the time of both."""
        child, parent = self._child.evaluate(index, genotype), self._parent.evaluate(index, genotype)
        evaluation = replace(
            child.evaluation,
            parent_reward=parent.evaluation.reward,
            seconds=child.evaluation.seconds + parent.evaluation.seconds,
            steps=child.evaluation.steps + parent.evaluation.steps,
        )
        return TrainedPath(evaluation, child.weights | _prefixed(parent.weights))


def _prefixed(weights: Weights) -> Weights:
    return {f"{_PREFIX}{name}": tensor for name, tensor in weights.items()}


def path_trainer(
    plan: SupernetPlan, dataset: ImageDataset, device: torch.device, *, with_parent: bool, beat: Beat = no_beat
) -> PathTrainer:
    """Return the trainer that a strategy needs (`Strategy.needs_parent`); other arguments as of `SupernetTrainer`."""
    return (ParentChildTrainer if with_parent else SupernetTrainer)(plan, dataset, device, beat=beat)
