"""ReBNN (Xu et al. 2023), rule by rule."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.frozen import FrozenConv
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import METHODS, Method, MethodFacts, MethodSettings, ParameterRule, Phase, Step
from nas_service.binarization.methods.rebnn import Rebnn, RebnnConv2d, RebnnState, next_gamma
from nas_service.binarization.sign import clipped_sign, sign, tent_sign
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.reports import EpochReport
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import ConvShape, Precision
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)
POINT = ConvShape(in_channels=1, out_channels=1, kernel_size=1)


def _rebnn(**settings: Any) -> Rebnn:  # noqa: ANN401 - settings of any type
    method = METHODS.get("rebnn").from_settings(settings)
    assert isinstance(method, Rebnn)
    return method


def _start(method: Rebnn, shape: ConvShape = SHAPE, seed: int = 0) -> tuple[RebnnConv2d, RebnnState]:
    """Return a layer in float64 with latent weights on both sides of 1, and a state whose only layer it is."""
    generator = torch.Generator().manual_seed(seed)
    layer = method(shape).to(torch.float64)
    assert isinstance(layer, RebnnConv2d)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64, generator=generator))
        layer.alpha.copy_(torch.rand(layer.alpha.shape, dtype=torch.float64, generator=generator) + 0.1)
    state = method.start(layer)
    assert isinstance(state, RebnnState)
    return layer, state


def _images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _backward(layer: RebnnConv2d, state: RebnnState, inputs: Tensor, task: Callable[[Tensor], Tensor]) -> None:
    outputs = layer(inputs)
    step = Step(layers=[layer], images=inputs, labels=torch.empty(0), features=outputs, logits=outputs)
    torch.stack([task(outputs), *state.losses(step).values()]).sum().backward()


def _gradients(layer: RebnnConv2d) -> tuple[Tensor, Tensor]:
    assert layer.weight.grad is not None
    assert layer.alpha.grad is not None
    return layer.weight.grad, layer.alpha.grad


def _binary_weight_gradient(layer: RebnnConv2d, inputs: Tensor, out_gradient: Tensor) -> Tensor:
    """Return dL_S/dw^ of an ordinary convolution with kernel w^ = alpha b."""
    kernel = (layer.alpha.view(-1, 1, 1, 1) * sign(layer.weight)).detach().requires_grad_()
    F.conv2d(F.pad(sign(inputs), (1,) * 4, value=-1.0), kernel).backward(out_gradient)
    assert kernel.grad is not None
    return kernel.grad


def _no_task(outputs: Tensor) -> Tensor:
    return 0 * outputs.sum()


def test_gamma_is_zero_exactly_where_no_weight_flipped() -> None:
    before = torch.tensor([[1.0, -1, 1, 1], [1, 1, -1, -1], [-1, -1, -1, -1]])
    after = torch.tensor([[1.0, -1, 1, 1], [1, -1, 1, -1], [-1, -1, -1, 1]])
    assert next_gamma(before, after, torch.tensor([7.0, 3.0, 2.0])).tolist() == [0, 1.5, 0.5]


def test_gamma_is_the_flipped_share_times_the_largest_gradient_at_the_binary_weight() -> None:
    """Measured over a whole step of the layer; the gradients from an ordinary convolution with kernel alpha b."""
    layer, state = _start(_rebnn())
    inputs, out_gradient = _images(2, 3, 5, 5), _images(2, 4, 5, 5, seed=2)
    before, expected_gradient = sign(layer.weight), _binary_weight_gradient(layer, inputs, out_gradient)
    _backward(layer, state, inputs, lambda outputs: (outputs * out_gradient).sum())
    with torch.no_grad():
        layer.weight[0, 0] *= -1  # 9 of 27
        layer.weight[2, 1, 0, 0] *= -1
        layer.alpha.mul_(3)  # the optimizer moves alpha too; the gradient is that of the old one
    state.end_step([layer])
    largest = expected_gradient.abs().amax((1, 2, 3))
    expected = torch.tensor([9 / 27, 0, 1 / 27, 0], dtype=torch.float64) * largest
    assert int((before != sign(layer.weight)).sum()) == 10
    assert state.gamma[1] == state.gamma[3] == 0
    assert torch.allclose(state.gamma, expected, rtol=1e-12)  # a few roundings of float64


def test_a_gradient_counts_even_where_the_latent_weight_is_beyond_one() -> None:
    """The largest |dL/dw^| is taken before the mask."""
    layer, state = _start(_rebnn(), POINT)
    with torch.no_grad():
        layer.weight.fill_(5.0)
    _backward(layer, state, torch.ones(1, 1, 1, 1, dtype=torch.float64), lambda outputs: 3 * outputs.sum())
    assert layer.largest_gradient is not None
    assert torch.allclose(layer.largest_gradient, torch.tensor([3.0], dtype=torch.float64))


def test_a_scale_of_zero_makes_no_nan() -> None:
    layer, state = _start(_rebnn())
    with torch.no_grad():
        layer.alpha[1] = 0
    _backward(layer, state, _images(2, 3, 5, 5), lambda outputs: outputs.square().sum())
    with torch.no_grad():
        layer.weight.neg_()
    state.end_step([layer])
    assert state.gamma[1] == 0
    assert bool((state.gamma[[0, 2, 3]] > 0).all())
    assert all(bool(gradient.isfinite().all()) for gradient in _gradients(layer))


def test_gamma_has_no_gradient() -> None:
    layer, state = _start(_rebnn())
    state.gamma.fill_(0.5)
    _backward(layer, state, _images(2, 3, 5, 5), lambda outputs: outputs.square().sum())
    assert not state.gamma.requires_grad
    assert list(state.parameters()) == []
    with torch.no_grad():
        layer.weight.neg_()
    state.end_step([layer])
    assert not state.gamma.requires_grad


def test_the_reconstruction_loss_has_both_gradients() -> None:
    """They are gamma (w - alpha b), and -gamma sum_j (w_j - alpha b_j) b_j with the minus."""
    layer, state = _start(_rebnn())
    gamma = torch.tensor([0.5, 0, 2, 3], dtype=torch.float64)
    state.gamma.copy_(gamma)
    _backward(layer, state, _images(2, 3, 5, 5), _no_task)
    weight_gradient, alpha_gradient = _gradients(layer)
    signs, weight = sign(layer.weight), layer.weight.detach()
    residual = weight - layer.alpha.detach().view(-1, 1, 1, 1) * signs
    # Float64 sums of 27 terms of order one: rounding is below 1e-14.
    assert torch.allclose(weight_gradient, gamma.view(-1, 1, 1, 1) * residual, rtol=1e-12, atol=1e-12)
    assert torch.allclose(alpha_gradient, -gamma * (residual * signs).sum((1, 2, 3)), rtol=1e-12, atol=1e-12)


def test_the_reconstruction_gradients_agree_with_finite_differences() -> None:
    layer, state = _start(_rebnn())
    state.gamma.copy_(torch.tensor([0.5, 1, 2, 3]))

    def loss() -> float:
        step = Step(layers=[layer], images=torch.empty(0), labels=torch.empty(0), features=torch.empty(0), logits=torch.empty(0))
        return float(state.losses(step)["reconstruction"].detach())

    _backward(layer, state, _images(2, 3, 5, 5), _no_task)
    change = 1e-5
    for parameter, gradient in zip((layer.weight, layer.alpha), _gradients(layer), strict=True):
        flat = parameter.detach().view(-1)
        for place in range(0, len(flat), 3):
            values = []
            for signed in (change, -2 * change):
                flat[place] += signed
                values.append(loss())
            flat[place] += change
            # Exact for a quadratic but for rounding: 1e-16 * |L_R| / 1e-5 = 1e-9.
            assert abs((values[0] - values[1]) / (2 * change) - float(gradient.view(-1)[place])) < 1e-7


def test_the_weight_gradient_is_equation_3_144() -> None:
    """It is alpha (dL/dw^ 1[|w| <= 1] - gamma b) + gamma w."""
    layer, state = _start(_rebnn())
    gamma = torch.tensor([0.5, 0, 2, 3], dtype=torch.float64)
    state.gamma.copy_(gamma)
    inputs, out_gradient = _images(2, 3, 5, 5), _images(2, 4, 5, 5, seed=2)
    at_binary = _binary_weight_gradient(layer, inputs, out_gradient)
    _backward(layer, state, inputs, lambda outputs: (outputs * out_gradient).sum())
    weight, alpha, gammas = layer.weight.detach(), layer.alpha.detach().view(-1, 1, 1, 1), gamma.view(-1, 1, 1, 1)
    expected = alpha * (at_binary * (weight.abs() <= 1) - gammas * sign(weight)) + gammas * weight
    assert bool((weight.abs() > 1).any())
    assert torch.allclose(_gradients(layer)[0], expected, rtol=1e-12, atol=1e-12)
    residual = weight - alpha * sign(weight)
    expected_alpha = ((at_binary - gammas * residual) * sign(weight)).sum((1, 2, 3))
    assert torch.allclose(_gradients(layer)[1], expected_alpha, rtol=1e-12, atol=1e-12)


def _flips_of_a_pushed_weight(gamma: float) -> int:
    """Return how often a scalar weight flips in 200 steps that a gradient dL/dw^ = b always drives to the other side."""
    layer, state = _start(_rebnn(gamma="constant", constant_gamma=gamma), POINT)
    with torch.no_grad():
        layer.weight.fill_(0.1)
        layer.alpha.fill_(0.1)
    flips = 0
    for _ in range(200):
        before = sign(layer.weight)
        layer.zero_grad()
        _backward(layer, state, before, torch.sum)  # y = alpha b x with x = b, so dL/dw^ = b
        with torch.no_grad():
            layer.weight.sub_(0.5 * _gradients(layer)[0])
        state.end_step([layer])
        flips += int(before != sign(layer.weight))
    return flips


def test_an_oscillating_weight_stops_flipping_when_gamma_exceeds_its_gradient() -> None:
    """The fixed point of w <- w - eta (alpha b (g - gamma) + gamma w) is alpha b (1 - g / gamma): its sign is b if gamma > g."""
    assert _flips_of_a_pushed_weight(0.0) > 50
    assert _flips_of_a_pushed_weight(0.9) > 50
    assert _flips_of_a_pushed_weight(1.1) == 0


def _noisy_regression(method: Rebnn, steps: int) -> tuple[RebnnConv2d, float]:
    """Fit a real convolution from small batches with a constant rate; return the layer and the flip share of the last half."""
    shape = ConvShape(in_channels=8, out_channels=16, kernel_size=3, padding=1)
    torch.manual_seed(0)
    layer = method(shape)
    assert isinstance(layer, RebnnConv2d)
    state = method.start(layer)
    rules = ruled_parameters(dict(layer.named_parameters()), [layer], method)
    optimizer = RuledOptimizer(rules, OptimizerName.SGD, 0.02, weight_decay=0.0)
    target = torch.randn(layer.weight.shape) * 0.1
    generator = torch.Generator().manual_seed(1)
    flips = []
    for _ in range(steps):
        inputs = torch.randn(4, 8, 6, 6, generator=generator)
        wanted = F.conv2d(sign(inputs), target, padding=1)
        outputs = layer(inputs)
        step = Step(layers=[layer], images=inputs, labels=torch.empty(0), features=outputs, logits=outputs)
        ((outputs - wanted).square().mean((0, 2, 3)).sum() + sum(state.losses(step).values())).backward()
        before = sign(layer.weight)
        optimizer.step(1.0)
        state.end_step([layer])
        flips.append(float((before != sign(layer.weight)).float().mean()))
    return layer, sum(flips[steps // 2 :])


def test_fewer_weights_flip_and_linger_near_zero_than_without_gamma() -> None:
    """A trained layer: signs settle, and fewer latent weights lie within 0.1 alpha of zero, where the next step flips them."""
    calm, calm_flips = _noisy_regression(_rebnn(), 300)
    restless, restless_flips = _noisy_regression(_rebnn(gamma="constant", constant_gamma=0.0), 300)
    assert 0 < calm_flips < restless_flips

    def near_zero(layer: RebnnConv2d) -> int:
        return int((layer.weight.abs() < 0.1 * layer.alpha.view(-1, 1, 1, 1)).sum())

    assert near_zero(calm) < near_zero(restless)


def _train(method: Method) -> tuple[CandidateTrainer, list[EpochReport]]:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), method, Recipe(epochs=2, max_steps_per_epoch=4), seed=3)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    return trainer, list(trainer.fit())


def test_every_epoch_reports_its_flips_and_its_gamma() -> None:
    _, reports = _train(_rebnn())
    assert all(report.flip_ratio > 0 for report in reports)
    assert all(report.extra["gamma"] > 0 for report in reports)


def test_the_scale_that_the_reconstruction_loss_wants_is_the_mean_magnitude() -> None:
    layer, state = _start(_rebnn(gamma="constant", constant_gamma=1.0))
    for _ in range(200):
        layer.zero_grad()
        _backward(layer, state, _images(2, 3, 5, 5), _no_task)
        with torch.no_grad():
            layer.alpha.sub_(0.02 * _gradients(layer)[1])
    # The Hessian is 27: the error shrinks by 1 - 0.02 * 27 = 0.46 a step, below rounding after 200.
    assert torch.allclose(layer.alpha, layer.weight.abs().mean((1, 2, 3)), rtol=1e-12)


def test_scales_begin_as_mean_magnitudes_also_after_a_stage_with_real_weights() -> None:
    layer = _rebnn()(SHAPE)
    assert isinstance(layer, RebnnConv2d)
    assert torch.equal(layer.alpha, layer.weight.abs().mean((1, 2, 3)))
    state = _rebnn().start(layer)
    with torch.no_grad():
        layer.weight.mul_(5)  # what the first stage did
    state.start_phase(Phase("train", 1), layer)
    assert torch.equal(layer.alpha, layer.weight.abs().mean((1, 2, 3)))


def test_scales_never_become_negative() -> None:
    method = _rebnn(scale_lr_multiplier=1.0)
    layer = method(SHAPE)
    assert isinstance(layer, RebnnConv2d)
    optimizer = RuledOptimizer(
        ruled_parameters(dict(layer.named_parameters()), [layer], method), OptimizerName.SGD, 1.0, weight_decay=0.1
    )
    layer.alpha.grad = torch.tensor([1.0, -1, 100, 0])
    before = layer.alpha.detach().clone()
    optimizer.step(1.0)
    assert torch.equal(layer.alpha, (before - 1.9 * torch.tensor([1.0, -1, 100, 0])).abs())  # Nesterov's first step; no decay
    assert bool((layer.alpha >= 0).all())


def test_scales_step_with_their_share_of_the_learning_rate_and_weights_as_without_it() -> None:
    rules = _rebnn().rules(_rebnn()(SHAPE))
    assert rules["weight"].gradient_factor == 50
    assert rules["alpha"].lr_multiplier == 0.02
    assert not rules["alpha"].decays


def test_constant_gamma_stays_the_released_one_in_units_of_our_gradient() -> None:
    layer, state = _start(_rebnn(gamma="constant"))
    for _ in range(2):
        _backward(layer, state, _images(2, 3, 5, 5), lambda outputs: outputs.square().sum())
        with torch.no_grad():
            layer.weight.neg_()
        state.end_step([layer])
    assert torch.equal(state.gamma, torch.full((4,), 2e-4 / 50, dtype=torch.float64))
    assert layer.largest_gradient is None


def test_only_layers_of_the_step_count() -> None:
    """As in a supernet: the other's gamma stays, and it has no loss."""
    method = _rebnn()
    network = nn.ModuleList([method(POINT), method(SHAPE)])
    state = method.start(network)
    assert isinstance(state, RebnnState)
    state.gamma.fill_(1.0)
    used, other = network
    assert isinstance(used, RebnnConv2d)
    _backward(used, state, torch.ones(1, 1, 1, 1), lambda outputs: outputs.sum())
    state.end_step([used])
    assert other.weight.grad is None
    assert state.gamma.tolist() == [0, 1, 1, 1, 1]


