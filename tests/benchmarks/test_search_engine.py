"""The ladder: each rung has all switches of those below it."""

import pytest
import torch

from benchmarks.search_engine import GRAPH, LADDER, ladder, training_step
from nas_service.binarization.method import METHODS
from nas_service.recipes.acceleration import PLAIN, ActivationType, Compilation
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype


def test_the_whole_ladder_begins_plain_and_ends_with_everything_that_goes_together() -> None:
    rungs = dict(ladder([name for name, _ in LADDER]))
    assert rungs["plain"] == PLAIN
    top = rungs["compiled regions"]
    assert (top.precision, top.compile) == (ActivationType.BF16, Compilation.REGIONS)
    assert top.cuda_graph
    assert top.channels_last
    assert top.fused_optimizer
    assert not top.shared_sign


def test_rungs_that_are_left_out_leave_their_switch_off() -> None:
    rungs = dict(ladder(["fused optimizer", "bf16"]))
    assert list(rungs) == ["plain", "fused optimizer", "bf16"]
    assert not rungs["bf16"].channels_last
    assert GRAPH not in rungs


def test_a_rung_nobody_knows_is_refused() -> None:
    with pytest.raises(SystemExit, match="warp drive"):
        ladder(["warp drive"])


def test_the_step_of_a_path_trains_it_and_leaves_the_shared_weights_as_they_were() -> None:
    method = METHODS.get("xnor-net").from_settings({})
    plan = SupernetPlan(SPACES.get("tiny"), method, EvaluationSettings(), 0, total_samples=18)
    trainer = SupernetTrainer(plan, digits().without_test(), torch.device("cpu"))
    before = trainer.weights()
    images = torch.tensor(digits().train.images[:32]) / 255
    labels = torch.tensor(digits().train.labels[:32])
    with training_step(trainer, tiny_genotype()) as step:
        losses = [float(step(images, labels, 1.0)[0]) for _ in range(6)]
        assert any(not torch.equal(tensor, before[name]) for name, tensor in trainer.weights().items())
    assert losses[-1] < losses[0]
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.weights().items())
