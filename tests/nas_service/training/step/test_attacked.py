"""Training on perturbed images: what a step is, and that eps 0 is no attack."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nas_service.binarization.method import METHODS, MethodState
from nas_service.binarization.network import binary_network
from nas_service.recipes.adversarial import AdversarialSearch, AdversarialTraining, AttackName
from nas_service.recipes.recipe import EvaluationSettings, OptimizerName, Recipe
from nas_service.search.loop import Evaluation
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.attacks import Attack
from nas_service.training.step.attacked import FreeStep, batch_step, scoring_attack
from nas_service.training.step.backpropagation import Backpropagation, Objective, Teacher
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype

CPU = torch.device("cpu")
TINY = SPACES.get("tiny")
EVERY_ATTACK = pytest.mark.parametrize("attack", list(AttackName))


def _backpropagation() -> tuple[Backpropagation, RuledOptimizer]:
    torch.manual_seed(0)
    network = binary_network(TINY, tiny_genotype(), METHODS.get("xnor-net").from_settings({}), GREY_8)
    optimizer = RuledOptimizer(ruled_parameters(dict(network.named_parameters()), [], None), OptimizerName.SGD, 0.1, 0.0)
    return Backpropagation(network.train(), [], MethodState()), optimizer


def _batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(8, 1, 8, 8, generator=generator), torch.arange(8)


def _weights(step: Backpropagation) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in step.network.state_dict().items()}


def _equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_an_attacked_step_is_the_plain_step_on_perturbed_images() -> None:
    images, labels = _batch()
    attacked, optimizer = _backpropagation()
    settings = AdversarialTraining(attack=AttackName.PGD, eps=0.1)
    batch_step(attacked, settings, torch.Generator().manual_seed(3)).step(images, labels, optimizer, 1.0)
    plain, optimizer = _backpropagation()
    perturbed = Attack(0.1, 7, 0.025).perturb(plain.logits, images, labels, torch.Generator().manual_seed(3))
    plain.step(perturbed, labels, optimizer, 1.0)
    assert _equal(_weights(attacked), _weights(plain))
    untouched, optimizer = _backpropagation()
    untouched.step(images, labels, optimizer, 1.0)
    assert not _equal(_weights(attacked), _weights(untouched))


def test_free_training_replays_a_batch_and_moves_the_perturbation_by_the_same_gradients() -> None:
    images, labels = _batch()
    plain, optimizer = _backpropagation()
    free = FreeStep(plain, AdversarialTraining(attack=AttackName.FREE, eps=0.1, steps=2))
    free.step(images, labels, optimizer, 1.0)
    by_hand, other = _backpropagation()
    delta = torch.zeros_like(images)
    for _ in range(2):
        perturbed = (images + delta).clamp(0, 1).requires_grad_()
        by_hand.step(perturbed, labels, other, 1.0)
        assert perturbed.grad is not None
        delta = (delta + 0.1 * perturbed.grad.sign()).clamp(-0.1, 0.1)
    assert _equal(_weights(plain), _weights(by_hand))
    assert free.delta is not None
    assert torch.equal(free.delta, delta)
    assert bool(delta.any())


def test_free_training_keeps_the_perturbation_for_the_next_batch() -> None:
    images, labels = _batch()
    plain, optimizer = _backpropagation()
    free = FreeStep(plain, AdversarialTraining(attack=AttackName.FREE, eps=0.1, steps=1))
    free.step(images, labels, optimizer, 0.0)  # weights stay: the second step differs by the perturbation alone
    assert free.delta is not None
    kept = free.delta.clone()
    loss, _ = free.step(images, labels, optimizer, 0.0)
    other, optimizer = _backpropagation()
    other.step(images, labels, optimizer, 0.0)  # the same running statistics
    reference, _ = other.step((images + kept).clamp(0, 1), labels, optimizer, 0.0)
    assert torch.equal(loss, reference)


@EVERY_ATTACK
def test_eps_zero_is_training_without_attack_bit_for_bit(attack: AttackName) -> None:
    weights = []
    for adversarial in (None, AdversarialTraining(attack=attack, eps=0)):
        recipe = Recipe(epochs=1, max_steps_per_epoch=4, adversarial=adversarial)
        plan = CandidatePlan(TINY, tiny_genotype(), METHODS.get("bnn").from_settings({}), recipe, 0)
        trainer = CandidateTrainer(plan, digits(), CPU)
        list(trainer.fit())
        weights.append({name: value.clone() for name, value in trainer.network.state_dict().items()})
    assert _equal(*weights)


@EVERY_ATTACK
def test_a_resumed_adversarial_training_repeats_the_uninterrupted_one(attack: AttackName) -> None:
    recipe = Recipe(epochs=2, max_steps_per_epoch=8, adversarial=AdversarialTraining(attack=attack, eps=0.1))
    plan = CandidatePlan(TINY, tiny_genotype(), METHODS.get("bnn").from_settings({}), recipe, 0)
    whole = CandidateTrainer(plan, digits(), CPU)
    reports = whole.fit()
    next(reports)
    saved = whole.checkpoint()
    saved = replace(saved, tensors={name: tensor.clone() for name, tensor in saved.tensors.items()})
    expected = next(reports)
    resumed = CandidateTrainer(plan, digits(), CPU)
    resumed.restore(saved)
    (actual,) = resumed.fit()
    assert actual.model_copy(update={"seconds": 0}) == expected.model_copy(update={"seconds": 0})
    assert _equal(whole.network.state_dict(), resumed.network.state_dict())


def _sample(adversarial: AdversarialSearch | None) -> tuple[Evaluation, dict[str, Tensor]]:
    settings = EvaluationSettings(max_steps=4, train_fraction=0.3, validation_images=100, adversarial=adversarial)
    plan = SupernetPlan(TINY, METHODS.get("xnor-net").from_settings({}), settings, 0, total_samples=18)
    path = SupernetTrainer(plan, digits().without_test(), CPU).evaluate(3, tiny_genotype())
    return path.evaluation, path.weights


@EVERY_ATTACK
def test_a_sample_reports_both_accuracies_and_its_reward_is_their_mixture(attack: AttackName) -> None:
    evaluation, _ = _sample(AdversarialSearch(attack=attack, eps=0.1, reward_share=0.25))
    assert evaluation.clean_accuracy is not None
    assert evaluation.attacked_accuracy is not None
    assert evaluation.attacked_accuracy < evaluation.clean_accuracy
    assert evaluation.reward == pytest.approx(0.75 * evaluation.clean_accuracy + 0.25 * evaluation.attacked_accuracy, abs=1e-12)


def test_adversarial_samples_repeat_and_eps_zero_is_a_plain_sample() -> None:
    settings = AdversarialSearch(eps=0.1)
    (first, weights), (second, again) = _sample(settings), _sample(settings)
    assert replace(first, seconds=0) == replace(second, seconds=0)
    assert _equal(weights, again)
    (plain, plain_weights), (none, none_weights) = _sample(None), _sample(AdversarialSearch(eps=0))
    assert _equal(plain_weights, none_weights)
    assert not _equal(plain_weights, weights)
    assert plain.attacked_accuracy is None
    assert none.attacked_accuracy == plain.clean_accuracy == plain.reward == none.reward


def test_a_limit_below_the_replays_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 10, the replays of a batch"):
        EvaluationSettings(max_steps=2, adversarial=AdversarialSearch(attack=AttackName.FREE, eps=0.1, steps=10))
    with pytest.raises(ValueError, match="at least 4, the replays of a batch"):
        Recipe(max_steps_per_epoch=2, adversarial=AdversarialTraining(attack=AttackName.FREE, eps=0.1))


def test_a_sample_is_scored_under_the_attack_it_was_trained_with() -> None:
    assert scoring_attack(AdversarialTraining(attack=AttackName.PGD, eps=0.1, steps=3)) == Attack(0.1, 3, 0.025)
    assert scoring_attack(AdversarialTraining(eps=0.1)) == scoring_attack(AdversarialTraining(attack=AttackName.FREE, eps=0.1))


def test_a_teacher_sees_the_clean_images() -> None:
    seen: list[Tensor] = []

    class Watching(Teacher):
        def __call__(self, images: Tensor) -> Tensor:
            seen.append(images)
            return super().__call__(images)

    images, labels = _batch()
    plain, optimizer = _backpropagation()
    taught = replace(plain, teacher=Watching(plain.network), objective=Objective(distillation=0.5))
    batch_step(taught, AdversarialTraining(eps=0.1), torch.Generator()).step(images, labels, optimizer, 1.0)
    assert len(seen) == 1
    assert torch.equal(seen[0], images)


def test_free_training_sees_fewer_images_and_takes_as_many_steps() -> None:
    """Four replays: an epoch of 8 steps is 2 batches."""
    recipe = Recipe(epochs=1, max_steps_per_epoch=8, adversarial=AdversarialTraining(attack=AttackName.FREE, eps=0.1))
    plan = CandidatePlan(TINY, tiny_genotype(), METHODS.get("xnor-net").from_settings({}), recipe, 0)
    trainer = CandidateTrainer(plan, digits(), CPU)
    list(trainer.fit())
    steps = {int(tensor) for name, tensor in trainer.checkpoint().tensors.items() if name.endswith(".step")}
    assert steps == {8}
