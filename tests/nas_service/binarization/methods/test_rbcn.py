"""RBCN (Liu et al. 2019), rule by rule. Masks and discriminators by themselves are tested beside their own files."""

import functools
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.full_precision import FullPrecision
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Method, MethodSettings, Step
from nas_service.binarization.methods.rbcn import Rbcn, RbcnConv2d, RbcnState
from nas_service.binarization.network import binary_network
from nas_service.binarization.sign import sign, tent, tent_sign
from nas_service.export.packed import deploy, freeze_network
from nas_service.training.checkpoint import Checkpoint
from nas_service.training.engine import CandidatePlan, CandidateTrainer
from nas_service.training.optimization import RuledOptimizer, ruled_parameters
from nas_service.training.recipes import OptimizerName, Recipe
from nas_service.training.step import Backpropagation, Teacher
from nas_service.training.taps import Taps
from search_spaces.cost import BareConvCost, ConvShape, Precision, Size
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=3, out_channels=5, kernel_size=3, padding=1)
SHAPES = [
    SHAPE,
    ConvShape(in_channels=4, out_channels=4, kernel_size=5, stride=2, padding=4, dilation=2),
    ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4),
    ConvShape(in_channels=8, out_channels=3, kernel_size=1),
]
SCALES = ("spatial", "channel", "scalar")
EVERY_SCALE = pytest.mark.parametrize("scale", SCALES)
NEUTRAL: dict[str, Any] = {
    "kernel_weight": 0,
    "adversarial_weight": 0,
    "scale_learning_rate": 0,
    "alternate": False,
    "norm_pass": False,
}


def _method(**settings: Any) -> Rbcn:  # noqa: ANN401 - settings of any kind
    method = METHODS.get("rbcn").from_settings(settings)
    assert isinstance(method, Rbcn)
    return method


def _layer(shape: ConvShape = SHAPE, **settings: Any) -> RbcnConv2d:  # noqa: ANN401 - as above
    layer = _method(**settings)(shape)
    assert isinstance(layer, RbcnConv2d)
    return layer


def _student(**settings: Any) -> Network:  # noqa: ANN401 - as above
    return binary_network(SPACES.get("tiny"), tiny_genotype(), _method(**settings), GREY_8)


@functools.cache
def _teacher() -> Network:
    torch.manual_seed(5)
    return binary_network(SPACES.get("tiny"), tiny_genotype(), FullPrecision(MethodSettings()), GREY_8).eval()


def _trainer(method: Method, epochs: int, **recipe: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    fields = {"max_steps_per_epoch": 2, "batch_size": 16} | recipe
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=epochs, **fields), seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"), _teacher() if plan.needs_teacher else None)


def _trained(method: Method, epochs: int = 1, **recipe: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    trainer = _trainer(method, epochs, **recipe)
    for _ in trainer.fit():
        pass
    return trainer


def _step(network: Network, state: RbcnState, images: Tensor) -> tuple[Step, dict[str, Tensor]]:
    """Run student and teacher on `images` and return what the hooks would see."""
    with Taps(network, state.taps) as seen, Taps(_teacher(), state.taps) as shown:
        features = network.features(images)
        logits = network.classifier(features)
        with torch.no_grad():
            _teacher()(images)
        taps, real = dict(seen.outputs), dict(shown.outputs)
    labels = torch.zeros(len(images), dtype=torch.int64)
    return Step(binary_layers([network]), images, labels, features, logits, taps, real), real


def _state(network: Network, **settings: Any) -> RbcnState:  # noqa: ANN401 - as above
    state = _method(**settings).start(network)
    assert isinstance(state, RbcnState)
    return state


@EVERY_SCALE
@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "dilated-stride", "depthwise", "pointwise"])
def test_the_effective_kernel_divided_by_c_is_exactly_minus_one_or_plus_one(scale: str, shape: ConvShape) -> None:
    layer = _layer(shape, scale=scale)
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
    assert [tuple(_layer(scale=scale).factors.shape) for scale in SCALES] == [(3, 3), (5,), (1,)]


@pytest.mark.parametrize("scale", ["channel", "scalar"])
def test_without_a_spatial_c_the_output_is_an_integer_times_the_factor(scale: str) -> None:
    layer = _layer(scale=scale)
    with torch.no_grad():
        layer.factors.fill_(0.5)
    doubled = 2 * layer(values_with_zeros(2, 3, 6, 6))
    assert torch.equal(doubled, doubled.round())


