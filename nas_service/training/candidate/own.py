"""Samples that are trainings of their own: from scratch, nothing is shared, so a sample depends on seed, genotype and fidelity.

All trainings of a search have one seed, hence the same batches in the same order: what differs between them is the architecture.
A training of a share of the recipe's epochs is a whole short one, with the whole schedule of the learning rate in it. One of all
epochs is kept as it ends: a candidate that would be trained alike goes on from there (`CandidatePlan.digest`).
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nas_service.binarization.method import Method
from nas_service.data.dataset import ImageDataset
from nas_service.recipes.recipe import Recipe, ShortScore
from nas_service.reports import Beat, EpochReport, no_beat
from nas_service.search.loop import Evaluation
from nas_service.training.candidate.run import TrainingRun
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.counting import beating, evaluating, likelihoods, standing
from nas_service.training.state.path_weights import Weights
from nas_service.training.state.seeding import derived_generator
from nas_service.training.step.attacked import scoring_attack
from nas_service.training.supernet.trainer import TrainedPath
from search_spaces.genotype import Genotype
from search_spaces.space import SearchSpace


@dataclass(frozen=True)
class OwnPlan:
    """What is searched, and how its samples are trained.

    Attributes:
        recipe: Of a whole training.
        short_score: The reward of one that is not whole; that of a whole one is its validation accuracy.
        seed: Of every training.
        fidelity: Share of the recipe's epochs, by the sample's index.
    """

    space: SearchSpace
    method: Method
    recipe: Recipe
    short_score: ShortScore
    seed: int
    fidelity: Callable[[int], float]


class Shelf(Protocol):
    """Where whole trainings are kept."""

    def get(self, genotype: str, training: str) -> bytes | None:
        """Return the checkpoint of a finished training; arguments: digests of its genotype and of its plan."""
        ...

    def put(self, genotype: str, training: str, checkpoint: bytes) -> None:
        """Keep a checkpoint; arguments as of `get`."""
        ...


class OwnTrainer:
    """Trains and scores samples from scratch; a `PathTrainer` without shared weights."""

    def __init__(
        self,
        plan: OwnPlan,
        dataset: ImageDataset,
        device: torch.device,
        *,
        shelf: Shelf | None = None,
        beat: Beat = no_beat,
    ) -> None:
        """Keep what trainings need.

        Args:
            plan: What is searched.
            dataset: Its training and validation parts are used.
            device: Where.
            shelf: Whole trainings are kept there, and taken from there where they are done already; None: they are not kept.
            beat: Called after every step and before every batch that is scored.
        """
        self.device = device
        self._plan, self._dataset, self._shelf, self._beat = plan, dataset, shelf, beat

    def weights(self) -> Weights:
        """Return nothing: nothing is shared."""
        return {}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Take nothing."""

    def evaluate(self, index: int, genotype: Genotype) -> TrainedPath:
        """Train `genotype` from scratch as sample `index` and score it."""
        started, plan = time.perf_counter(), self._plan
        fidelity = plan.fidelity(index)
        training = CandidatePlan(plan.space, genotype, plan.method, short_recipe(plan.recipe, fidelity), plan.seed)
        trainer = CandidateTrainer(training, self._dataset, self.device, beat=self._beat)
        run, keys = TrainingRun(trainer), (genotype.digest, training.digest(self._dataset.lesson, self.device.type))
        shelf = self._shelf if fidelity == 1 else None
        kept = None if shelf is None else shelf.get(*keys)
        if kept is None:
            run.reports += trainer.fit()
        else:
            run.restore(kept)
        last = run.reports[-1]
        reward = last.validation_accuracy if fidelity == 1 else self._short_score(trainer, last)
        weights = all(bool(parameter.isfinite().all()) for parameter in trainer.network.parameters())
        diverged = not (weights and math.isfinite(reward) and all(math.isfinite(report.train_loss) for report in run.reports))
        if shelf is not None and kept is None and not diverged:
            shelf.put(*keys, run.checkpoint())
        evaluation = Evaluation(
            reward=0.0 if diverged else reward,
            loss=None if diverged else last.train_loss,
            diverged=diverged,
            seconds=time.perf_counter() - started if kept is None else sum(report.seconds for report in run.reports),
            clean_accuracy=None if diverged else last.validation_accuracy,
            attacked_accuracy=None if diverged else self._attacked(trainer),
            steps=trainer.steps,
            taken_up=kept is not None,
        )
        return TrainedPath(evaluation, {})

    def _short_score(self, trainer: CandidateTrainer, last: EpochReport) -> float:
        score = self._plan.short_score
        if score is ShortScore.ACCURACY:
            return last.validation_accuracy
        if score is ShortScore.TRAIN_LIKELIHOOD:
            return math.exp(-last.train_loss)
        with evaluating(trainer.network):
            logs = likelihoods(beating(trainer.network, self._beat), trainer.bench.validation)
        return float(logs.exp().mean() if score is ShortScore.PROBABILITY else logs.mean().exp())

    def _attacked(self, trainer: CandidateTrainer) -> float | None:
        """Return the accuracy on validation images under the attack that is trained against; None: there is none.

        All trainings of a search are attacked from the same random starts.
        """
        settings, part = self._plan.recipe.adversarial, trainer.bench.validation
        if settings is None:
            return None
        generator = derived_generator(self.device, self._plan.seed, "validation attack")
        with evaluating(trainer.network):
            stood = standing(beating(trainer.network, self._beat), scoring_attack(settings), part, generator)
        return int(stood.sum()) / len(part)


def short_recipe(recipe: Recipe, fidelity: float) -> Recipe:
    """Return the recipe of a share `fidelity` of the epochs, rounded to whole ones, one at least; warm-up shrinks with them."""
    epochs = max(1, round(recipe.epochs * fidelity))
    if epochs == recipe.epochs:
        return recipe  # the very one: a candidate's training is known by it
    return recipe.model_copy(update={"epochs": epochs, "warmup_epochs": recipe.warmup_epochs * epochs / recipe.epochs})
