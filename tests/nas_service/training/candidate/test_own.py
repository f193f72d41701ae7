"""Samples that are trainings of their own: those of a plain training, of a share of its epochs, whatever was trained before."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nas_service.catalogue import build_method, build_space
from nas_service.recipes.adversarial import AdversarialTraining
from nas_service.recipes.recipe import Recipe, ShortScore
from nas_service.specs import Component
from nas_service.training.candidate.own import OwnPlan, OwnTrainer, short_recipe
from nas_service.training.candidate.run import TrainingRun
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.attacks import fast_fgsm
from nas_service.training.scoring.counting import evaluating, standing
from nas_service.training.state.seeding import derived_generator
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
DATA = digits(Path()).without_test()
RECIPE = Recipe(epochs=4, batch_size=64, max_steps_per_epoch=3)
PLAN = OwnPlan(
    SPACES.get("tiny"),
    build_method(Component(name="bnn")),
    RECIPE,
    ShortScore.ACCURACY,
    5,
    lambda index: 0.25 if index < 2 else 1.0,
)
GENOTYPE = tiny_genotype()


def _trained(epochs: int) -> tuple[CandidateTrainer, float, float]:
    recipe = RECIPE.model_copy(update={"epochs": epochs})
    trainer = CandidateTrainer(CandidatePlan(PLAN.space, GENOTYPE, PLAN.method, recipe, PLAN.seed), DATA, CPU)
    last = list(trainer.fit())[-1]
    return trainer, last.validation_accuracy, last.train_loss


def test_a_sample_is_the_training_of_a_candidate_and_a_short_one_that_of_fewer_epochs() -> None:
    own = OwnTrainer(PLAN, DATA, CPU)
    short, whole = (own.evaluate(index, GENOTYPE).evaluation for index in (0, 2))
    for evaluation, epochs in ((short, 1), (whole, 4)):
        _, accuracy, loss = _trained(epochs)
        assert (evaluation.reward, evaluation.clean_accuracy, evaluation.loss) == (accuracy, accuracy, loss)
        assert evaluation.steps == 3 * epochs


def test_a_sample_depends_neither_on_its_index_nor_on_what_came_before() -> None:
    own = OwnTrainer(PLAN, DATA, CPU)
    own.evaluate(0, tiny_genotype("max-pool-3x3"))
    own.load({})
    path = own.evaluate(1, GENOTYPE)
    assert path.evaluation.reward == OwnTrainer(PLAN, DATA, CPU).evaluate(0, GENOTYPE).evaluation.reward
    assert (path.weights, own.weights()) == ({}, {})


@pytest.mark.parametrize("score", ShortScore)
def test_scores_are_what_they_are_called(score: ShortScore) -> None:
    evaluation = OwnTrainer(replace(PLAN, short_score=score), DATA, CPU).evaluate(0, GENOTYPE).evaluation
    trainer, accuracy, loss = _trained(1)
    labels = torch.as_tensor(DATA.validation.labels).long()
    with evaluating(trainer.network):
        pixels = torch.cat([pixels for pixels, _ in trainer.bench.validation.batches(512)])
        shares = trainer.network(pixels).double().softmax(1)[torch.arange(len(labels)), labels]
    expected = {
        ShortScore.ACCURACY: accuracy,
        ShortScore.TRAIN_LIKELIHOOD: math.exp(-loss),
        ShortScore.PROBABILITY: float(shares.mean()),
        ShortScore.LIKELIHOOD: float(shares.log().mean().exp()),
    }[score]
    assert evaluation.reward == pytest.approx(expected, abs=1e-12)
    assert evaluation.clean_accuracy == accuracy


def test_a_whole_training_is_scored_by_accuracy_whatever_short_ones_are() -> None:
    plan = replace(PLAN, short_score=ShortScore.PROBABILITY)
    evaluation = OwnTrainer(plan, DATA, CPU).evaluate(2, GENOTYPE).evaluation
    assert evaluation.reward == evaluation.clean_accuracy


def test_a_training_that_diverges_is_worth_nothing() -> None:
    recipe = RECIPE.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd"})
    evaluation = OwnTrainer(replace(PLAN, recipe=recipe), DATA, CPU).evaluate(0, GENOTYPE).evaluation
    assert (evaluation.reward, evaluation.diverged, evaluation.loss, evaluation.clean_accuracy) == (0.0, True, None, None)


def test_it_is_attacked_as_it_was_trained_whenever_and_from_wherever_it_comes() -> None:
    recipe = RECIPE.model_copy(update={"adversarial": AdversarialTraining(eps=0.05), "epochs": 2})
    plan, shelf = replace(PLAN, recipe=recipe, fidelity=lambda _: 1.0), _Shelf()
    own = OwnTrainer(plan, DATA, CPU, shelf=shelf)
    told = [own.evaluate(index, GENOTYPE).evaluation for index in (0, 7)]
    assert [one.taken_up for one in told] == [False, True]
    trainer = CandidateTrainer(CandidatePlan(PLAN.space, GENOTYPE, PLAN.method, recipe, PLAN.seed), DATA, CPU)
    list(trainer.fit())
    generator = derived_generator(CPU, PLAN.seed, "validation attack")
    with evaluating(trainer.network):
        stood = standing(trainer.network, fast_fgsm(0.05), trainer.bench.validation, generator)
    assert {one.attacked_accuracy for one in told} == {float(stood.double().mean())}
    assert told[0].reward == told[0].clean_accuracy != told[0].attacked_accuracy
    assert OwnTrainer(PLAN, DATA, CPU).evaluate(0, GENOTYPE).evaluation.attacked_accuracy is None


def test_a_share_of_epochs_is_one_at_least_and_warm_up_shrinks_with_it() -> None:
    assert [short_recipe(Recipe(epochs=epochs), 1 / 12).epochs for epochs in (1, 12, 20, 120)] == [1, 1, 2, 10]
    assert short_recipe(Recipe(epochs=24, warmup_epochs=6), 1 / 12).warmup_epochs == 0.5
    whole = Recipe(epochs=24, warmup_epochs=0.1)
    assert short_recipe(whole, 1.0) == whole, "to the last bit"


@pytest.mark.parametrize("score", [ShortScore.LIKELIHOOD, ShortScore.PROBABILITY])
def test_a_score_that_is_not_finite_is_a_divergence_whatever_the_loss_was(score: ShortScore) -> None:
    """The last step can break the network after its loss was told."""
    recipe = RECIPE.model_copy(update={"learning_rate": 3e38, "optimizer": "sgd", "max_steps_per_epoch": 1, "norm_batches": 0})
    plan = replace(PLAN, method=build_method(Component(name="bi-real")), recipe=recipe, short_score=score)
    evaluation = OwnTrainer(plan, DATA, CPU).evaluate(0, GENOTYPE).evaluation
    assert (evaluation.diverged, evaluation.reward, evaluation.loss) == (True, 0.0, None)


class _Shelf:
    """Keeps whole trainings in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], bytes] = {}

    def get(self, genotype: str, training: str) -> bytes | None:
        return self.kept.get((genotype, training))

    def put(self, genotype: str, training: str, checkpoint: bytes) -> None:
        assert (genotype, training) not in self.kept, "trained twice"
        self.kept[genotype, training] = checkpoint