@EVERY_SCALE
def test_c_starts_as_the_minimiser_of_the_kernel_loss(scale: str) -> None:
    """For one factor the mean of |W|, in every shape no change of a factor does better."""
    layer = _layer(scale=scale)
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
    layer = _layer(scale=scale).to(torch.float64)
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
    layer = _layer(scale=scale).to(torch.float64)
    weight = layer.weight.detach()

    def error(signs: Tensor, factors: Tensor) -> Tensor:
        return (weight - (factors if scale == "spatial" else factors.view(-1, 1, 1, 1)) * signs).square().sum()

    assert torch.autograd.gradcheck(
        error, (sign(weight).requires_grad_(), layer.factors.detach().clone().requires_grad_()), rtol=1e-6, atol=1e-8
    )
    torch.testing.assert_close(error(sign(weight), layer.factors.detach()), layer.kernel_error(direct=False).detach())


def test_the_direct_gradient_adds_what_the_print_leaves_out() -> None:
    printed, direct = _layer().to(torch.float64), _layer().to(torch.float64)
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
    layer = _layer(scale=scale).to(torch.float64)
    inputs, out = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 5, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out)
    weight, factors = layer.weight.detach(), layer.broadcast_factors().detach()
    effective = (sign(weight) * factors).requires_grad_()
    F.conv2d(F.pad(sign(inputs), (1,) * 4, value=-1.0), effective).backward(out)
    assert effective.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, effective.grad * factors * tent(weight), rtol=1e-10, atol=1e-12)


def test_the_losses_are_the_weighted_kernel_errors_and_the_least_squares_form() -> None:
    student = _student()
    state = _state(student, kernel_weight=0.5, adversarial_weight=0.25)
    step, _ = _step(student, state, torch.rand(4, 1, 8, 8))
    losses = state.losses(step)
    layers = [layer for layer in binary_layers([student]) if isinstance(layer, RbcnConv2d)]
    assert len(layers) == 8
    expected = torch.stack([layer.kernel_error(direct=False) for layer in layers]).sum() * 0.25
    torch.testing.assert_close(losses["kernel"], expected)
    assert state.adversary is not None
    fooled = 1 - state.adversary(step.taps).sigmoid()
    torch.testing.assert_close(losses["adversarial"], 0.25 * fooled.square().mean())
    assert set(_state(student, kernel_weight=0, adversarial_weight=0).losses(step)) == set()


def test_layers_that_took_no_part_in_a_step_add_nothing_to_the_kernel_loss() -> None:
    student = _student(adversarial_weight=0)
    state = _state(student, adversarial_weight=0)
    first, *_ = binary_layers([student])
    assert isinstance(first, RbcnConv2d)
    empty = torch.empty(0)
    loss = state.losses(Step([first], empty, empty, empty, empty))["kernel"]
    torch.testing.assert_close(loss, first.kernel_error(direct=False) * 5e-5)


@pytest.mark.parametrize("part", ["weight", "factors"])
def test_the_adversarial_loss_moves_w_and_c(part: str) -> None:
    student = _student()
    state = _state(student, kernel_weight=0)
    step, _ = _step(student, state, torch.rand(8, 1, 8, 8))
    torch.stack(list(state.losses(step).values())).sum().backward()
    first, *_ = binary_layers([student])
    gradient = getattr(first, part).grad
    assert gradient is not None
    assert torch.count_nonzero(gradient) > 0


def test_every_cell_has_a_discriminator_unless_fewer_are_asked_for() -> None:
    student = _student()
    assert _state(student).taps == ("cells.0", "cells.1")
    assert _state(student, tapped_cells=1).taps == ("cells.1",)
    for tapped in (None, 1):
        state = _state(student, tapped_cells=tapped)
        state.adversary_step(_step(student, state, torch.rand(2, 1, 8, 8))[0])  # the widths fit