def test_gamma_is_in_the_checkpoint() -> None:
    trainer, _ = _train(_rebnn())
    gamma = trainer.checkpoint().tensors["state.gamma"]
    assert int((gamma > 0).sum()) > 0


def test_evaluation_and_the_frozen_layer_use_the_scales() -> None:
    layer = _rebnn()(SHAPE).eval()
    assert isinstance(layer, RebnnConv2d)
    inputs = torch.randn(2, 3, 5, 5)
    integers = F.conv2d(F.pad(sign(inputs), (1,) * 4, value=-1.0), sign(layer.weight))
    assert torch.equal(layer(inputs), integers * layer.alpha.view(1, -1, 1, 1))
    frozen = _rebnn().freeze(layer)
    assert frozen.scale is not None
    assert torch.equal(frozen.scale, layer.alpha)


def _make_positive(alpha: Tensor) -> None:
    alpha.abs_()


class _LearntScaleConv2d(BinaryConv2d):
    """The baseline: y = alpha conv(sign(x), sign(W)) with plain automatic gradients."""

    def __init__(self, shape: ConvShape) -> None:
        super().__init__(shape, weight_sign=clipped_sign, activation_sign=tent_sign)
        self.alpha = nn.Parameter(self.weight.detach().abs().mean((1, 2, 3)))

    def scale(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        del inputs
        return outputs * self.alpha.view(1, -1, 1, 1)


class _LearntScale(Method[_LearntScaleConv2d]):
    layer_type = _LearntScaleConv2d
    summary = reference = "the baseline of ReBNN and RBONN"
    settings_model = MethodSettings

    @property
    def facts(self) -> MethodFacts:
        return MethodFacts(Precision(weight_bits=1, activation_bits=1, scales_per_output=1))

    def __call__(self, shape: ConvShape) -> _LearntScaleConv2d:
        return _LearntScaleConv2d(shape)

    def rules(self, layer: _LearntScaleConv2d) -> dict[str, ParameterRule]:
        del layer
        return {"alpha": ParameterRule(lr_multiplier=0.02, decays=False, project=_make_positive)}

    def freeze(self, layer: _LearntScaleConv2d) -> FrozenConv:
        raise NotImplementedError


def test_without_gamma_it_is_a_learnt_scale_with_clipped_straight_through_weights() -> None:
    """Bit for bit, a training of two epochs from the same seed."""
    baseline, _ = _train(_LearntScale(MethodSettings()))
    neutral, _ = _train(_rebnn(gamma="constant", constant_gamma=0.0))
    expected, actual = baseline.network.state_dict(), neutral.network.state_dict()
    assert expected.keys() == actual.keys()
    assert all(torch.equal(expected[key], actual[key]) for key in expected)
    flipping, _ = _train(_rebnn())
    assert not all(torch.equal(expected[key], tensor) for key, tensor in flipping.network.state_dict().items())


def test_the_paper_recipe_has_two_stages_and_learns_from_a_teacher_alone() -> None:
    recipe = Recipe(**Rebnn.paper_recipe)
    assert (recipe.distillation, recipe.epochs * (1 - recipe.real_weight_stage), recipe.weight_decay) == (1.0, 256, 0.0)
