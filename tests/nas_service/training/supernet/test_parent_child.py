"""A binary supernet and its full-precision parent, path by path."""

from dataclasses import replace

import torch

from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.method import METHODS, MethodSettings
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.search.loop import run_search
from nas_service.search.strategy import STRATEGIES
from nas_service.training.supernet.local_evaluator import LocalEvaluator
from nas_service.training.supernet.parent_child import ParentChildTrainer, path_trainer
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer, merge
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
SETTINGS = EvaluationSettings(max_steps=2, train_fraction=0.2, validation_images=100)
PLAN = SupernetPlan(SPACES.get("tiny"), METHODS.get("xnor-net").from_settings({}), SETTINGS, 0, total_samples=10)


def test_child_and_parent_are_what_each_would_be_alone() -> None:
    data = digits().without_test()
    both = ParentChildTrainer(PLAN, data, CPU).evaluate(3, tiny_genotype())
    child = SupernetTrainer(PLAN, data, CPU).evaluate(3, tiny_genotype())
    parent = SupernetTrainer(replace(PLAN, method=FullPrecision(MethodSettings())), data, CPU).evaluate(3, tiny_genotype())
    assert both.evaluation.reward == child.evaluation.reward
    assert both.evaluation.parent_reward == parent.evaluation.reward
    assert set(both.weights) == set(child.weights) | {f"parent.{name}" for name in parent.weights}
    assert all(torch.equal(both.weights[name], tensor) for name, tensor in child.weights.items())
    assert all(torch.equal(both.weights[f"parent.{name}"], tensor) for name, tensor in parent.weights.items())


def test_weights_go_out_and_come_back() -> None:
    data = digits().without_test()
    first = ParentChildTrainer(PLAN, data, CPU)
    first.load(merge([first.evaluate(0, tiny_genotype()).weights]))
    second = ParentChildTrainer(PLAN, data, CPU)
    second.load(first.weights())
    assert all(torch.equal(tensor, second.weights()[name]) for name, tensor in first.weights().items())
    assert (
        first.evaluate(1, tiny_genotype()).evaluation.parent_reward
        == second.evaluate(1, tiny_genotype()).evaluation.parent_reward
    )


def test_cp_nas_searches_with_parents_to_the_end() -> None:
    strategy = STRATEGIES.get("cp-nas").from_settings(PLAN.space, {"samples_per_arm": 1}, 0)
    trainer = path_trainer(PLAN, digits().without_test(), CPU, with_parent=strategy.needs_parent)
    history = run_search(strategy, LocalEvaluator(trainer), (), 2, lambda _: None)
    assert len(history) == strategy.total == 5
    assert all(sample.parent_reward is not None for sample in history)
    assert strategy.rank(history, 1)[0].genotype.space == "tiny"
