"""RBONN (Xu et al. 2022), rule by rule."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.method import METHODS, Method, Phase, Step
from nas_service.binarization.methods.rbonn import (
    Rbonn,
    RbonnConv2d,
    RbonnState,
    bilinear_loss,
    bound_alpha,
    drelu,
    outranks,
    recurrence_of,
)
from nas_service.binarization.sign import sign
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=5, kernel_size=3, padding=1)
ALPHA = torch.tensor([0.9, 0.1, 0.5, 0.3, 0.7], dtype=torch.float64)  # A is largest at 1, then at 3
NORMS = torch.tensor([1.0, 2.0, 3.0, 9.0, 8.0], dtype=torch.float64)  # of the T = 3 smallest is 1, not 3


def _rbonn(**settings: Any) -> Rbonn:  # noqa: ANN401 - settings of any type
    method = METHODS.get("rbonn").from_settings(settings)
    assert isinstance(method, Rbonn)
    return method


def _start(method: Rbonn) -> tuple[RbonnConv2d, RbonnState]:
    """Return a layer in float64 with the alpha and ||w||_1 above, and the state of a training that begins."""
    layer = method(SHAPE).to(torch.float64)
    assert isinstance(layer, RbonnConv2d)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))
        layer.weight.mul_((NORMS / layer.weight.abs().sum((1, 2, 3))).view(-1, 1, 1, 1))
        layer.alpha.copy_(ALPHA)
    state = method.start(layer)
    assert isinstance(state, RbonnState)
    state.start_epoch(0, 1)
    return layer, state


def _images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


INPUTS, OUT_GRADIENT = _images(2, 3, 5, 5), _images(2, 5, 5, 5, seed=2)


def _backward(layer: RbonnConv2d, state: RbonnState) -> None:
    layer.zero_grad()
    outputs = layer(INPUTS)
    step = Step(layers=[layer], images=INPUTS, labels=torch.empty(0), features=outputs, logits=outputs)
    torch.stack([(outputs * OUT_GRADIENT).sum(), *state.losses(step).values()]).sum().backward()


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _task_gradient(layer: RbonnConv2d) -> Tensor:
    """Return dL_S/dw: alpha dL_S/dw^ 1[|w| <= 1], with dL_S/dw^ from an ordinary convolution with kernel alpha b."""
    alpha = layer.alpha.detach().view(-1, 1, 1, 1)
    kernel = (alpha * sign(layer.weight)).requires_grad_()
    F.conv2d(F.pad(sign(INPUTS), (1,) * 4, value=-1.0), kernel).backward(OUT_GRADIENT)
    assert kernel.grad is not None
    return alpha * kernel.grad * (layer.weight.detach().abs() <= 1)


def _move(layer: RbonnConv2d, seed: int = 5) -> None:
    """Do what an optimizer does: change every parameter."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator))


def test_ranks_are_ranks_and_not_positions_of_a_sort() -> None:
    """The released code compares argsort with the threshold, and gets [1, 0, 0, 0, 1] for these scales."""
    assert outranks(1 / ALPHA, 3).tolist() == [False, True, False, True, False]
    assert outranks(ALPHA, 3).tolist() == [True, False, False, False, True]


def test_drelu_fires_exactly_where_the_norm_is_low_and_alpha_is_low() -> None:
    layer, _ = _start(_rbonn())
    weight = layer.weight.detach()
    kept = drelu(weight, 1 / ALPHA, 0.6)
    assert torch.equal(kept[1], weight[1])
    assert torch.count_nonzero(kept) == torch.count_nonzero(weight[1]) == 27
    # Filter 3 has small alpha but large weights, 0 and 2 small weights but large alpha, 4 neither.
    assert torch.count_nonzero(drelu(weight, ALPHA, 0.6)) == 27  # as if alpha were A: filter 0
    assert torch.count_nonzero(drelu(weight, ALPHA, 0.6)[0]) == 27


@pytest.mark.parametrize(("share", "low"), [(0.0, 0), (0.39, 1), (0.4, 2), (0.6, 3), (1.0, 5)])
def test_the_threshold_is_the_whole_part_of_tau_times_the_filters(share: float, low: int) -> None:
    """T low norms, Co - T high A: the intersection of opposite orders is the smaller of the two."""
    weight = torch.arange(1.0, 6).view(-1, 1, 1, 1)
    kept = drelu(weight, torch.arange(5.0, 0, -1), share).flatten()
    count = min(low, 5 - low)
    assert kept.tolist() == [*weight.flatten().tolist()[:count], *[0.0] * (5 - count)]


