"""PCNN (Gu et al. 2019), rule by rule."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Phase, Step
from nas_service.binarization.methods.pcnn import Pcnn, PcnnConv2d, PcnnState
from nas_service.binarization.network import binary_network
from nas_service.binarization.sign import clipped_sign, sign
from nas_service.errors import CannotFreezeError
from nas_service.export.packed import deploy, freeze_network
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.latent_figures import bimodality
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import BareConvCost, ConvShape, Size
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=4, out_channels=6, kernel_size=3, padding=1)
GROUPED = ConvShape(in_channels=8, out_channels=12, kernel_size=3, padding=1)  # with J = 4: 2 maps in, 3 maps out


def _pcnn(**settings: Any) -> Pcnn:  # noqa: ANN401 - settings are of many types
    method = METHODS.get("pcnn").from_settings(settings)
    assert isinstance(method, Pcnn)
    return method


def _layer(shape: ConvShape = SHAPE, **settings: Any) -> PcnnConv2d:  # noqa: ANN401 - as above
    layer = _pcnn(**settings)(shape)
    assert isinstance(layer, PcnnConv2d)
    return layer


def _elementwise(**settings: Any) -> PcnnConv2d:  # noqa: ANN401 - as above
    """Return a float64 layer of 4 projections whose products W o C lie inside and outside [-1, 1]."""
    layer = _layer(GROUPED, projections=4, forward_projection="elementwise", **settings).to(torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64))
    return layer


def _backward(layer: PcnnConv2d) -> tuple[Tensor, Tensor]:
    """Send a random delta back from a C^; return delta and C^, both (H, J, Gi, k, k)."""
    levels = layer.binary_weight()
    magnitude = layer.magnitude()
    delta = torch.randn(levels.shape, dtype=levels.dtype)
    levels.backward(delta * magnitude)  # dL/db = a dL/dC^
    planes = len(layer.projection)
    return delta.unflatten(0, (-1, planes)), (magnitude * levels.detach()).unflatten(0, (-1, planes))


def _grads(layer: PcnnConv2d) -> tuple[Tensor, Tensor]:
    assert layer.weight.grad is not None
    assert layer.projection.grad is not None
    return layer.weight.grad, layer.projection.grad


def _network(method: Pcnn) -> Network:
    return binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8)


def _trainer(epochs: int, **settings: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    recipe = Recipe(epochs=epochs, max_steps_per_epoch=3)
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), _pcnn(**settings), recipe, seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def _layers(trainer: CandidateTrainer) -> list[PcnnConv2d]:
    return [layer for layer in binary_layers([trainer.network]) if isinstance(layer, PcnnConv2d)]


def test_the_binary_kernel_is_the_nearest_of_both_levels_to_the_projected_one() -> None:
    """Brute force over Omega = {-a, a}, a the layer's mean |C|."""
    layer = _elementwise()
    latent = layer.weight.detach()
    levels = latent.abs().mean() * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    projected = latent.unsqueeze(1) * layer.projection.detach().unsqueeze(1)
    nearest = levels[(projected.unsqueeze(-1) - levels).abs().argmin(-1)]
    assert torch.equal(layer.magnitude() * layer.binary_weight().detach(), nearest.flatten(0, 1))


def test_the_mean_of_a_matrix_stands_for_it_in_the_forward_pass_of_mode_mean() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.projection.fill_(1.0)
        layer.projection[0, 0, 0] = -20.0
    assert torch.equal(layer.binary_weight(), sign(-layer.weight))
    with torch.no_grad():
        layer.projection[0, 0, 0] = -7.0
    assert torch.equal(layer.binary_weight(), sign(layer.weight))


def test_kernels_of_a_map_differ_in_mode_elementwise_and_by_their_sign_alone_in_mode_mean() -> None:
    elementwise = _layer(GROUPED, projections=4, forward_projection="elementwise").binary_weight().unflatten(0, (3, 4))
    mean = _layer(GROUPED, projections=4).binary_weight().unflatten(0, (3, 4))
    for plane in range(1, 4):
        assert not torch.equal(elementwise[:, plane].abs(), elementwise[:, plane] * elementwise[:, 0])
        assert torch.equal(mean[:, plane], mean[:, 0] * (-1) ** plane)


def test_the_layer_is_a_convolution_of_signs_times_the_mean_magnitude() -> None:
    layer = _layer()
    inputs = torch.randn(2, 4, 5, 5)
    padded = F.pad(sign(inputs), (1,) * 4, value=-1.0)
    assert torch.equal(layer(inputs), F.conv2d(padded, sign(layer.weight)) * layer.weight.abs().mean())