def test_discriminators_learn_to_tell_teacher_from_student_and_leave_the_student_alone() -> None:
    student = _student()
    state = _state(student)
    step, _ = _step(student, state, torch.rand(16, 1, 8, 8))
    before = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    assert state.adversary is not None
    old = [parameter.clone() for parameter in state.adversary.parameters()]
    for _ in range(60):
        state.adversary_step(step)
    assert float(state.adversary.real_score) > float(state.adversary.fake_score) + 0.1
    assert all(not torch.equal(was, now) for was, now in zip(old, state.adversary.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in student.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in student.state_dict().items())


def test_the_students_step_leaves_the_discriminators_alone() -> None:
    student = _student()
    state = _state(student)
    assert state.adversary is not None
    before = [parameter.clone() for parameter in state.adversary.parameters()]
    step, _ = _step(student, state, torch.rand(4, 1, 8, 8))
    torch.stack(list(state.losses(step).values())).sum().backward()
    assert all(parameter.grad is None for parameter in state.adversary.parameters())
    assert all(torch.equal(was, now) for was, now in zip(before, state.adversary.parameters(), strict=True))


def test_discriminators_are_absent_from_the_exported_network_and_from_the_students_optimizer() -> None:
    method = _method()
    trainer = _trained(method)
    state = trainer._state
    assert isinstance(state, RbcnState)
    judged = {id(parameter) for parameter in state.parameters()}
    stepped = {id(parameter) for group in trainer._optimizer.inner.param_groups for parameter in group["params"]}
    assert judged
    assert not judged & stepped
    frozen = freeze_network(trainer.network, method)
    assert not any("adversar" in name or "weight_sign" in name for name in frozen.state_dict())
    assert {id(parameter) for parameter in trainer.network.parameters()}.isdisjoint(judged)


def test_logits_do_not_need_the_teacher() -> None:
    method = _method()
    trainer = _trained(method)
    alone = _student()
    alone.load_state_dict(trainer.network.state_dict())
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(trainer.network.eval()(images), alone.eval()(images))


def test_w_moves_first_and_c_afterwards_with_w_fixed() -> None:
    """In the first turn C has no step, in the second W has none and C's gradient is that of the moved W."""
    torch.manual_seed(0)
    student = _student(adversarial_weight=0)
    method = _method(adversarial_weight=0)
    layers = binary_layers([student])
    parameters = ruled_parameters(dict(student.named_parameters()), layers, method)
    optimizer = RuledOptimizer(parameters, OptimizerName.SGD, 0.1, 0.0)
    assert optimizer.turns == (0, 1)
    seen: list[tuple[Tensor, Tensor]] = []
    first = layers[0]
    assert isinstance(first, RbcnConv2d)

    class _Watched(RbcnState):
        def losses(self, step: Step) -> dict[str, Tensor]:
            assert isinstance(first, RbcnConv2d)
            seen.append((first.weight.detach().clone(), first.factors.detach().clone()))
            return super().losses(step)

    state = _Watched(method.settings, {}, None)
    student.train()
    Backpropagation(student, layers, state).step(torch.rand(8, 1, 8, 8), torch.arange(8), optimizer, 1.0)
    (weight_0, factors_0), (weight_1, factors_1) = seen
    assert torch.equal(factors_0, factors_1)
    assert not torch.equal(weight_0, weight_1)
    assert torch.equal(first.weight, weight_1)
    assert not torch.equal(first.factors, factors_1)


def test_c_steps_at_its_own_rate_and_never_decays() -> None:
    rule = _method(scale_learning_rate=0.25).rules(_layer())["factors"]
    assert (rule.lr_multiplier, rule.decays, rule.turn) == (0.25, False, 1)
    assert _method(alternate=False).rules(_layer())["factors"].turn == 0


def test_the_pass_after_an_epoch_changes_batch_norms_alone() -> None:
    """Trainings with and without the pass agree after one epoch in everything but batch norms and their statistics."""
    without, with_pass = _trained(_method(norm_pass=False)), _trained(_method())
    norms = {name for name, module in with_pass.network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    first, second = without.network.state_dict(), with_pass.network.state_dict()
    moved = {name.rpartition(".")[0] for name in first if not torch.equal(first[name], second[name])}
    assert moved == norms
    trained = dict(with_pass.network.named_parameters())
    assert any(not torch.equal(first[f"{name}.weight"], trained[f"{name}.weight"]) for name in norms)
    states = without._state.state_dict(), with_pass._state.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class _TentSigns(Method):
    """The baseline: bare signs of both operands with Bi-Real Net's tent as gradient, no factor, no loss of its own."""

    summary = reference = ""
    settings_model = MethodSettings

    @property
    def precision(self) -> Precision:
        return Precision(weight_bits=1, activation_bits=1)

    def __call__(self, shape: ConvShape) -> BinaryConv2d:
        return BinaryConv2d(shape, weight_sign=tent_sign, activation_sign=tent_sign)

    def freeze(self, layer: BinaryConv2d) -> FrozenConv:
        raise NotImplementedError


@EVERY_SCALE
def test_with_weights_of_zero_and_c_of_one_it_is_bare_signs_with_a_tent_bit_for_bit(scale: str) -> None:
    bare, neutral = _trainer(_TentSigns(MethodSettings()), 2), _trainer(_method(scale=scale, **NEUTRAL), 2)
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
    zero = _trained(_method(**NEUTRAL)).network.state_dict()
    some = _trained(_method(**NEUTRAL | {weight: 1.0})).network.state_dict()
    assert any(not torch.equal(zero[name], some[name]) for name in zero)


def test_c_is_fitted_anew_after_a_stage_with_real_weights() -> None:
    method = _method(**NEUTRAL)
    trainer = _trainer(method, 2, real_weight_stage=0.5, learning_rate=0.05)
    reports = trainer.fit()
    next(reports)
    stale = [layer.factors.clone() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    best = [layer.best_factors() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    next(reports)
    now = [layer.factors.detach() for layer in binary_layers([trainer.network]) if isinstance(layer, RbcnConv2d)]
    assert all(torch.equal(fit, new) for fit, new in zip(best, now, strict=True))
    assert any(not torch.equal(old, new) for old, new in zip(stale, now, strict=True))


def test_a_teacher_is_needed_for_the_adversarial_loss_alone() -> None:
    assert _method().needs_teacher
    assert _method(prune=0.5).needs_teacher
    assert not _method(adversarial_weight=0).needs_teacher


@EVERY_SCALE
@pytest.mark.parametrize("prune", [None, 0.5])
@pytest.mark.parametrize("shape", SHAPES, ids=["dense", "dilated-stride", "depthwise", "pointwise"])
def test_the_declared_size_is_the_frozen_ones_to_the_byte(shape: ConvShape, prune: float | None, scale: str) -> None:
    method = _method(scale=scale, prune=prune)
    frozen = method.freeze(method(shape))
    floats = [tensor for tensor in (frozen.scale, frozen.kernel_scale) if tensor is not None]
    size = frozen.bits.numel() + sum(4 * tensor.numel() for tensor in floats)
    assert size == BareConvCost(method.precision)(shape, Size(9, 9)).packed_bytes
    assert frozen.gather is None


# Pruning.


def test_pruning_is_a_second_phase() -> None:
    phases = _method(prune=0.3, pruning_epochs=0.25).phases(8)
    assert [(phase.name, phase.epochs) for phase in phases] == [("train", 6), ("prune", 2)]
    assert [(phase.name, phase.epochs) for phase in _method().phases(8)] == [("train", 8)]
    with pytest.raises(ValueError, match="at least 2 epochs"):
        _method(prune=0.3).phases(1)


def test_depthwise_layers_have_no_mask_and_others_have_one_only_where_filters_are_pruned() -> None:
    assert _layer(SHAPES[2], prune=0.5).mask is None
    assert _layer(prune=0.5).mask is not None
    assert _layer().mask is None


@EVERY_SCALE
@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[1], SHAPES[3]], ids=["dense", "dilated-stride", "pointwise"])
def test_a_pruned_frozen_layer_is_smaller_and_equals_the_masked_live_one(shape: ConvShape, scale: str) -> None:
    method = _method(scale=scale, prune=0.5)
    layer = method(shape).eval()
    assert isinstance(layer, RbcnConv2d)
    assert layer.mask is not None
    kept = [0, 2]
    with torch.no_grad():
        layer.mask.values.copy_(torch.linspace(-0.8, 1.2, shape.out_channels))
        layer.mask.pruned.fill_(True)  # noqa: FBT003 - torch's own signature
        layer.mask.pruned[kept] = False
    inputs = values_with_zeros(3, shape.in_channels, 9, 9, seed=2)
    frozen = method.freeze(layer)
    assert frozen.filters == 2
    assert frozen.bits.numel() == -(-2 * shape.fan_in // 8)
    live, deployed = layer(inputs), deploy(frozen)(inputs)
    torch.testing.assert_close(deployed, live, rtol=1e-5, atol=1e-5)  # sums of at most 100 floats of about 1, rounded to 2^-24
    if scale != "spatial":
        assert torch.equal(deployed, live)
    silent = [index for index in range(shape.out_channels) if index not in kept]
    assert torch.count_nonzero(live[:, silent]) == torch.count_nonzero(deployed[:, silent]) == 0
    assert all(torch.count_nonzero(live[:, index]) > 0 for index in kept)


def _pruning_step(**settings: Any) -> tuple[Network, RbcnState, Step]:  # noqa: ANN401 - as above
    torch.manual_seed(1)
    method = _method(prune=0.4, **settings)
    student = binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8).train()
    state = method.start(student)
    assert isinstance(state, RbcnState)
    state.start_phase(method.phases(4)[1], student)
    state.start_epoch(2, 4)
    return student, state, _step(student, state, torch.rand(8, 1, 8, 8))[0]


def _all_masks(network: nn.Module) -> list[Tensor]:
    return [layer.mask() for layer in binary_layers([network]) if isinstance(layer, RbcnConv2d) and layer.mask is not None]


def test_the_data_loss_is_half_the_mean_squared_distance_to_the_logits_before_pruning() -> None:
    _, state, step = _pruning_step(data_weight=3.0)
    state.adversary_step(step)
    torch.manual_seed(1)
    untouched = _student(prune=0.4).eval()
    with torch.no_grad():
        before = untouched(step.images)
    expected = 3.0 * (before - step.logits).square().sum() / 16
    torch.testing.assert_close(state.losses(step)["data"], expected)


def test_the_baseline_stays_as_it_was_when_pruning_began() -> None:
    student, state, _ = _pruning_step()
    assert state.pruning is not None
    before = {name: tensor.clone() for name, tensor in state.pruning.baseline.state_dict().items()}
    assert all(torch.equal(before[name], tensor) for name, tensor in student.named_parameters())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(1)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.pruning.baseline.state_dict().items())


@pytest.mark.parametrize("adversarial_weight", [0.0, 1.0])
def test_masks_follow_the_data_and_adversarial_losses_alone(adversarial_weight: float) -> None:
    """The task's loss and the kernel loss do not reach them; without momentum or l1 one step is minus eta times the gradient."""
    student, state, step = _pruning_step(adversarial_weight=adversarial_weight, mask_sparsity=0, mask_learning_rate=1)
    state.adversary_step(step)
    losses = state.losses(step)
    layers = [layer for layer in binary_layers([student]) if isinstance(layer, RbcnConv2d)]
    leaves = [layer.mask.leaf for layer in layers if layer.mask is not None and layer.mask.leaf is not None]
    total = losses["data"] + (losses["adversarial"] if adversarial_weight else 0)
    expected = torch.autograd.grad(total, leaves, retain_graph=True)
    (F.cross_entropy(step.logits, step.labels) + torch.stack(list(losses.values())).sum()).backward()
    state.end_step(layers)
    moved = _all_masks(student)
    assert len(moved) == len(expected) == 8
    assert any(torch.count_nonzero(gradient) > 0 for gradient in expected)
    for mask, gradient in zip(moved, expected, strict=True):
        torch.testing.assert_close(mask, 1 - gradient)


def test_masks_stay_put_where_the_weights_are_fixed() -> None:
    """In the pass for batch norms the forward pass uses M_k, as evaluation does, not the point y_k that training runs at."""
    layer = _layer(prune=0.5).train()
    assert layer.mask is not None
    layer.mask.learning = True
    layer.mask.point.fill_(2)
    inputs = values_with_zeros(2, 3, 5, 5)
    moving = layer(inputs)
    layer.weight.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    fixed = layer(inputs)
    assert torch.equal(fixed, layer.eval()(inputs))
    torch.testing.assert_close(moving, 2 * fixed)


def test_the_pruning_phase_has_discriminators_of_its_own_that_doubt() -> None:
    student, state, step = _pruning_step()
    of_teacher, of_baseline = state.adversaries.values()
    assert state.adversary is of_baseline
    before = {name: tensor.clone() for name, tensor in of_teacher.state_dict().items()}
    untouched = _pruning_step()[1].adversary
    state.adversary_step(step)
    assert all(torch.equal(before[name], tensor) for name, tensor in of_teacher.state_dict().items())
    assert state.pruning is not None
    assert untouched is not None
    real = state.pruning.watch(step.images, state.taps)
    untouched.ascend(real, step.taps, doubt=True)
    assert all(torch.equal(one, other) for one, other in zip(untouched.parameters(), state.adversary.parameters(), strict=True))
    assert set(state.optimizers()) == {"teacher", "baseline"}
    del student


def test_the_wanted_share_is_exactly_zero_at_the_end_and_the_frozen_network_is_smaller() -> None:
    method = _method(prune=0.4, adversarial_weight=0.1, mask_learning_rate=0.01)
    trainer = _trainer(method, 4, max_steps_per_epoch=3)
    removed = [report.extra.get("pruned_filters") for report in trainer.fit()]
    masks = _all_masks(trainer.network)
    total = sum(len(mask) for mask in masks)
    gone = sum(int((mask == 0).sum()) for mask in masks)
    assert removed == [None, None, gone, gone]
    assert gone == round(0.4 * total)
    assert all(int(torch.count_nonzero(mask)) >= 1 for mask in masks)
    assert all(bool((mask[mask != 0] != 1).any()) for mask in masks)
    frozen = freeze_network(trainer.network, method)
    images = torch.rand(5, 1, 8, 8)
    with torch.no_grad():  # eight layers of 1e-5 each
        torch.testing.assert_close(frozen(images), trainer.network.eval()(images), rtol=1e-4, atol=1e-4)
    bits = [
        sum(value.numel() for name, value in part.state_dict().items() if name.endswith("bits"))
        for part in (frozen, freeze_network(_student(), _method()))
    ]
    assert bits[0] < bits[1]


def test_pruned_filters_put_out_zeros_before_the_next_batch_norm() -> None:
    trainer = _trained(_method(prune=0.5, adversarial_weight=0), epochs=2)
    network = trainer.network.eval()
    layers = [layer for layer in binary_layers([network]) if isinstance(layer, RbcnConv2d)]
    outputs: dict[int, Tensor] = {}
    for index, layer in enumerate(layers):
        layer.register_forward_hook(lambda _, __, output, index=index: outputs.__setitem__(index, output))
    with torch.no_grad():
        network(torch.rand(3, 1, 8, 8))
    silent = 0
    for index, layer in enumerate(layers):
        assert layer.mask is not None
        silent += int(layer.mask.pruned.sum())
        assert torch.count_nonzero(outputs[index][:, layer.mask.pruned]) == 0
    assert silent > 0


def test_an_average_of_the_network_is_pruned_as_well() -> None:
    trainer = _trained(_method(prune=0.4, adversarial_weight=0), epochs=4, ema_decay=0.9)
    masks = _all_masks(trainer.network)
    assert sum(int((mask == 0).sum()) for mask in masks) == round(0.4 * sum(len(mask) for mask in masks))


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_training_resumed_before_or_while_pruning_equals_the_uninterrupted_one(done: int) -> None:
    method = _method(prune=0.4)
    whole = _trained(method, epochs=4)
    interrupted = _trainer(method, 4)
    reports = interrupted.fit()
    for _ in range(done):
        next(reports)
    resumed = _trainer(method, 4)
    resumed.restore(Checkpoint.from_bytes(interrupted.checkpoint().to_bytes()))
    assert len(list(resumed.fit())) == 4 - done
    for expected, actual in ((whole.network, resumed.network), (whole._state, resumed._state)):
        state = actual.state_dict()
        assert all(torch.equal(tensor, state[name]) for name, tensor in expected.state_dict().items())


def test_a_teacher_without_gradients_serves_a_whole_step() -> None:
    """What the trainer does, with the two turns: the teacher's weights stay."""
    before = {name: tensor.clone() for name, tensor in _teacher().state_dict().items()}
    _trained(_method())
    assert all(torch.equal(before[name], tensor) for name, tensor in _teacher().state_dict().items())
    assert Teacher(_teacher())(torch.rand(2, 1, 8, 8)).grad_fn is None


@EVERY_SCALE
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_dtypes_work(dtype: torch.dtype, scale: str) -> None:
    layer = _layer(scale=scale, prune=0.5).to(dtype)
    assert layer(torch.randn(2, 3, 5, 5, dtype=dtype)).dtype == dtype
