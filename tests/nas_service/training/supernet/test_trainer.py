"""Paths of a supernet: nothing leaks between samples, and waves merge as they should."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from nas_service.binarization.method import METHODS
from nas_service.data.part import Part
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.adversarial import AdversarialSearch
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.search.bandit import Arm
from nas_service.search.history import History
from nas_service.search.loop import run_search
from nas_service.search.strategy import STRATEGIES
from nas_service.training.state.path_weights import Weights
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer, merge
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
SPACE = SPACES.get("tiny")
QUICK = EvaluationSettings(max_steps=2, train_fraction=0.2, validation_images=100)


def _trainer(settings: EvaluationSettings = QUICK, seed: int = 0) -> SupernetTrainer:
    plan = SupernetPlan(SPACE, METHODS.get("xnor-net").from_settings({}), settings, seed, total_samples=18)
    return SupernetTrainer(plan, digits().without_test(), CPU)


def _equal(left: Weights, right: Weights) -> bool:
    return set(left) == set(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_evaluating_a_sample_leaves_the_shared_weights_as_they_were() -> None:
    """So every sample of a wave starts from the same weights, wherever it runs."""
    trainer = _trainer()
    before = trainer.weights()
    path = trainer.evaluate(0, tiny_genotype())
    assert _equal(trainer.weights(), before)
    assert any(not torch.equal(path.weights[name], before[name]) for name in path.weights)


def test_a_path_touches_its_own_weights_only() -> None:
    trainer = _trainer()
    genotype = tiny_genotype()
    assert set(trainer.evaluate(0, genotype).weights) == set(trainer.supernet.path_parameters(genotype))
    assert not any("max-pool" in name for name in trainer.evaluate(0, genotype).weights)


def test_a_sample_depends_on_seed_index_genotype_and_weights_and_on_nothing_before_it() -> None:
    fresh, used = _trainer(), _trainer()
    used.evaluate(5, tiny_genotype("skip"))
    torch.manual_seed(123)
    first, second = fresh.evaluate(3, tiny_genotype()), used.evaluate(3, tiny_genotype())
    assert _equal(first.weights, second.weights)
    assert first.evaluation.reward == second.evaluation.reward
    assert not _equal(first.weights, fresh.evaluate(4, tiny_genotype()).weights)
    assert not _equal(first.weights, _trainer(seed=1).evaluate(3, tiny_genotype()).weights)


def test_the_reward_is_a_share_of_the_validation_images() -> None:
    evaluation = _trainer().evaluate(0, tiny_genotype()).evaluation
    assert (evaluation.reward * 100) == pytest.approx(round(evaluation.reward * 100), abs=1e-9)
    assert 0 < evaluation.reward <= 1
    assert evaluation.loss is not None


def test_training_teaches() -> None:
    """Eight samples of one path, shared each time: better than chance (10 %) by far more than its spread (3 %)."""
    trainer = _trainer(EvaluationSettings())
    rewards = []
    for index in range(8):
        path = trainer.evaluate(index, tiny_genotype())
        trainer.load(path.weights)
        rewards.append(path.evaluation.reward)
    assert rewards[-1] > 0.4


def test_a_path_that_diverges_gets_reward_zero_and_keeps_nothing() -> None:
    trainer = _trainer()
    broken = trainer.weights()
    broken["classifier.weight"] = torch.full_like(broken["classifier.weight"], float("nan"))
    trainer.load(broken)
    path = trainer.evaluate(0, tiny_genotype())
    assert path.evaluation.diverged
    assert path.evaluation.reward == 0
    assert path.evaluation.loss is None
    assert path.weights == {}


def test_statistics_of_batch_norm_come_from_the_sample_s_own_calibration() -> None:
    """Two samples along other paths in between change nothing about a score."""
    first, second = _trainer(), _trainer()
    for index in (1, 2):
        second.evaluate(index, tiny_genotype("max-pool-3x3"))
    assert first.evaluate(0, tiny_genotype()).evaluation.reward == second.evaluate(0, tiny_genotype()).evaluation.reward


def test_more_epochs_train_longer() -> None:
    once = _trainer(EvaluationSettings(train_fraction=0.2)).evaluate(0, tiny_genotype())
    twice = _trainer(EvaluationSettings(train_fraction=0.2, epochs=2)).evaluate(0, tiny_genotype())
    assert once.evaluation.loss is not None
    assert twice.evaluation.loss is not None
    assert twice.evaluation.loss < once.evaluation.loss


def test_merging_takes_what_one_path_touched_and_averages_what_several_did() -> None:
    one, two = (
        {"a": torch.tensor([1.0]), "shared": torch.tensor([2.0])},
        {"b": torch.tensor([3.0]), "shared": torch.tensor([4.0])},
    )
    assert {name: float(value) for name, value in merge([one, two]).items()} == {"a": 1, "b": 3, "shared": 3}
    assert merge([]) == {}


def _search(wave: int, seed: int = 0) -> tuple[History, Sequence[Arm], Weights]:
    strategy = STRATEGIES.get("abandit").from_settings(SPACE, {"samples_per_arm": 1}, seed)
    evaluator = LocalEvaluator(_trainer(seed=seed))
    history = run_search(strategy, evaluator, (), wave, lambda _: None)
    return history, strategy.arms(history), evaluator.trainer.weights()


@pytest.mark.parametrize("wave", [1, 2])
def test_the_same_seed_searches_the_same_twice_and_another_seed_does_not(wave: int) -> None:
    first, second = _search(wave), _search(wave)
    assert first[:2] == second[:2]
    assert _equal(first[2], second[2])
    assert _search(wave, seed=1)[0] != first[0]


def test_test_images_make_no_difference_to_a_search() -> None:
    """With other test images, and with none, a sample's result is the same."""
    dataset = digits()
    assert dataset.test is not None
    garbled = replace(dataset, test=Part(255 - dataset.test.images, dataset.test.labels[::-1]))
    plan = SupernetPlan(SPACE, METHODS.get("xnor-net").from_settings({}), QUICK, 0, total_samples=18)
    results = [
        SupernetTrainer(plan, given, CPU).evaluate(0, tiny_genotype()) for given in (dataset, garbled, dataset.without_test())
    ]
    assert len({result.evaluation.reward for result in results}) == 1
    assert _equal(results[0].weights, results[1].weights)
    assert _equal(results[0].weights, results[2].weights)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("attack", [None, "fgsm", "free"])
def test_recorded_samples_equal_eager_ones_on_a_gpu(attack: str | None) -> None:
    """Two paths, one after the other; cuDNN may choose other algorithms, so to the rounding of sums over a few steps."""
    adversarial = None if attack is None else AdversarialSearch.model_validate({"attack": attack, "eps": 0.1})
    losses = []
    for graph in (True, False):
        fast = PLAIN.model_copy(update={"cuda_graph": graph, "fused_optimizer": True})
        settings = QUICK.model_copy(update={"max_steps": 8, "adversarial": adversarial, "acceleration": fast})
        plan = SupernetPlan(SPACE, METHODS.get("xnor-net").from_settings({}), settings, 0, total_samples=18)
        trainer = SupernetTrainer(plan, digits().without_test(), torch.device("cuda"))
        paths = [trainer.evaluate(index, tiny_genotype(name)) for index, name in enumerate(("dilated-conv-3x3", "max-pool-3x3"))]
        losses.append([path.evaluation.loss for path in paths])
    assert losses[0] == pytest.approx(losses[1], rel=1e-2)