def test_the_bilinear_loss_has_the_gradients_of_the_paper() -> None:
    """dG/dA_i = sum_j w_ij (A_i w_ij - b_ij) (equation 3.124), dG/dw = A (A w - b); signs are constants."""
    layer, _ = _start(_rbonn())
    weight, inverse = layer.weight.detach().requires_grad_(), (1 / ALPHA).requires_grad_()
    bilinear_loss(weight, inverse).sum().backward()
    error = (inverse.view(-1, 1, 1, 1) * weight - sign(weight)).detach()
    assert weight.grad is not None
    assert inverse.grad is not None
    # Float64 sums of 27 terms of order ten: rounding is below 1e-13.
    assert torch.allclose(weight.grad, error / ALPHA.view(-1, 1, 1, 1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(inverse.grad, (weight.detach() * error).sum((1, 2, 3)), rtol=1e-12, atol=1e-12)


def test_the_bilinear_gradients_agree_with_finite_differences() -> None:
    layer, _ = _start(_rbonn())
    weight, inverse = layer.weight.detach().requires_grad_(), (1 / ALPHA).requires_grad_()
    bilinear_loss(weight, inverse).sum().backward()
    change = 1e-5
    for parameter in (weight, inverse):
        assert parameter.grad is not None
        flat = parameter.detach().view(-1)
        for place in range(0, len(flat), 4):
            values = []
            for signed in (change, -2 * change):
                flat[place] += signed
                values.append(float(bilinear_loss(weight.detach(), inverse.detach()).sum()))
                # A sign that changed would make a jump; no weight is that close to zero.
            flat[place] += change
            expected = float(parameter.grad.view(-1)[place])
            # Exact for a quadratic but for rounding: 1e-16 * G / 1e-5, and G is about 1e3.
            assert (values[0] - values[1]) / (2 * change) == pytest.approx(expected, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("units", ["weights", "signs"])
def test_without_recurrence_it_is_a_learnt_scale_plus_lambda_g(units: str) -> None:
    """With U = 0: dL/dw = dL_S/dw + lambda dG/dw, dL/dalpha = dL_S/dalpha - lambda A^2 dG/dA, and no weight is moved."""
    layer, state = _start(_rbonn(recurrence_start=0.0, bilinear_weight=0.1, bilinear_units=units))
    _backward(layer, state)
    factor = 0.1 * (ALPHA.square() if units == "weights" else torch.ones_like(ALPHA))
    weight, column = layer.weight.detach(), (-1, 1, 1, 1)
    error = weight / ALPHA.view(column) - sign(weight)
    expected = _task_gradient(layer) + factor.view(column) * error / ALPHA.view(column)
    assert torch.allclose(_gradient(layer.weight), expected, rtol=1e-12, atol=1e-12)
    integers = F.conv2d(F.pad(sign(INPUTS), (1,) * 4, value=-1.0), sign(weight))
    task = (integers * OUT_GRADIENT).sum((0, 2, 3))
    bilinear = -factor / ALPHA.square() * (weight * error).sum((1, 2, 3))
    assert torch.allclose(_gradient(layer.alpha), task + bilinear, rtol=1e-12, atol=1e-12)
    before = layer.weight.detach().clone()
    state.end_step([layer])
    assert torch.equal(layer.weight, before)


def test_in_units_of_the_weights_the_gradient_is_the_released_one() -> None:
    """It is lambda (w - alpha b)."""
    layer, state = _start(_rbonn(bilinear_weight=0.1))
    _backward(layer, state)
    weight = layer.weight.detach()
    released = 0.1 * (weight - ALPHA.view(-1, 1, 1, 1) * sign(weight))
    assert torch.allclose(_gradient(layer.weight) - _task_gradient(layer), released, rtol=1e-9, atol=1e-12)


def test_the_recurrence_adds_u_times_drelu_of_the_weights_before_the_step() -> None:
    """w^{t+1} + U^t o DReLU(w^t, A^t): all three from before the optimizer's step (equation 3.131)."""
    layer, state = _start(_rbonn())
    with torch.no_grad():
        layer.recurrence.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]))
    _backward(layer, state)
    before = layer.weight.detach().clone()
    _move(layer)
    with torch.no_grad():
        layer.alpha.copy_(ALPHA.flip(0))
    stepped = layer.weight.detach().clone()
    state.end_step([layer])
    expected = stepped.clone()
    expected[1] += 0.2 * before[1]
    assert torch.allclose(layer.weight, expected, rtol=1e-14)
    assert torch.equal(layer.weight[[0, 2, 3, 4]], stepped[[0, 2, 3, 4]])


def test_the_recurrence_changes_no_sign() -> None:
    """It is w + U w with U >= 0. What the optimizer did in between may have."""
    layer, state = _start(_rbonn(recurrence_start=0.2))
    _backward(layer, state)
    signs = sign(layer.weight)
    state.end_step([layer])
    assert torch.equal(sign(layer.weight), signs)
    assert not torch.equal(layer.weight, _start(_rbonn())[0].weight)


