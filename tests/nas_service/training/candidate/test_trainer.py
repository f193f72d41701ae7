"""Training one candidate: hooks, schedules, phases. Determinism and resuming are in the methods' contract."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import METHODS, MethodFacts, MethodState, ParameterRule, Pass, Phase, Step
from nas_service.binarization.methods.bnn import Bnn, BnnConv2d, BnnSettings
from nas_service.recipes.recipe import Recipe, TaskLoss
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer, _factor
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.step.backpropagation import Objective
from search_spaces.space import SPACES
from tests.reports import epoch_report
from tests.samples import digits, tiny_genotype

CPU = torch.device("cpu")


class _State(MethodState):
    """Uses every hook: a centre that moves, an extra loss on it, taps, an adversary with an optimizer of its own."""

    taps = ("cells.0",)
    centre: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(16))
        self.adversary = nn.Linear(16, 1)
        self._optimizer = torch.optim.SGD(self.adversary.parameters(), lr=0.1, momentum=0.9)
        self.calls: list[str] = []

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adversary": self._optimizer}

    def start_phase(self, phase: Phase, network: nn.Module) -> None:
        self.calls.append(f"phase {phase.name}")
        network.get_submodule("classifier").requires_grad_(phase.name != "frozen")

    def start_epoch(self, epoch: int, epochs: int) -> None:
        self.calls.append(f"epoch {epoch} of {epochs}")

    def adversary_step(self, step: Step) -> None:
        self.calls.append("adversary")
        assert step.taps["cells.0"].shape[0] == len(step.labels)
        self._optimizer.zero_grad()
        self.adversary(step.taps["cells.0"].detach().mean((2, 3))).square().mean().backward()
        self._optimizer.step()

    def losses(self, step: Step) -> dict[str, Tensor]:
        self.calls.append("losses")
        return {"centre": 0.01 * (step.taps["cells.0"].mean((0, 2, 3)) - self.centre).square().sum()}

    def end_step(self, layers: Sequence[BinaryConv2d]) -> None:
        self.calls.append(f"end of step, {len(layers)} layers")
        self.centre += 1

    def end_epoch(self, network: nn.Module) -> None:
        del network
        assert not torch.is_grad_enabled()
        self.calls.append("end of epoch")

    def metrics(self) -> dict[str, float]:
        return {"centre": float(self.centre[0])}


class _Hooked(Bnn):
    def start(self, network: nn.Module) -> MethodState:
        del network
        return _State()

    def phases(self, epochs: int) -> tuple[Phase, ...]:
        return (Phase("open", 1), Phase("frozen", epochs - 1, lr_multiplier=0.5))


def _trainer(method: Bnn, recipe: Recipe) -> CandidateTrainer:
    return CandidateTrainer(CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, recipe, seed=0), digits(), CPU)


def _hooked(epochs: int = 3) -> CandidateTrainer:
    return _trainer(_Hooked(BnnSettings()), Recipe(epochs=epochs, max_steps_per_epoch=2))


def _state(trainer: CandidateTrainer) -> _State:
    assert isinstance(trainer._state, _State)
    return trainer._state


def test_every_hook_is_called_in_its_place() -> None:
    trainer = _hooked(2)
    reports = list(trainer.fit())
    step = ["adversary", "losses", "end of step, 8 layers"]
    assert _state(trainer).calls == [
        "phase open",
        "epoch 0 of 2",
        *step,
        *step,
        "end of epoch",
        "phase frozen",
        "epoch 1 of 2",
        *step,
        *step,
        "end of epoch",
    ]
    assert [(report.phase, report.extra) for report in reports] == [("open", {"centre": 2.0}), ("frozen", {"centre": 4.0})]


def test_what_a_phase_freezes_does_not_move() -> None:
    trainer = _hooked()
    epochs = trainer.fit()
    next(epochs)
    before = trainer.network.classifier.weight.detach().clone()
    list(epochs)
    assert torch.equal(trainer.network.classifier.weight, before)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_state_of_a_method_is_in_the_checkpoint(done: int) -> None:
    """Also where the checkpoint lies between two phases, and after the last epoch."""
    whole, interrupted, resumed = _hooked(), _hooked(), _hooked()
    list(whole.fit())
    for _ in zip(range(done), interrupted.fit(), strict=False):
        pass
    resumed.restore(Checkpoint.from_bytes(interrupted.checkpoint().to_bytes()))
    list(resumed.fit())
    expected, actual = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    assert torch.equal(_state(whole).centre, _state(resumed).centre)
    assert torch.equal(_state(whole).adversary.weight, _state(resumed).adversary.weight)


def test_an_extra_loss_changes_what_is_learnt() -> None:
    plain = _trainer(Bnn(BnnSettings()), Recipe(epochs=1, max_steps_per_epoch=2))
    hooked = _trainer(_Hooked(BnnSettings()), Recipe(epochs=1, max_steps_per_epoch=2))
    list(plain.fit())
    list(hooked.fit())
    assert not torch.equal(plain.network.stem[0].weight, hooked.network.stem[0].weight)  # type: ignore[arg-type]  # a convolution


def test_a_method_that_needs_a_teacher_is_refused_without_one() -> None:
    class Taught(_Hooked):
        @property
        def facts(self) -> MethodFacts:
            return replace(super().facts, needs_teacher=True)

    with pytest.raises(ValueError, match="Taught with this recipe needs a teacher"):
        _trainer(Taught(BnnSettings()), Recipe(epochs=2))
    with pytest.raises(ValueError, match="Bnn with this recipe needs a teacher"):
        _trainer(Bnn(BnnSettings()), Recipe(epochs=2, distillation=0.5))


def _taught(recipe: Recipe, teacher: CandidateTrainer) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), Bnn(BnnSettings()), recipe, seed=0)
    return CandidateTrainer(plan, digits(), CPU, teacher.network)


def test_distillation_alone_needs_no_labels_and_leaves_the_teacher_alone() -> None:
    """With share 1 the loss is the cross entropy with the teacher's probabilities: labels may be wrong, all of them."""
    teacher = _trainer(Bnn(BnnSettings()), Recipe(epochs=1, max_steps_per_epoch=2))
    list(teacher.fit())
    before = {name: tensor.clone() for name, tensor in teacher.network.state_dict().items()}
    recipe = Recipe(epochs=1, max_steps_per_epoch=2, distillation=1.0)
    images = torch.tensor(digits().train.images[:64]) / 255
    weights = []
    for labels in (torch.zeros(64, dtype=torch.int64), torch.full((64,), 9)):
        student = _taught(recipe, teacher)
        with student.training(Pass("train")) as step:
            for _ in range(2):
                step(images, labels, 1.0)
        weights.append(student.network.classifier.weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.network.state_dict().items())


