"""RBCN (Liu et al. 2019), rule by rule. Masks and discriminators by themselves are tested beside their own files."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import Method, MethodFacts, MethodSettings, Step
from nas_service.binarization.methods.rbcn import RbcnConv2d, RbcnState
from nas_service.binarization.sign import sign, tent, tent_sign
from nas_service.recipes.recipe import OptimizerName
from nas_service.training.step.backpropagation import Backpropagation, Teacher
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import BareConvCost, ConvShape, Precision, Size
from tests.nas_service.binarization.methods.rbcn_cases import (
    EVERY_SCALE,
    NEUTRAL,
    SCALES,
    SHAPES,
    forward_step,
    make_layer,
    make_method,
    make_state,
    make_student,
    make_teacher,
    make_trainer,
    train,
)
from tests.samples import values_with_zeros


@EVERY_SCALE
@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "dilated-stride", "depthwise", "pointwise"])
def test_the_effective_kernel_divided_by_c_is_exactly_minus_one_or_plus_one(scale: str, shape: ConvShape) -> None:
    layer = make_layer(shape, scale=scale)
    with torch.no_grad():
        layer.weight.copy_(values_with_zeros(*layer.weight.shape))
        layer.factors.copy_(torch.rand_like(layer.factors) + 0.5)
    inputs = values_with_zeros(2, shape.in_channels, 9, 9, seed=1)
    kernel = layer.kernel() * (1 if scale == "spatial" else layer.broadcast_factors())
    ratio = kernel / layer.broadcast_factors()
    assert set(ratio.unique().tolist()) == {-1.0, 1.0}
    padded = F.pad(sign(inputs), (shape.padding,) * 4, value=-1.0)
    expected = F.conv2d(padded, kernel, stride=shape.stride, dilation=shape.dilation, groups=shape.groups)
    torch.testing.assert_close(layer(inputs), expected, rtol=1e-5, atol=1e-5)  # sums of at most 100 floats of about 1


def test_c_has_the_declared_shape_and_shares_a_factor_as_it_says() -> None:
    assert [tuple(make_layer(scale=scale).factors.shape) for scale in SCALES] == [(3, 3), (5,), (1,)]


@pytest.mark.parametrize("scale", ["channel", "scalar"])
def test_without_a_spatial_c_the_output_is_an_integer_times_the_factor(scale: str) -> None:
    layer = make_layer(scale=scale)
    with torch.no_grad():
        layer.factors.fill_(0.5)
    doubled = 2 * layer(values_with_zeros(2, 3, 6, 6))
    assert torch.equal(doubled, doubled.round())


@EVERY_SCALE
def test_c_starts_as_the_minimiser_of_the_kernel_loss(scale: str) -> None:
    """For one factor the mean of |W|, in every shape no change of a factor does better."""
    layer = make_layer(scale=scale)
    if scale == "scalar":
        assert float(layer.factors.detach()) == pytest.approx(float(layer.weight.detach().abs().mean()), rel=1e-6)
    best = layer.kernel_error(direct=False)
    for place in range(layer.factors.numel()):
        for change in (1e-2, -1e-2):
            with torch.no_grad():
                layer.factors.view(-1)[place] += change
                assert layer.kernel_error(direct=False) > best
                layer.factors.view(-1)[place] -= change


@EVERY_SCALE
def test_the_kernel_loss_has_the_printed_gradients(scale: str) -> None:
    """-lambda (W - C o W^) o C times the tent for W, -lambda sum (W - C o W^) o W^ for C; lambda = 2 here."""
    layer = make_layer(scale=scale).to(torch.float64)
    layer.kernel_error(direct=False).backward()
    weight, factors = layer.weight.detach(), layer.broadcast_factors().detach()
    rest = weight - factors * sign(weight)
    assert layer.weight.grad is not None
    assert layer.factors.grad is not None
    torch.testing.assert_close(layer.weight.grad, -2 * rest * factors * tent(weight), rtol=1e-12, atol=1e-15)
    terms = -2 * rest * sign(weight)
    sums = terms.sum((0, 1)) if scale == "spatial" else terms.sum((1, 2, 3)) if scale == "channel" else terms.sum().view(1)
    torch.testing.assert_close(layer.factors.grad, sums, rtol=1e-10, atol=1e-13)


@EVERY_SCALE
def test_the_kernel_loss_gradients_agree_with_finite_differences(scale: str) -> None:
    """Of ||W - C o B||^2 with B and C free; quadratic, so central differences are exact up to rounding."""
    layer = make_layer(scale=scale).to(torch.float64)
    weight = layer.weight.detach()

    def error(signs: Tensor, factors: Tensor) -> Tensor:
        return (weight - (factors if scale == "spatial" else factors.view(-1, 1, 1, 1)) * signs).square().sum()

    assert torch.autograd.gradcheck(
        error, (sign(weight).requires_grad_(), layer.factors.detach().clone().requires_grad_()), rtol=1e-6, atol=1e-8
    )
    torch.testing.assert_close(error(sign(weight), layer.factors.detach()), layer.kernel_error(direct=False).detach())


def test_the_direct_gradient_adds_what_the_print_leaves_out() -> None:
    printed, direct = make_layer().to(torch.float64), make_layer().to(torch.float64)
    direct.load_state_dict(printed.state_dict())
    printed.kernel_error(direct=False).backward()
    direct.kernel_error(direct=True).backward()
    weight = printed.weight.detach()
    assert printed.weight.grad is not None
    assert direct.weight.grad is not None
    missing = 2 * (weight - printed.factors.detach() * sign(weight))
    torch.testing.assert_close(direct.weight.grad - printed.weight.grad, missing, rtol=1e-10, atol=1e-12)


@EVERY_SCALE
def test_the_task_gradient_is_c_times_the_tent_times_that_of_the_effective_kernel(scale: str) -> None:
    layer = make_layer(scale=scale).to(torch.float64)
    inputs, out = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 5, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out)
    weight, factors = layer.weight.detach(), layer.broadcast_factors().detach()
    effective = (sign(weight) * factors).requires_grad_()
    F.conv2d(F.pad(sign(inputs), (1,) * 4, value=-1.0), effective).backward(out)
    assert effective.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, effective.grad * factors * tent(weight), rtol=1e-10, atol=1e-12)


def test_the_losses_are_the_weighted_kernel_errors_and_the_least_squares_form() -> None:
    student = make_student()
    state = make_state(student, kernel_weight=0.5, adversarial_weight=0.25)
    step, _ = forward_step(student, state, torch.rand(4, 1, 8, 8))
    losses = state.losses(step)
    layers = [layer for layer in binary_layers([student]) if isinstance(layer, RbcnConv2d)]
    assert len(layers) == 8
    expected = torch.stack([layer.kernel_error(direct=False) for layer in layers]).sum() * 0.25
    torch.testing.assert_close(losses["kernel"], expected)
    assert state.adversary is not None
    fooled = 1 - state.adversary(step.taps).sigmoid()
    torch.testing.assert_close(losses["adversarial"], 0.25 * fooled.square().mean())
    assert set(make_state(student, kernel_weight=0, adversarial_weight=0).losses(step)) == set()


def test_layers_that_took_no_part_in_a_step_add_nothing_to_the_kernel_loss() -> None:
    student = make_student(adversarial_weight=0)
    state = make_state(student, adversarial_weight=0)
    first, *_ = binary_layers([student])
    assert isinstance(first, RbcnConv2d)
    empty = torch.empty(0)
    loss = state.losses(Step([first], empty, empty, empty, empty))["kernel"]
    torch.testing.assert_close(loss, first.kernel_error(direct=False) * 5e-5)


def test_w_moves_first_and_c_afterwards_with_w_fixed() -> None:
    """In the first turn C has no step, in the second W has none and C's gradient is that of the moved W."""
    torch.manual_seed(0)
    student = make_student(adversarial_weight=0)
    method = make_method(adversarial_weight=0)
    layers = binary_layers([student])
    parameters = ruled_parameters(dict(student.named_parameters()), layers, method)
    optimizer = RuledOptimizer(parameters, OptimizerName.SGD, 0.1, 0.0)
    assert optimizer.turns == (0, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    first = layers[0]
    assert isinstance(first, RbcnConv2d)

    class _Watched(RbcnState):
        def losses(self, step: Step[RbcnConv2d]) -> dict[str, Tensor]:
            assert isinstance(first, RbcnConv2d)
            seen.append((first.weight.detach().clone(), first.factors.detach().clone()))
            return super().losses(step)

    state = _Watched(method.settings, method.layers_of(student), {}, None)
    student.train()
    Backpropagation(student, layers, state).step(torch.rand(8, 1, 8, 8), torch.arange(8), optimizer, 1.0)
    (weight_0, factors_0), (weight_1, factors_1) = seen
    assert torch.equal(factors_0, factors_1)
    assert not torch.equal(weight_0, weight_1)
    assert torch.equal(first.weight, weight_1)
    assert not torch.equal(first.factors, factors_1)


def test_c_steps_at_its_own_rate_and_never_decays() -> None:
    rule = make_method(scale_learning_rate=0.25).rules(make_layer())["factors"]
    assert (rule.lr_multiplier, rule.decays, rule.turn) == (0.25, False, 1)
    assert make_method(alternate=False).rules(make_layer())["factors"].turn == 0


def test_the_pass_after_an_epoch_changes_batch_norms_alone() -> None:
    """Trainings with and without the pass agree after one epoch in everything but batch norms and their statistics."""
    without, with_pass = train(make_method(norm_pass=False)), train(make_method())
    norms = {name for name, module in with_pass.network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    first, second = without.network.state_dict(), with_pass.network.state_dict()
    moved = {name.rpartition(".")[0] for name in first if not torch.equal(first[name], second[name])}
    assert moved == norms
    trained = dict(with_pass.network.named_parameters())
    assert any(not torch.equal(first[f"{name}.weight"], trained[f"{name}.weight"]) for name in norms)
    states = without._state.state_dict(), with_pass._state.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class _TentSigns(Method[BinaryConv2d]):
    """The baseline: bare signs of both operands with Bi-Real Net's tent as gradient, no factor, no loss of its own."""

    layer_type = BinaryConv2d
    summary = reference = ""
    settings_model = MethodSettings

    @property
    def facts(self) -> MethodFacts:
        return MethodFacts(Precision(weight_bits=1, activation_bits=1))

    def __call__(self, shape: ConvShape) -> BinaryConv2d:
        return BinaryConv2d(shape, weight_sign=tent_sign, activation_sign=tent_sign)

    def freeze(self, layer: BinaryConv2d) -> FrozenConv:
        raise NotImplementedError


@EVERY_SCALE
def test_with_weights_of_zero_and_c_of_one_it_is_bare_signs_with_a_tent_bit_for_bit(scale: str) -> None:
    bare, neutral = make_trainer(_TentSigns(MethodSettings()), 2), make_trainer(make_method(scale=scale, **NEUTRAL), 2)
    for layer in binary_layers([neutral.network]):
        assert isinstance(layer, RbcnConv2d)
        layer.factors.data.fill_(1)
    losses = [[report.train_loss for report in trainer.fit()] for trainer in (bare, neutral)]
    assert losses[0] == losses[1]
    expected, actual = bare.network.state_dict(), neutral.network.state_dict()
    assert {name for name in actual if name not in expected} == {name for name in actual if name.endswith("factors")}
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


@pytest.mark.parametrize("weight", ["kernel_weight", "adversarial_weight"])
def test_each_extra_loss_changes_the_training(weight: str) -> None:
    zero = train(make_method(**NEUTRAL)).network.state_dict()
    some = train(make_method(**NEUTRAL | {weight: 1.0})).network.state_dict()
    assert any(not torch.equal(zero[name], some[name]) for name in zero)


def test_c_is_fitted_anew_after_a_stage_with_real_weights() -> None:
    method = make_method(**NEUTRAL)
    trainer = make_trainer(method, 2, real_weight_stage=0.5, learning_rate=0.05)
    reports = trainer.fit()
    next(reports)
    stale = [layer.factors.clone() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    best = [layer.best_factors() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    next(reports)
    now = [layer.factors.detach() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    assert all(torch.equal(fit, new) for fit, new in zip(best, now, strict=True))
    assert any(not torch.equal(old, new) for old, new in zip(stale, now, strict=True))


def test_a_teacher_is_needed_for_the_adversarial_loss_alone() -> None:
    assert make_method().facts.needs_teacher
    assert make_method(prune=0.5).facts.needs_teacher
    assert not make_method(adversarial_weight=0).facts.needs_teacher


@EVERY_SCALE
@pytest.mark.parametrize("prune", [None, 0.5])
@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "dilated-stride", "depthwise", "pointwise"])
def test_the_declared_size_is_the_frozen_ones_to_the_byte(shape: ConvShape, prune: float | None, scale: str) -> None:
    method = make_method(scale=scale, prune=prune)
    frozen = method.freeze(method(shape))
    floats = [tensor for tensor in (frozen.scale, frozen.kernel_scale) if tensor is not None]
    size = frozen.bits.numel() + sum(4 * tensor.numel() for tensor in floats)
    assert size == BareConvCost(method.facts.precision)(shape, Size(9, 9)).packed_bytes
    assert frozen.gather is None


# Pruning.


def test_a_teacher_without_gradients_serves_a_whole_step() -> None:
    """What the trainer does, with the two turns: the teacher's weights stay."""
    before = {name: tensor.clone() for name, tensor in make_teacher().state_dict().items()}
    train(make_method())
    assert all(torch.equal(before[name], tensor) for name, tensor in make_teacher().state_dict().items())
    assert Teacher(make_teacher())(torch.rand(2, 1, 8, 8)).grad_fn is None


@EVERY_SCALE
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_work(dtype: torch.dtype, scale: str) -> None:
    layer = make_layer(scale=scale, prune=0.5).to(dtype)
    assert layer(torch.randn(2, 3, 5, 5, dtype=dtype)).dtype == dtype