@pytest.mark.parametrize(("recurrence", "norm"), [(0.2, 2.4), (2.9, 7.8), (3.0, 8.0), (50.0, 8.0)])
def test_a_filter_is_pulled_out_and_no_further(recurrence: float, norm: float) -> None:
    """Filter 1 recurs; 8 is the smallest norm that is not low."""
    layer, _ = _start(_rbonn())
    weight = layer.weight.detach()
    pulled = weight + recurrence_of(weight, 1 / ALPHA, torch.full((5,), recurrence, dtype=torch.float64), 0.6)
    expected = NORMS.clone()
    expected[1] = norm
    assert torch.allclose(pulled.abs().sum((1, 2, 3)), expected, rtol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.9, 1.0])
def test_nothing_outgrows_the_largest_filter_however_the_scales_change_their_order(share: float) -> None:
    """As printed, w + U w grows without end when they do."""
    layer, _ = _start(_rbonn())
    weight, generator = layer.weight.detach().clone(), torch.Generator().manual_seed(0)
    for _ in range(300):
        scales = torch.rand(5, dtype=torch.float64, generator=generator)
        weight += recurrence_of(weight, 1 / scales, torch.full((5,), 0.2, dtype=torch.float64), share)
    assert float(weight.abs().sum((1, 2, 3)).max()) <= 9 * (1 + 1e-9)


def test_filters_without_any_weight_stay_what_they_are() -> None:
    weight = torch.zeros(5, 1, 1, 1)
    assert torch.equal(recurrence_of(weight, 1 / ALPHA.float(), torch.full((5,), 0.2), 0.6), weight)


def test_a_filter_forced_to_small_weights_becomes_eligible_and_is_moved() -> None:
    layer, state = _start(_rbonn(recurrence_start=0.2))
    with torch.no_grad():
        layer.weight[4] *= 1e-3
        layer.alpha[4] = 1e-3
    assert torch.count_nonzero(drelu(layer.weight.detach(), 1 / layer.alpha.detach(), 0.6)[4]) == 27
    _backward(layer, state)
    before = layer.weight[4].detach().clone()
    state.end_step([layer])  # without an optimizer's step: what moves is the recurrence's doing
    assert torch.allclose(layer.weight[4], 1.2 * before, rtol=1e-14)


def test_the_gradient_of_u_is_what_the_last_recurrence_did_to_the_loss() -> None:
    """dL/dU^t = dL_S/dw^t o DReLU(w^{t-1}, A^t) summed over a filter (equation 3.136); without G, and 0 in the first step."""
    layer, state = _start(_rbonn(bilinear_weight=0.1))
    _backward(layer, state)
    assert torch.count_nonzero(_gradient(layer.recurrence)) == 0
    last = layer.weight.detach().clone()
    _move(layer)
    with torch.no_grad():
        layer.alpha.copy_(ALPHA.flip(0))  # A^t, not A^{t-1}: the largest are now 3, then 1
        layer.alpha[2] = 0.01  # and 2 before both
    state.end_step([layer])
    _backward(layer, state)
    kept = drelu(last, 1 / layer.alpha.detach(), 0.6)
    assert torch.count_nonzero(kept[1]) == 0
    assert torch.count_nonzero(kept[2]) == 27
    expected = (_task_gradient(layer) * kept).sum((1, 2, 3))
    assert torch.allclose(_gradient(layer.recurrence), expected, rtol=1e-12, atol=1e-14)
    assert float(expected[2]) != 0


def test_scales_and_recurrence_stay_non_negative_after_large_steps() -> None:
    """A = 1 / alpha too, and finite."""
    method = _rbonn(scale_lr_multiplier=1.0, recurrence_lr_multiplier=1.0)
    layer = method(SHAPE)
    assert isinstance(layer, RbonnConv2d)
    parameters = ruled_parameters(dict(layer.named_parameters()), [layer], method)
    optimizer = RuledOptimizer(parameters, OptimizerName.SGD, 1.0, weight_decay=0.1)
    steps = torch.tensor([1.0, -1, 100, 0, 0.01])
    before = layer.recurrence.detach().clone()
    layer.alpha.grad, layer.recurrence.grad = steps.clone(), steps.clone()
    optimizer.step(1.0)
    # Nesterov's first step with momentum 0.9 moves by 1.9 times the gradient; neither decays.
    assert torch.equal(layer.recurrence, (before - 1.9 * steps).abs())
    assert bool((layer.alpha >= 1e-4).all())
    assert bool(layer.alpha.reciprocal().isfinite().all())
    zero = torch.zeros(3)
    bound_alpha(zero)
    assert torch.equal(zero, torch.full((3,), 1e-4))