def test_the_objective_is_the_stated_mixture() -> None:
    """Half the labels' cross entropy, half T^2 times that of the softened logits; squared hinge by hand."""
    logits, teacher = torch.tensor([[2.0, -1.0]]), torch.tensor([[0.0, 4.0]])
    labels = torch.tensor([0])
    hard = -torch.log_softmax(logits, 1)[0, 0]
    soft = 4 * -(torch.softmax(teacher / 2, 1) * torch.log_softmax(logits / 2, 1)).sum()
    mixed = Objective(distillation=0.5, temperature=2.0)(logits, labels, teacher)
    torch.testing.assert_close(mixed, 0.5 * hard + 0.5 * soft)
    hinge = Objective(loss=TaskLoss.SQUARED_HINGE)(torch.tensor([[0.5, 0.25]]), labels, None)
    assert float(hinge) == pytest.approx((0.5**2 + 1.25**2) / 2)  # targets +1 and -1


def test_the_first_of_two_stages_trains_real_weights() -> None:
    """Its weights are used as they are; the second stage begins from them, binary, without weight decay."""
    trainer = _trainer(Bnn(BnnSettings()), Recipe(epochs=4, max_steps_per_epoch=2, real_weight_stage=0.5, weight_decay=0.1))
    reports = trainer.fit()
    assert [next(reports).phase for _ in range(2)] == ["real-weights", "real-weights"]
    assert all(layer.real_weights for layer in trainer._layers)
    assert any(group["weight_decay"] for group in trainer._optimizer.inner.param_groups)
    assert [report.phase for report in reports] == ["train", "train"]
    assert not any(layer.real_weights for layer in trainer._layers)
    assert not any(group["weight_decay"] for group in trainer._optimizer.inner.param_groups)


@pytest.mark.parametrize("takes_part", [False, True])
def test_no_hook_is_called_and_no_figure_asked_for_in_the_first_stage_unless_the_state_says_so(*, takes_part: bool) -> None:
    class Staged(_State):
        in_real_stage = takes_part

    class Method(Bnn):
        def start(self, network: nn.Module) -> MethodState[BnnConv2d]:
            del network
            return Staged()

    trainer = _trainer(Method(BnnSettings()), Recipe(epochs=2, max_steps_per_epoch=1, real_weight_stage=0.5))
    first, second = trainer.fit()
    step = ["adversary", "losses", "end of step, 8 layers", "end of epoch"]
    staged = ["phase real-weights", "epoch 0 of 2", *step] if takes_part else []
    assert _state(trainer).calls == [*staged, "phase train", "epoch 1 of 2", *step]
    assert (first.extra, second.extra) == (({"centre": 1.0}, {"centre": 2.0}) if takes_part else ({}, {"centre": 1.0}))


