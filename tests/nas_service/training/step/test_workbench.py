"""Every switch against the plain path, on the same samples: the same loss, within what the switch may change."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_service.binarization.method import METHODS
from nas_service.export.packed import freeze_network
from nas_service.recipes.acceleration import PLAIN
from nas_service.recipes.recipe import EvaluationSettings, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer, TrainedPath
from search_spaces.space import SPACES, SpaceSettings
from tests.nas_service.training.tape import Tape
from tests.rounding import differing, pixels
from tests.samples import digits, random_genotype, tiny_genotype

CPU = torch.device("cpu")
GENERAL = SPACES.get("abandit-general")

# What a switch may change of the loss of a step from the same weights. Sums in another order round to 2^-24 of a loss of 2.4
# (seen: 2.4e-7); a sign flips only where its input is that close to 0. bf16 rounds to 2^-8, so that about one sign in 2^8
# flips: over eight paths and 256 images the loss moved by 0.03 in the root mean square, by 0.06 at most.
SWITCHES: list[tuple[dict[str, Any], float]] = [
    ({"channels_last": True}, 1e-5),
    ({"shared_sign": True}, 0.0),
    ({"fused_optimizer": True}, 0.0),
    ({"precision": "bf16"}, 0.12),
    ({"precision": "bf16", "channels_last": True, "shared_sign": True, "fused_optimizer": True}, 0.12),
]
EVERY_SWITCH = pytest.mark.parametrize(("given", "tolerance"), SWITCHES, ids=["+".join(given) for given, _ in SWITCHES])


def _settings(given: Mapping[str, Any], **others: Any) -> EvaluationSettings:  # noqa: ANN401 - fields of many types
    return EvaluationSettings.model_validate(
        {"max_steps": 1, "batch_size": 256, "validation_images": 64, "calibration_batches": 1, **others, "acceleration": given}
    )


def _trainer(settings: EvaluationSettings, template: str = "plain", method: str = "xnor-net") -> SupernetTrainer:
    space = GENERAL.configure(SpaceSettings(template=template, channels=8))
    plan = SupernetPlan(space, METHODS.get(method).from_settings({}), settings, seed=0, total_samples=10)
    return SupernetTrainer(plan, digits().without_test(), CPU)


def _sample(trainer: SupernetTrainer, seed: int = 1) -> TrainedPath:
    return trainer.evaluate(0, random_genotype(GENERAL, seed))


def _loss(path: TrainedPath) -> float:
    assert path.evaluation.loss is not None
    return path.evaluation.loss


@pytest.mark.few(4)
@EVERY_SWITCH
@pytest.mark.parametrize("template", ["plain", "shortcut"])
def test_a_sample_has_the_loss_of_the_plain_path(given: dict[str, Any], tolerance: float, template: str) -> None:
    plain, fast = (_sample(_trainer(_settings(switches), template)) for switches in ({}, given))
    assert _loss(fast) == pytest.approx(_loss(plain), abs=tolerance)


@pytest.mark.parametrize("given", [{"channels_last": True}, {"shared_sign": True}, {"fused_optimizer": True}], ids=str)
def test_a_step_moves_the_weights_as_the_plain_path_does(given: dict[str, Any]) -> None:
    """With SGD, whose step is the gradient's: rounding of values around 0.1 is 1e-8. Adam's first step is the learning rate
    times the gradient's sign, so where a gradient is 0 but for its rounding any path steps as it likes.
    """
    plain, fast = (_sample(_trainer(_settings(switches, optimizer="sgd"))) for switches in ({}, given))
    assert set(plain.weights) == set(fast.weights)
    for name, tensor in plain.weights.items():
        torch.testing.assert_close(fast.weights[name], tensor, rtol=0, atol=1e-6)


@EVERY_SWITCH
def test_a_supernet_learns_with_every_switch(given: dict[str, Any], tolerance: float) -> None:
    """Six samples of one path of `tiny`, shared each time: far better than chance, 10 % with a spread of 1.6 over 360 images."""
    del tolerance
    settings = _settings(given, batch_size=64, max_steps=None, validation_images=None, calibration_batches=2)
    plan = SupernetPlan(SPACES.get("tiny"), METHODS.get("xnor-net").from_settings({}), settings, 0, total_samples=6)
    trainer = SupernetTrainer(plan, digits().without_test(), CPU)
    rewards = []
    for index in range(6):
        path = trainer.evaluate(index, tiny_genotype())
        trainer.load(path.weights)
        rewards.append(path.evaluation.reward)
    assert rewards[-1] > 0.3


@pytest.mark.parametrize("given", [{"precision": "bf16", "channels_last": True, "shared_sign": True}], ids=str)
def test_a_network_trained_fast_is_exported_as_it_is(given: dict[str, Any]) -> None:
    """It is scored plainly in float32, so the frozen network equals it but for rounding; nothing of the fast path stays."""
    recipe = Recipe.model_validate({"epochs": 2, "max_steps_per_epoch": 4, "acceleration": given})
    method = METHODS.get("xnor-net").from_settings({})
    trainer = CandidateTrainer(CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, recipe, 0), digits(), CPU)
    list(trainer.fit())
    network = trainer.network.eval()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    images = pixels(network.image, 8)
    with torch.no_grad():
        assert differing(freeze_network(network, method)(images), network(images)) <= 1


def test_replayed_samples_are_eager_samples_bit_for_bit() -> None:
    """Also along another path afterwards, and with another learning rate."""
    settings = _settings({"fused_optimizer": True}, batch_size=32, max_steps=5)
    eager, replayed = _trainer(settings), _trainer(settings)
    replayed.bench.recorder = tape = Tape()
    for index in range(2):
        genotype = random_genotype(GENERAL, index)
        expected, ours = eager.evaluate(index, genotype), replayed.evaluate(index, genotype)
        assert (ours.evaluation.loss, ours.evaluation.reward) == (expected.evaluation.loss, expected.evaluation.reward)
        assert all(torch.equal(ours.weights[name], expected.weights[name]) for name in expected.weights)
        eager.load(expected.weights)
        replayed.load(ours.weights)
    assert tape.records == 2


def test_the_bench_says_what_it_decided() -> None:
    assert _trainer(_settings({})).bench.acceleration == PLAIN


@pytest.mark.parametrize(("steps", "batches"), [(0, 1), (1, 1), (7, 1), (8, 2), (9, 2)])
def test_free_training_takes_several_steps_on_a_batch_and_no_more_than_are_allowed(steps: int, batches: int) -> None:
    free = _trainer(_settings({}, max_steps=8, adversarial={"attack": "free", "steps": 4}))
    assert free.bench.batches(steps) == batches
    assert _trainer(_settings({})).bench.batches(steps) == max(1, steps)


@pytest.mark.parametrize(("most", "taken"), [(None, 3 * 4), (4, 4), (10, 8)])
def test_the_limit_of_a_sample_holds_over_its_epochs(most: int | None, taken: int) -> None:
    """Epochs of one batch with four replays; the third would exceed a limit of ten steps."""
    adversarial = {"attack": "free", "steps": 4, "eps": 0.1}
    settings = _settings({}, max_steps=most, epochs=3, train_fraction=0.4, adversarial=adversarial)
    plan = SupernetPlan(SPACES.get("tiny"), METHODS.get("xnor-net").from_settings({}), settings, seed=0, total_samples=10)
    trainer = SupernetTrainer(plan, digits().without_test(), CPU)
    run, counted = trainer.bench.run, [0]

    def counting(*given: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:  # noqa: ANN401 - whatever it takes
        for figures in run(*given):
            counted[0] += 4
            yield figures

    trainer.bench.run = counting  # type: ignore[method-assign,assignment]  # to count the steps
    trainer.evaluate(0, tiny_genotype())
    assert counted == [taken]