def test_u_learns_at_a_tenth_of_the_rate_and_neither_extra_decays() -> None:
    rules = _rbonn().rules(_rbonn()(SHAPE))
    assert rules["weight"].gradient_factor == 50
    assert rules["recurrence"].lr_multiplier == 0.1
    assert rules["alpha"].lr_multiplier == 0.02
    assert not rules["recurrence"].decays
    assert not rules["alpha"].decays


def test_evaluation_does_not_depend_on_u_or_on_gradients() -> None:
    layer, state = _start(_rbonn())
    _backward(layer, state)
    state.end_step([layer])
    layer.eval()
    before = layer(INPUTS)
    with torch.no_grad():
        layer.recurrence.fill_(7.0)
        state.backtracked.fill_(7.0)
    layer.zero_grad()
    assert torch.equal(layer(INPUTS), before)
    frozen = _rbonn().freeze(layer)
    assert frozen.scale is not None
    assert torch.equal(frozen.scale, layer.alpha)
    integers = F.conv2d(F.pad(sign(INPUTS), (1,) * 4, value=-1.0), sign(layer.weight))
    assert torch.equal(before, integers * layer.alpha.view(1, -1, 1, 1))


def test_a_new_training_starts_with_nothing_backtracked() -> None:
    """As every sample of a supernet does: what another path left behind has no effect."""
    method = _rbonn()
    layer, state = _start(method)
    _backward(layer, state)
    state.end_step([layer])
    assert torch.count_nonzero(state.backtracked) > 0
    fresh = method.start(layer)
    assert isinstance(fresh, RbonnState)
    fresh.start_epoch(0, 1)
    _backward(layer, fresh)
    assert torch.count_nonzero(_gradient(layer.recurrence)) == 0


def test_only_layers_of_the_step_are_moved() -> None:
    method = _rbonn()
    network = nn.ModuleList([method(SHAPE), method(SHAPE)]).to(torch.float64)
    state = method.start(network)
    assert isinstance(state, RbonnState)
    state.start_epoch(0, 1)
    used, other = network
    assert isinstance(used, RbonnConv2d)
    assert isinstance(other, RbonnConv2d)
    before = other.weight.detach().clone()
    _backward(used, state)
    state.end_step([used])
    assert torch.equal(other.weight, before)
    assert other.weight.grad is None
    used_half, other_half = state.backtracked.chunk(2)
    assert torch.count_nonzero(used_half) > 0
    assert torch.count_nonzero(other_half) == 0


def test_scales_begin_as_mean_magnitudes_also_after_a_stage_with_real_weights() -> None:
    layer = _rbonn()(SHAPE)
    assert isinstance(layer, RbonnConv2d)
    assert torch.equal(layer.alpha, layer.weight.abs().mean((1, 2, 3)))
    state = _rbonn().start(layer)
    with torch.no_grad():
        layer.weight.mul_(5)  # what the first stage did
    state.start_phase(Phase("train", 1), layer)
    assert torch.equal(layer.alpha, layer.weight.abs().mean((1, 2, 3)))


def _train(method: Method) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=2, max_steps_per_epoch=4), seed=3)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    for _ in trainer.fit():
        pass
    return trainer


def test_without_g_and_recurrence_it_is_rebnn_without_gamma() -> None:
    """Bit for bit, a training of two epochs from the same seed; that baseline is a plain learnt scale (test_rebnn)."""
    baseline = _train(METHODS.get("rebnn").from_settings({"gamma": "constant", "constant_gamma": 0.0}))
    neutral = _train(_rbonn(bilinear_weight=0.0, sparsity_threshold=1.0))
    expected, actual = baseline.network.state_dict(), neutral.network.state_dict()
    assert {name for name in actual if name not in expected} == {name for name in actual if name.endswith(".recurrence")}
    assert all(torch.equal(expected[key], actual[key]) for key in expected)
    for changed in (_rbonn(bilinear_weight=0.0), _rbonn(sparsity_threshold=1.0)):
        other = _train(changed).network.state_dict()
        assert not all(torch.equal(expected[key], other[key]) for key in expected)


def test_what_was_backtracked_is_in_the_checkpoint_and_u_learns() -> None:
    trainer = _train(_rbonn(recurrence_start=0.001))
    tensors = trainer.checkpoint().tensors
    assert torch.count_nonzero(tensors["state.backtracked"]) > 0
    changed = [bool((tensor != 0.001).any()) for name, tensor in tensors.items() if name.endswith("recurrence")]
    assert any(changed)


def test_the_paper_recipe_has_two_stages_and_learns_from_a_teacher_alone() -> None:
    recipe = Recipe(**Rbonn.paper_recipe)
    assert (recipe.distillation, recipe.epochs * (1 - recipe.real_weight_stage), recipe.weight_decay) == (1.0, 256, 0.0)