def test_whole_trainings_are_kept_and_not_made_twice() -> None:
    shelf = _Shelf()
    own = OwnTrainer(PLAN, DATA, CPU, shelf=shelf)
    own.evaluate(0, GENOTYPE)
    assert shelf.kept == {}, "a short one is no candidate"
    first, again = own.evaluate(2, GENOTYPE).evaluation, OwnTrainer(PLAN, DATA, CPU, shelf=shelf).evaluate(3, GENOTYPE).evaluation
    assert replace(again, seconds=0, taken_up=False) == replace(first, seconds=0)
    assert again.taken_up
    assert 0 < again.seconds <= first.seconds
    assert again.steps == 12
    (checkpoint,) = shelf.kept.values()
    fresh = CandidateTrainer(CandidatePlan(PLAN.space, GENOTYPE, PLAN.method, RECIPE, PLAN.seed), DATA, CPU)
    run, whole = TrainingRun(fresh), _trained(4)[0]
    run.restore(checkpoint)
    assert len(run.reports) == 4
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(tensor, run.trainer.network.state_dict()[name]), name


def test_a_training_that_diverged_is_not_kept() -> None:
    shelf = _Shelf()
    recipe = RECIPE.model_copy(update={"learning_rate": 1e30, "optimizer": "sgd"})
    wild = replace(PLAN, recipe=recipe)
    assert OwnTrainer(wild, DATA, CPU, shelf=shelf).evaluate(2, GENOTYPE).evaluation.diverged
    assert shelf.kept == {}


def test_a_training_is_known_by_everything_that_it_depends_on() -> None:
    plan = CandidatePlan(PLAN.space, GENOTYPE, PLAN.method, RECIPE, 0)
    others = [
        replace(plan, space=build_space(Component(name="tiny", settings={"channels": 6}))),
        replace(plan, genotype=tiny_genotype("max-pool-3x3")),
        replace(plan, method=build_method(Component(name="bi-real"))),
        replace(plan, method=build_method(Component(name="xnor-net"))),
        replace(plan, method=build_method(Component(name="xnor-net", settings={"input_scale": "kmap"}))),
        replace(plan, recipe=RECIPE.model_copy(update={"learning_rate": 0.001})),
        replace(plan, seed=1),
    ]
    digests = [entry.digest("a", "cpu") for entry in (plan, *others)] + [plan.digest("b", "cpu"), plan.digest("a", "cuda")]
    assert len(set(digests)) == len(digests)
    assert digests[0] == replace(plan, method=build_method(Component(name="bnn"))).digest("a", "cpu")
