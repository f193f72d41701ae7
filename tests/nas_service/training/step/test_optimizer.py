"""Parameter groups and projections."""

import pytest
import torch
from torch import nn

from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import METHODS, ParameterRule
from nas_service.recipes.recipe import OptimizerName, Schedule, schedule_factor
from nas_service.training.step.optimizer import RuledOptimizer, RuledParameter, ruled_parameters
from search_spaces.cost import ConvShape


def test_rules_of_the_method_go_to_its_layers_and_the_recipe_to_the_rest() -> None:
    method = METHODS.get("bnn").from_settings({})
    layer = method(ConvShape(in_channels=2, out_channels=2, kernel_size=1))
    assert isinstance(layer, BinaryConv2d)
    model = nn.Sequential(nn.Conv2d(1, 2, 1), layer)
    rules = {ruled.name: ruled.rule for ruled in ruled_parameters(dict(model.named_parameters()), [layer], method)}
    assert rules["1.weight"].project is not None
    assert rules["1.weight"].lr_multiplier != 1
    assert rules["0.weight"] == ParameterRule()


def test_weight_decay_touches_weights_but_no_bias_and_no_batch_norm() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    parameters = ruled_parameters(dict(model.named_parameters()), [], None)
    optimizer = RuledOptimizer(parameters, OptimizerName.SGD, 1.0, weight_decay=0.5)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(1.0)
    changed = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert changed == {"0.weight"}


def test_the_factor_scales_the_step_and_gradients_are_dropped() -> None:
    weights = [nn.Parameter(torch.ones(2, 2)) for _ in range(2)]
    for weight, factor in zip(weights, (1.0, 0.25), strict=True):
        optimizer = RuledOptimizer([RuledParameter("w", weight, ParameterRule(2.0))], OptimizerName.SGD, 0.1, 0.0)
        weight.grad = torch.ones(2, 2)
        optimizer.step(factor)
        assert weight.grad is None
    assert torch.allclose((1 - weights[0]) / 4, 1 - weights[1])


@pytest.mark.parametrize("name", OptimizerName)
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_factor_on_the_gradient_trains_as_if_every_gradient_were_multiplied_before_its_decay(
    name: OptimizerName, decay: float
) -> None:
    """Float64, gradients of about 1: Adam's eps of 1e-8 is felt by 1e-8 of a step of 0.1, and there are ten."""
    ours, theirs = (nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).view(3, 4)) for _ in range(2))
    optimizer = RuledOptimizer([RuledParameter("w", ours, ParameterRule(0.5, gradient_factor=50.0))], name, 0.2, decay)
    reference = RuledOptimizer([RuledParameter("w", theirs, ParameterRule(0.5))], name, 0.2, decay)
    for step in range(10):
        gradient = torch.linspace(1, 2, 12, dtype=torch.float64).view(3, 4) * (-1) ** (step // 3)
        ours.grad, theirs.grad = gradient.clone(), 50 * gradient
        optimizer.step(1.0)
        reference.step(1.0)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_without_decay_adam_s_steps_do_not_know_the_factor_to_the_last_bit() -> None:
    weights = [nn.Parameter(torch.linspace(-1, 1, 12)) for _ in range(2)]
    for weight, factor in zip(weights, (1.0, 567.0), strict=True):
        rule = ParameterRule(gradient_factor=factor)
        optimizer = RuledOptimizer([RuledParameter("w", weight, rule)], OptimizerName.ADAM, 0.1, 0.0)
        for _ in range(3):
            weight.grad = torch.linspace(1, -2, 12)
            optimizer.step(1.0)
    assert torch.equal(weights[0], weights[1])


def test_schedules_start_at_one_and_end_at_zero_or_stay() -> None:
    assert [schedule_factor(schedule, 0.0) for schedule in Schedule] == [1, 1, 1, 1, 1]
    ends = [schedule_factor(schedule, 1.0) for schedule in (Schedule.COSINE, Schedule.LINEAR, Schedule.CONSTANT)]
    assert ends == [0, 0, 1]
    assert abs(schedule_factor(Schedule.COSINE, 0.5) - 0.5) < 1e-15
    assert schedule_factor(Schedule.EXPONENTIAL, 1.0) == pytest.approx(3e-4)  # BinaryNet: 1e-3 to 3e-7
    steps = [schedule_factor(Schedule.STEP, progress, (0.3, 0.6)) for progress in (0.29, 0.3, 0.6)]
    assert steps == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize("name", OptimizerName)
def test_a_fused_optimizer_steps_as_the_plain_one_with_its_rate_in_a_tensor(name: OptimizerName) -> None:
    """Five steps at falling rates; float32 kernels that differ in the order of multiplications: 2^-22 of a weight a step."""
    weights = [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)) for _ in range(2)]
    plain, fused = (
        RuledOptimizer([RuledParameter("w", weight, ParameterRule(0.5))], name, 0.1, 0.01, fused=fused)
        for weight, fused in zip(weights, (False, True), strict=True)
    )
    rate = fused.inner.param_groups[0]["lr"]
    for step in range(5):
        for weight, optimizer in zip(weights, (plain, fused), strict=True):
            weight.grad = torch.linspace(1, -2, 12).view(3, 4) * (step + 1)
            optimizer.step(1 / (1 + step))
    assert fused.inner.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.1 * 0.5 / 5)
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-5, atol=1e-6)
