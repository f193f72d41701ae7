"""Workload: how many images are trained on, and how many gradient steps attacks take, counted as the trainers go about it."""

from dataclasses import dataclass
from typing import Self

from nas_service.data.facts import DatasetFacts
from nas_service.recipes.adversarial import AdversarialTraining, AttackName, RobustnessSettings
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.training.scoring.robustness import SELECTION_STEPS, gradient_steps


@dataclass(frozen=True)
class Workload:
    """What is done with images.

    Attributes:
        images: Forward and backward passes of training, an image each.
        attack_steps: Forward and backward passes of attacks, an image each.
    """

    images: int = 0
    attack_steps: int = 0

    def __add__(self, other: Self) -> "Workload":
        """Return the sum."""
        return Workload(self.images + other.images, self.attack_steps + other.attack_steps)

    def times(self, count: int) -> "Workload":
        """Return the same so many times."""
        return Workload(self.images * count, self.attack_steps * count)


def _in_batches(images: int, batch_size: int, most_steps: int | None, attack: AdversarialTraining | None) -> Workload:
    """Return an epoch: whole batches only, unless the first is the last; a replayed batch counts as often as it is stepped on."""
    replays = 1 if attack is None else attack.replays
    steps = max(1, images // batch_size)
    batches = max(1, min(steps, most_steps or steps) // replays)
    passes = batches * replays * min(batch_size, images)
    perturbs = attack is not None and attack.eps > 0 and attack.attack is not AttackName.FREE
    return Workload(passes, passes * attack.resolved_steps if attack is not None and perturbs else 0)


def sample_work(settings: EvaluationSettings, facts: DatasetFacts) -> Workload:
    """Return what training and scoring one sampled path takes."""
    chosen = max(1, round(facts.train * settings.train_fraction))
    epoch = _in_batches(chosen, settings.batch_size, None, settings.adversarial)
    trained = epoch.times(settings.epochs)
    if settings.max_steps is not None:
        batch = min(settings.batch_size, chosen)
        share = min(1.0, settings.max_steps * batch / trained.images)
        trained = Workload(round(trained.images * share), round(trained.attack_steps * share))
    return trained + scoring_work(settings.adversarial, min(facts.validation, settings.validation_images or facts.validation))


def scoring_work(attack: AdversarialTraining | None, images: int) -> Workload:
    """Return what scoring a sample under attack takes: the steps that training takes on an image; one where that is free."""
    if attack is None or attack.eps == 0:
        return Workload()
    return Workload(attack_steps=images * (1 if attack.attack is AttackName.FREE else attack.resolved_steps))


def candidate_work(recipe: Recipe, facts: DatasetFacts) -> Workload:
    """Return what training one candidate takes; methods that go over the images twice an epoch take more."""
    epoch = _in_batches(facts.train, recipe.batch_size, recipe.max_steps_per_epoch, recipe.adversarial)
    return epoch.times(recipe.epochs)


def robustness_work(settings: RobustnessSettings | None, facts: DatasetFacts) -> Workload:
    """Return what attacking one trained candidate takes: the suite on test images, and one attack on validation images."""
    if settings is None:
        return Workload()
    tests, chosen_by = (min(part, settings.images or part) for part in (facts.test, facts.validation))
    return Workload(attack_steps=tests * gradient_steps(settings) + chosen_by * (SELECTION_STEPS if settings.eps else 0))