@pytest.mark.parametrize("done", [1, 2])
def test_a_moving_average_is_what_is_scored_and_resumed(done: int) -> None:
    """Avg <- decay avg + (1 - decay) w after every step; a new phase begins a new average."""
    recipe = Recipe(epochs=3, max_steps_per_epoch=2, ema_decay=0.5, real_weight_stage=0.4)
    whole, interrupted, resumed = (_trainer(Bnn(BnnSettings()), recipe) for _ in range(3))
    list(whole.fit())
    assert not torch.equal(whole.network.classifier.weight, whole._live.classifier.weight)
    for _ in zip(range(done), interrupted.fit(), strict=False):
        pass
    resumed.restore(Checkpoint.from_bytes(interrupted.checkpoint().to_bytes()))
    list(resumed.fit())
    expected, actual = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


class _InTurns(Bnn):
    def rules(self, layer: BinaryConv2d) -> dict[str, ParameterRule]:
        del layer
        return {"weight": ParameterRule(turn=1)}


def test_turns_step_one_after_the_other_with_gradients_of_their_own() -> None:
    """The latent weights' gradient is taken after the rest has moved; the adversary steps once."""
    calls: list[str] = []

    class Counting(_State):
        def adversary_step(self, step: Step) -> None:
            del step
            calls.append("adversary")

        def losses(self, step: Step) -> dict[str, Tensor]:
            weights = [float(layer.weight.detach().abs().sum()) for layer in step.layers]
            calls.append(f"losses {sum(weights):.4f}")
            return {}

    class Method(_InTurns):
        def start(self, network: nn.Module) -> MethodState:
            del network
            return Counting()

    trainer = _trainer(Method(BnnSettings()), Recipe(epochs=1, max_steps_per_epoch=1))
    list(trainer.fit())
    assert [call.split()[0] for call in calls] == ["adversary", "losses", "losses"]
    assert calls[1] == calls[2]  # the latent weights had not moved yet when their own gradient was taken


def test_a_pass_of_its_own_trains_only_its_kind_of_module() -> None:
    class Passing(MethodState):
        passes = (Pass("train"), Pass("norms", trains=(nn.BatchNorm2d,)))

    class Method(Bnn):
        def start(self, network: nn.Module) -> MethodState:
            del network
            return Passing()

    seen: dict[str, dict[str, Tensor]] = {}
    trainer = _trainer(Method(BnnSettings()), Recipe(epochs=1, max_steps_per_epoch=2))
    run = trainer._run_pass

    def watched(*arguments: Any) -> tuple[float, int, int]:  # noqa: ANN401 - whatever the method takes
        figures = run(*arguments)
        seen[arguments[2].name] = {name: entry.detach().clone() for name, entry in trainer._live.named_parameters()}
        return figures

    trainer._run_pass = watched  # type: ignore[method-assign,assignment]  # to look between the passes
    list(trainer.fit())
    moved = {name for name, after in seen["norms"].items() if not torch.equal(after, seen["train"][name])}
    norms = {
        f"{name}.{leaf}"
        for name, module in trainer._live.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for leaf in ("weight", "bias")
    }
    assert moved
    assert moved <= norms
    assert all(parameter.requires_grad for parameter in trainer._live.parameters())


def test_learning_rates_warm_up_and_fall() -> None:
    recipe = Recipe(epochs=3, warmup_epochs=1, schedule="linear")
    factors = [_factor(recipe, Phase("train", 3), step / 4, first=True) for step in range(12)]
    assert factors == [0, 0.25, 0.5, 0.75, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    later = [_factor(recipe, Phase("tune", 2), step / 2, first=False) for step in range(4)]
    assert later == [1, 0.75, 0.5, 0.25]


def test_a_learning_rate_of_zero_moves_nothing_but_statistics() -> None:
    """The whole warm-up step of factor 0 is taken with that factor."""
    method = METHODS.get("bnn").from_settings({})
    assert isinstance(method, Bnn)
    trainer = _trainer(method, Recipe(epochs=1, warmup_epochs=0.5, max_steps_per_epoch=1))
    before = {name: parameter.detach().clone() for name, parameter in trainer.network.named_parameters()}
    list(trainer.fit())
    assert all(torch.equal(before[name], parameter) for name, parameter in trainer.network.named_parameters())


def test_a_report_says_what_happened() -> None:
    method = METHODS.get("xnor-net").from_settings({})
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=1), seed=0)
    (report,) = CandidateTrainer(plan, digits(), CPU).fit()
    assert 0 < report.train_accuracy < 1
    assert report.train_loss > 0
    assert 0 < report.flip_ratio < 0.5
    assert report.validation_accuracy * 360 == pytest.approx(round(report.validation_accuracy * 360))


def test_a_loss_that_is_not_finite_is_refused() -> None:
    report = epoch_report(3, train_loss=float("nan"))
    with pytest.raises(FloatingPointError, match="training diverged: the loss of epoch 3 is nan"):
        report.require_finite()