def test_the_gradient_reaches_the_inputs_and_c_at_the_scale_of_the_binary_kernel() -> None:
    """The delta is dL/dC^ of an ordinary convolution with C^ = a b, masked where |W o C| > 1, W = 1 here."""
    layer = _layer(projection_loss=0.0, projection_spread=0.0).to(torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, dtype=torch.float64))
    inputs = torch.randn(2, 4, 5, 5, dtype=torch.float64, requires_grad=True)
    weighting = torch.randn(2, 6, 5, 5, dtype=torch.float64)
    (layer(inputs) * weighting).sum().backward()
    kernel = (layer.magnitude() * sign(layer.weight)).requires_grad_()
    free = sign(inputs).requires_grad_()
    (F.conv2d(F.pad(free, (1,) * 4, value=-1.0), kernel) * weighting).sum().backward()
    assert inputs.grad is not None
    assert free.grad is not None
    assert kernel.grad is not None
    assert torch.allclose(inputs.grad, free.grad * (inputs.abs() <= 1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(_grads(layer)[0], kernel.grad * (layer.weight.abs() <= 1), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mode", ["mean", "elementwise"])
def test_without_lambda_the_gradient_is_the_masked_straight_through_one(mode: str) -> None:
    """Equations 3.51 and 3.55, with the full W_j in both modes."""
    layer = _elementwise(projection_loss=0.0)
    layer._settings = _pcnn(projections=4, forward_projection=mode, projection_loss=0.0).settings
    delta, _ = _backward(layer)
    latent, matrices = layer.weight.detach().unsqueeze(1), layer.projection.detach().unsqueeze(1)
    inside = ((latent * matrices).abs() <= 1).to(delta.dtype)
    assert 0 < inside.mean() < 1
    to_latent, to_projection = _grads(layer)
    assert torch.allclose(to_latent, (delta * inside * matrices).sum(1), rtol=1e-12, atol=1e-12)
    assert torch.allclose(to_projection, (delta * inside * latent).sum((0, 2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["mean", "elementwise"])
def test_the_projection_loss_gradients_match_autograd_with_delta_fixed(mode: str) -> None:
    """Equations 3.52 and 3.56, what lambda adds: the gradient of (lambda / 2) sum ||C^ - W o (C + eta delta)||^2."""
    strength, eta = 0.3, 0.7
    layer = _elementwise()
    layer._settings = _pcnn(projections=4, forward_projection=mode, projection_loss=strength, lookahead=eta).settings
    delta, binary = _backward(layer)
    latent = layer.weight.detach().clone().requires_grad_()
    projection = layer.projection.detach().clone().requires_grad_()
    products = latent.unsqueeze(1) * projection.unsqueeze(1)
    inside = (products.detach().abs() <= 1).to(delta.dtype)
    task = (delta * inside * products).sum()  # its gradients are those of 3.51 and 3.55
    lost = strength / 2 * (binary - projection.unsqueeze(1) * (latent.unsqueeze(1) + eta * delta)).square().sum()
    expected = torch.autograd.grad(task + lost, (latent, projection))
    for actual, wanted in zip(_grads(layer), expected, strict=True):
        assert torch.allclose(actual, wanted, rtol=1e-6, atol=1e-12)


def test_the_projection_loss_is_at_rest_exactly_where_the_projection_is_the_binary_kernel() -> None:
    """L_P = 0 iff C^ = W o (C + eta delta): with delta = 0 and W o C = C^ no gradient is left, and else there is one."""
    layer = _elementwise(projection_loss=1.0)
    with torch.no_grad():
        layer.projection.copy_(sign(layer.projection))
        layer.weight.copy_(2 * sign(layer.weight))  # |W o C| = 2 = a
    (layer.binary_weight() * 0).sum().backward()
    assert all(torch.count_nonzero(gradient) == 0 for gradient in _grads(layer))
    layer.zero_grad()
    with torch.no_grad():
        layer.projection[0].mul_(1.5)
    (layer.binary_weight() * 0).sum().backward()
    assert all(torch.count_nonzero(gradient) > 0 for gradient in _grads(layer))


def test_the_mean_of_the_inverted_projections_recovers_the_kernel_best() -> None:
    """Equation 3.41: x = (1 / J) sum_j w_j^-1 o x^_j minimises sum_j ||x - w_j^-1 o x^_j||^2; no element of x can do better."""
    layer = _elementwise()
    binary = (layer.magnitude() * layer.binary_weight().detach()).unflatten(0, (3, 4))
    inverted = binary / layer.projection.detach().unsqueeze(1)
    best = inverted.mean(1)

    def distance(kernel: Tensor) -> float:
        return float((kernel.unsqueeze(1) - inverted).square().sum())

    for place in range(0, best.numel(), 7):
        for change in (1e-3, -1e-3):
            other = best.clone()
            other.view(-1)[place] += change
            assert distance(other) > distance(best)


def test_the_projection_loss_makes_latent_weights_bimodal() -> None:
    """Only L_P acts here: for lambda = 0 C stays where it was, one mode; for lambda > 0 it settles around -a and +a."""
    coefficients = []
    for strength in (0.0, 0.05, 0.2):
        torch.manual_seed(0)
        layer = _layer(ConvShape(in_channels=16, out_channels=16, kernel_size=3), projection_loss=strength)
        with torch.no_grad():
            layer.weight.normal_()
        optimizer = torch.optim.SGD([layer.weight], lr=1.0)
        for _ in range(10):
            optimizer.zero_grad()
            (layer.binary_weight() * 0).sum().backward()
            optimizer.step()
        coefficients.append(bimodality([layer]))
    assert coefficients[0] < 0.4  # a normal distribution has 1/3
    assert coefficients[0] < coefficients[1] < coefficients[2]
    assert coefficients[2] > 5 / 9  # a uniform distribution


def test_an_export_drops_c_and_w() -> None:
    method = _pcnn(projections=2, forward_projection="elementwise", centre_loss=0.1)
    stored = freeze_network(_network(method), method).state_dict()
    assert not any(name.endswith(("conv.weight", "projection", "centres")) for name in stored)
    layer = _layer(GROUPED, projections=4, forward_projection="elementwise")
    frozen = deploy(method.freeze(layer)).state_dict()
    assert {name: tensor.numel() for name, tensor in frozen.items()} == {"bits": 12 * 8 * 9 // 8, "scale": 1}
    cost = BareConvCost(method.facts.precision)(GROUPED, Size(5, 5))
    assert cost.packed_bytes == sum(tensor.numel() * tensor.element_size() for tensor in frozen.values())
    assert cost.flops == 0


@pytest.mark.parametrize("mode", ["mean", "elementwise"])
@pytest.mark.parametrize(
    "shape",
    [
        GROUPED,
        ConvShape(in_channels=4, out_channels=4, kernel_size=5, stride=2, padding=4, dilation=2),
        ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4),
        ConvShape(in_channels=8, out_channels=16, kernel_size=3, padding=1, groups=2),
        ConvShape(in_channels=8, out_channels=2, kernel_size=1),
    ],
    ids=["dense", "dilated-stride", "depthwise", "grouped", "pointwise"],
)
def test_the_frozen_layer_of_several_projections_equals_the_live_one_bit_for_bit(shape: ConvShape, mode: str) -> None:
    method, layer = _pcnn(projections=4, forward_projection=mode), _layer(shape, projections=4, forward_projection=mode).eval()
    with torch.no_grad():
        layer.weight.copy_(values_with_zeros(*layer.weight.shape))
    inputs = values_with_zeros(2, shape.in_channels, 9, 9, seed=1)
    assert torch.equal(layer(inputs), deploy(method.freeze(layer))(inputs))


def test_the_ternary_stage_emits_exactly_three_values() -> None:
    """They are -a, 0 and a; 0 where |W o C| <= 0.7 a."""
    layer = _elementwise()
    layer.ternary = True
    kernel = (layer.magnitude() * layer.binary_weight().detach()).unflatten(0, (3, 4))
    magnitude = layer.weight.detach().abs().mean()
    assert torch.equal(kernel.unique(), magnitude * torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64))
    small = (layer.weight.unsqueeze(1) * layer.projection.unsqueeze(1)).abs() <= 0.7 * magnitude
    assert torch.equal(kernel == 0, small)


def test_the_ternary_stage_cannot_be_frozen() -> None:
    layer = _layer()
    layer.ternary = True
    with pytest.raises(CannotFreezeError, match="three values"):
        _pcnn().freeze(layer)


def test_a_progressive_training_is_ternary_first_and_keeps_c_but_not_w() -> None:
    trainer = _trainer(3, progressive=True, ternary_share=0.3)
    reports = trainer.fit()
    assert next(reports).phase == "ternary"
    layers = _layers(trainer)
    assert all(layer.ternary for layer in layers)
    kernels, matrices = (
        [tensor.detach().clone() for tensor in kind] for kind in zip(*((x.weight, x.projection) for x in layers), strict=True)
    )
    trainer._start_phase(Phase("binary", 2))
    assert not any(layer.ternary for layer in layers)
    assert all(torch.equal(layer.weight, old) for layer, old in zip(layers, kernels, strict=True))
    assert all(not torch.equal(layer.projection, old) for layer, old in zip(layers, matrices, strict=True))
    assert [report.phase for report in reports] == ["binary", "binary"]


def test_phases_are_one_or_two() -> None:
    assert [(phase.name, phase.epochs) for phase in _pcnn().phases(1)] == [("train", 1)]
    two = _pcnn(progressive=True, ternary_share=0.25).phases(8)
    assert [(phase.name, phase.epochs) for phase in two] == [("ternary", 2), ("binary", 6)]
    with pytest.raises(ValueError, match="2 phases, and 1 epoch"):
        _pcnn(progressive=True).phases(1)


@pytest.mark.parametrize("done", [1, 2, 3])
def test_a_resumed_progressive_training_repeats_the_uninterrupted_one(done: int) -> None:
    """Resumed at the border of the phases, inside the second, and after the end, where it must be binary."""
    settings = {
        "progressive": True,
        "ternary_share": 0.3,
        "centre_loss": 0.1,
        "projections": 2,
        "forward_projection": "elementwise",
    }
    whole = _trainer(3, **settings)
    checkpoints = [whole.checkpoint().to_bytes() for _ in whole.fit()]
    resumed = _trainer(3, **settings)
    resumed.restore(Checkpoint.from_bytes(checkpoints[done - 1]))
    assert [report.epoch for report in resumed.fit()] == list(range(done, 3))
    expected, actual = whole.checkpoint().tensors, resumed.checkpoint().tensors
    assert all(torch.equal(expected[name], actual[name]) for name in expected)
    assert not any(layer.ternary for layer in _layers(resumed))


def test_the_centre_loss_pulls_features_to_running_class_means() -> None:
    """(gamma / 2) mean ||f - f'||^2; one step moves f' from 0 by alpha sum f / (1 + n)."""
    network, method = _network(_pcnn()), _pcnn(centre_loss=0.5)
    state = method.start(network)
    assert isinstance(state, PcnnState)
    features = network.features(torch.rand(3, 1, 8, 8))
    labels = torch.tensor([1, 1, 7])
    step = Step(method.layers_of(network), torch.rand(3, 1, 8, 8), labels, features, network.classifier(features))
    assert torch.allclose(state.losses(step)["centre"], 0.25 * features.square().sum() / 3)
    state.end_step(step.layers)
    assert state.centres is not None
    assert torch.allclose(state.centres[1], (features[0] + features[1]).detach() / 6)
    assert torch.allclose(state.centres[7], features[2].detach() / 4)
    assert _pcnn().start(network).losses(step) == {}


def test_w_learns_at_a_rate_of_its_own_and_does_not_decay() -> None:
    method, layer = _pcnn(projection_learning_rate=0.25), _layer()
    optimizer = RuledOptimizer(
        ruled_parameters(dict(layer.named_parameters()), [layer], method), OptimizerName.SGD, 0.1, weight_decay=0.5
    )
    before = layer.projection.detach().clone()
    layer.projection.grad = torch.ones_like(layer.projection)
    optimizer.step(1.0)
    # Nesterov's first step with momentum 0.9 moves by 1.9 times the gradient.
    assert torch.allclose(layer.projection, before - 0.25 * 0.1 * 1.9, rtol=1e-6)


def test_real_weights_come_first_only_where_c_has_the_shape_of_the_kernel() -> None:
    assert _pcnn().facts.real_weight_stage
    assert not _pcnn(projections=2).facts.real_weight_stage
    assert not _pcnn(progressive=True).facts.real_weight_stage


def test_neutral_pcnn_equals_the_clipped_straight_through_sign_bit_for_bit() -> None:
    """Baseline: signs of weights and inputs with the gradient 1[|x| <= 1], no scale; W = 1, lambda = 0, a = mean |C| = 1.

    Same outputs, gradients and C after a step of Adam.
    """
    plain = BinaryConv2d(SHAPE, weight_sign=clipped_sign, activation_sign=clipped_sign)
    method = _pcnn(projection_loss=0.0, projection_spread=0.0)
    layer = _layer(projection_loss=0.0, projection_spread=0.0)
    with torch.no_grad():
        magnitudes = torch.tensor([0.5, 1.5]).repeat(plain.weight.numel() // 2)
        plain.weight.copy_((sign(torch.randn(len(magnitudes))) * magnitudes).view(plain.weight.shape))
        layer.weight.copy_(plain.weight)
    images, weighting = torch.randn(2, 4, 5, 5), torch.randn(2, 6, 5, 5)
    assert torch.equal(plain(images), layer(images))
    for conv, own in ((plain, None), (layer, method)):
        parameters = ruled_parameters(dict(conv.named_parameters()), [conv], own)
        optimizer = RuledOptimizer(parameters, OptimizerName.ADAM, 0.01, weight_decay=0.0)
        (conv(images) * weighting).sum().backward()
        optimizer.step(1.0)
    assert torch.equal(plain.weight, layer.weight)
    assert torch.count_nonzero(plain.weight.abs() == 1.5) == plain.weight.numel() // 2  # the mask was at work
