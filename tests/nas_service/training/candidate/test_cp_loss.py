"""Trainings with CP-NAS's loss: it acts, is off unless asked for, is resumed, and keeps out of what is not its own."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.conv_rich import CONV_RICH, SPACE
from benchmarks.live_terms import RATES
from benchmarks.watched_terms import Watch
from nas_service.binarization.method import METHODS, Method, MethodState, Pass, Step
from nas_service.binarization.methods.bnn import Bnn, BnnSettings
from nas_service.recipes.cp_loss import CpLossSettings
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.step.backpropagation import Objective
from nas_service.training.step.cp_loss import CpLoss
from search_spaces.space import SPACES
from tests.nas_service.training.tape import Tape
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")
ACTS = 0.001  # least share of the task's gradient, as of the methods' own terms


def _trainer(recipe: Recipe, method: Method | None = None) -> CandidateTrainer:
    chosen = method or METHODS.get("xnor-net").from_settings({})
    return CandidateTrainer(CandidatePlan(SPACES.get(SPACE), CONV_RICH, chosen, recipe, seed=0), digits(), CPU)


def _recipe(cp_loss: CpLossSettings | None, **others: Any) -> Recipe:  # noqa: ANN401 - fields of many types
    return Recipe.model_validate({"epochs": 2, "max_steps_per_epoch": 3, **others, "cp_loss": cp_loss})


def _weights(trainer: CandidateTrainer) -> dict[str, Tensor]:
    return trainer.checkpoint().tensors


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return set(one) == set(other) and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


class _Watched(CpLoss):
    """Looks at each term's share of the task's gradient on the latent weights."""

    def __init__(self, settings: CpLossSettings, classifier: nn.Linear) -> None:
        super().__init__(settings, classifier)
        self.steps = 0
        self.watch = Watch(every=4)

    def losses(self, step: Step) -> dict[str, Tensor]:
        losses = super().losses(step)
        self.steps += 1
        if self.steps % self.watch.every == 0:
            task = self._norm(Objective()(step.logits, step.labels, None), step)
            for name, loss in losses.items():
                self.watch.note(name, self._norm(loss, step), task)
        return losses

    def _norm(self, loss: Tensor, step: Step) -> float:
        weights = [layer.weight for layer in step.layers]
        gradients = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True, materialize_grads=True)
        return float(torch.cat([gradient.flatten() for gradient in gradients]).norm())


def _watch(trainer: CandidateTrainer, settings: CpLossSettings) -> _Watched:
    trainer._cp_loss = watched = _Watched(settings, trainer._live.classifier)
    return watched


@pytest.mark.parametrize("optimizer", OptimizerName)
@pytest.mark.parametrize("name", ["xnor-net", "bi-real"])
def test_by_default_both_terms_act(name: str, optimizer: OptimizerName) -> None:
    """The medians are above a thousandth of the task's gradient, and below all of it."""
    settings = CpLossSettings()
    recipe = Recipe(epochs=2, optimizer=optimizer, learning_rate=RATES[optimizer], cp_loss=settings)
    trainer = _trainer(recipe, METHODS.get(name).from_settings({}))
    watched = _watch(trainer, settings)
    list(trainer.fit())
    assert set(watched.watch.terms) == {"kernel", "centre"}
    assert all(ACTS < share < 1 for share in watched.watch.terms.values())


def test_each_term_alone_changes_what_is_learnt() -> None:
    trained = [_trainer(_recipe(settings)) for settings in (None, CpLossSettings(centre=0.0), CpLossSettings(kernel=0.0))]
    for trainer in trained:
        list(trainer.fit())
    networks = [trainer.network.state_dict() for trainer in trained]
    assert not _equal(networks[0], networks[1])
    assert not _equal(networks[0], networks[2])


def test_without_weights_a_training_is_the_one_without_the_loss_bit_for_bit() -> None:
    plain, weightless = _trainer(_recipe(None)), _trainer(_recipe(CpLossSettings(kernel=0.0, centre=0.0)))
    list(plain.fit())
    list(weightless.fit())
    kept = _weights(weightless)
    assert not kept.pop("cp_loss.centres").any()
    assert _equal(_weights(plain), kept)


@pytest.mark.parametrize("done", [1, 2])
def test_a_resumed_training_ends_as_the_uninterrupted_one(done: int) -> None:
    """Bit for bit, the means of the classes included; also across the end of a first stage with real weights."""
    recipe = _recipe(CpLossSettings(), epochs=3, real_weight_stage=0.4)
    whole, interrupted, resumed = (_trainer(recipe) for _ in range(3))
    list(whole.fit())
    for _ in zip(range(done), interrupted.fit(), strict=False):
        pass
    content = interrupted.checkpoint().to_bytes()
    resumed.restore(Checkpoint.from_bytes(content))
    assert _weights(resumed)["cp_loss.centres"].any()
    list(resumed.fit())
    assert _equal(_weights(whole), _weights(resumed))


def test_a_pass_that_trains_by_the_tasks_loss_alone_has_none_of_it() -> None:
    class Passing(MethodState):
        passes = (Pass("train"), Pass("norms", trains=(nn.BatchNorm2d,)))

    class Twice(Bnn):
        def start(self, network: nn.Module) -> MethodState:
            del network
            return Passing()

    trainer = _trainer(_recipe(CpLossSettings(), epochs=1), Twice(BnnSettings()))
    watched = _watch(trainer, CpLossSettings())
    list(trainer.fit())
    assert watched.steps == 3  # and not six


def test_a_step_with_it_can_be_recorded_and_replayed() -> None:
    """Nothing in it waits for the device, and the means move in place."""
    recipe = _recipe(CpLossSettings(), max_steps_per_epoch=4, acceleration={"fused_optimizer": True})
    eager, replayed = _trainer(recipe), _trainer(recipe)
    replayed.bench.recorder = tape = Tape()
    assert [report.train_loss for report in eager.fit()] == [report.train_loss for report in replayed.fit()]
    assert tape.records == 2
    assert _equal(_weights(eager), _weights(replayed))


def test_teachers_are_trained_without_it() -> None:
    """So that students with and without it share one."""
    plans = [
        FullPrecisionPlan(SPACES.get("tiny"), tiny_genotype(), _recipe(settings), "digits")
        for settings in (None, CpLossSettings())
    ]
    assert plans[0].own_recipe == plans[1].own_recipe
    assert plans[0].digest == plans[1].digest
    assert plans[1].own_recipe.cp_loss is None
