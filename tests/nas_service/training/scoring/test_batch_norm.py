"""Re-estimated statistics of batch norm: plain means, of the weights that are scored, and training does not know of them."""

from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.batch_norm import batch_norms, reestimate
from nas_service.training.state.seeding import derived_generator
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype


def _last_mean(trainer: CandidateTrainer) -> Tensor:
    mean = batch_norms(trainer.network)[-1].running_mean
    assert mean is not None
    return mean.clone()


def _trainer(**recipe: object) -> CandidateTrainer:
    plan = CandidatePlan(
        SPACES.get("tiny"),
        tiny_genotype(),
        METHODS.get("bnn").from_settings({}),
        Recipe.model_validate({"epochs": 2, **recipe}),
        0,
    )
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_statistics_are_plain_means_over_the_batches_and_momenta_are_kept(momentum: float | None) -> None:
    norm = nn.BatchNorm2d(3, momentum=momentum)
    batches = [torch.randn(4, 3, 2, 2) * 3 + 1 for _ in range(5)]
    norm(torch.full((2, 3, 2, 2), 1e6))  # of weights that are gone
    reestimate([norm], norm, batches)
    torch.testing.assert_close(norm.running_mean, torch.stack([one.mean((0, 2, 3)) for one in batches]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([one.var((0, 2, 3)) for one in batches]).mean(0))
    assert norm.momentum == momentum


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_is_the_same_with_and_without_and_its_scores_are_not(ema_decay: float) -> None:
    with_them, without = _trainer(ema_decay=ema_decay), _trainer(ema_decay=ema_decay, norm_batches=0)
    reports = list(with_them.fit()), list(without.fit())
    for one, other in zip(*reports, strict=True):
        assert (one.train_loss, one.train_accuracy, one.flip_ratio) == (other.train_loss, other.train_accuracy, other.flip_ratio)
    parameters = with_them.network.parameters(), without.network.parameters()
    assert all(torch.equal(*pair) for pair in zip(*parameters, strict=True))
    assert not torch.equal(_last_mean(with_them), _last_mean(without))


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_statistics_are_those_of_the_weights_that_are_scored(ema_decay: float) -> None:
    """The classifier's norm sees what the scored network makes of the epoch's own batches."""
    trainer = _trainer(ema_decay=ema_decay, norm_batches=3)
    for _ in trainer.fit():
        pass
    network, norms = trainer.network, batch_norms(trainer.network)
    means: list[Tensor] = []
    norms[-1].register_forward_pre_hook(lambda _, inputs: means.append(inputs[0].mean((0, 2, 3))))
    network.eval()
    for norm in norms:
        norm.train()
    generator = derived_generator(torch.device("cpu"), 0, "batch norm", trainer.epoch - 1)
    kept = _last_mean(trainer)
    with torch.no_grad():
        for images, _ in islice(trainer.bench.epoch(generator), 3):
            network(images)
    torch.testing.assert_close(kept, torch.stack(means).mean(0))


def test_a_network_is_left_as_it_was_but_for_its_statistics() -> None:
    trainer = _trainer(norm_batches=0)
    trainer.network.train()
    before = {name: tensor.clone() for name, tensor in trainer.network.named_parameters()}
    trainer.reestimate_norms(2)
    assert all(module.training for module in trainer.network.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainer.network.named_parameters())
