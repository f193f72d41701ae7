"""MCN (Wang et al. 2018), rule by rule."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Phase, Step
from nas_service.binarization.methods.mcn import Mcn, McnConv2d, McnState
from nas_service.binarization.network import binary_network
from nas_service.binarization.sign import identity_sign, sign
from nas_service.export.packed import deploy
from nas_service.recipes.recipe import OptimizerName, Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.state.checkpoint import Checkpoint
from nas_service.training.step.optimizer import RuledOptimizer, ruled_parameters
from search_spaces.cost import BareConvCost, ConvShape, Size
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=8, out_channels=12, kernel_size=3, padding=1)  # 2 maps in, 3 maps out, 4 planes
ONE_MAP = ConvShape(in_channels=3, out_channels=5, kernel_size=3, padding=1)  # no common divisor with 4: one plane


def _mcn(**settings: Any) -> Mcn:  # noqa: ANN401 - settings are of many types
    method = METHODS.get("mcn").from_settings(settings)
    assert isinstance(method, Mcn)
    return method


def _layer(shape: ConvShape = SHAPE, **settings: Any) -> McnConv2d:  # noqa: ANN401 - as above
    layer = _mcn(**settings)(shape)
    assert isinstance(layer, McnConv2d)
    return layer


def _network(method: Mcn) -> Network:
    return binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8)


def _state(network: nn.Module, phase: str, **settings: Any) -> McnState:  # noqa: ANN401 - as above
    state = _mcn(**settings).start(network)
    assert isinstance(state, McnState)
    state.start_phase(Phase(phase, 1), network)
    return state


def _step(network: Network, labels: Tensor) -> Step:
    images = torch.rand(len(labels), 1, 8, 8, generator=torch.Generator().manual_seed(0))
    features = network.features(images)
    return Step(binary_layers([network]), images, labels, features, network.classifier(features))


def _trainer(epochs: int, optimizer: OptimizerName = OptimizerName.ADAM, **settings: Any) -> CandidateTrainer:  # noqa: ANN401 - as above
    recipe = Recipe(epochs=epochs, max_steps_per_epoch=3, optimizer=optimizer)
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), _mcn(**settings), recipe, seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def _kernel_gradient(layer: McnConv2d) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run a random dL/dQ through `kernel`; return it as (H, K, Gi, k, k) with dL/dC^ of L_S, C and C^."""
    out_gradient = torch.randn(12, 8, 3, 3, dtype=torch.float64)
    layer.kernel().backward(out_gradient)
    through = out_gradient.unflatten(0, (3, 4))
    latent = layer.weight.detach()
    to_binary = (through * layer.modulation.detach().unsqueeze(1)).sum(1)
    return through, to_binary, latent, latent.abs().mean() * sign(latent)


def test_planes_of_a_filter_differ_by_the_ratio_of_m_alone() -> None:
    """weight[h, j, c] / weight[h, j', c] = M_j / M_j', whatever h, c and the sign."""
    layer = _layer().to(torch.float64)
    kernel = layer.kernel().detach().unflatten(0, (3, 4))
    modulation = layer.modulation.detach()
    for plane in range(4):
        ratio = kernel[:, plane] / kernel[:, 0]
        assert torch.allclose(ratio, (modulation[plane] / modulation[0]).expand_as(ratio), rtol=1e-12)
    assert not torch.allclose(kernel[:, 1], kernel[:, 0])


def test_without_modulation_all_outputs_of_a_map_coincide() -> None:
    layer = _layer(modulation_spread=0.0)
    assert torch.equal(layer.modulation, torch.ones(4, 3, 3))
    outputs = layer(torch.randn(2, 8, 5, 5)).unflatten(1, (3, 4))
    assert torch.equal(outputs, outputs[:, :, :1].expand_as(outputs))


@pytest.mark.parametrize(("mcn1", "floats"), [(False, 4 * 9), (True, 4)])
def test_a_layer_keeps_one_bit_a_filter_weight_and_one_float_a_position_or_plane(floats: int, *, mcn1: bool) -> None:
    method, layer = _mcn(mcn1=mcn1), _layer(mcn1=mcn1)
    stored = deploy(method.freeze(layer)).state_dict()
    assert set(stored) == {"bits", "kernel_scale"}
    assert stored["bits"].numel() * 8 == 3 * 8 * 9
    assert stored["kernel_scale"].numel() == floats
    cost = BareConvCost(method.facts.precision)(SHAPE, Size(5, 5))
    assert (cost.binary_parameters, cost.float_parameters, cost.bops) == (3 * 8 * 9, floats, 0)
    assert cost.packed_bytes == sum(tensor.numel() * tensor.element_size() for tensor in stored.values())


def test_mcn1_has_one_factor_for_all_positions_of_a_plane() -> None:
    kernel = _layer(mcn1=True).kernel().detach().abs().unflatten(0, (3, 4))
    assert torch.equal(kernel, kernel[:1, :, :1, :1, :1].expand_as(kernel))
    assert len(kernel[0, :, 0, 0, 0].unique()) == 4


def test_the_filter_loss_is_the_sum_over_filters_and_planes() -> None:
    network = _network(_mcn())
    state = _state(network, "train", filter_loss=0.5)
    step = _step(network, torch.arange(4))
    expected = 0.0
    for layer in step.layers:
        assert isinstance(layer, McnConv2d)
        latent = layer.weight.detach()
        binary = latent.abs().mean() * sign(latent)
        expected += sum(float((latent - binary * plane).square().sum()) for plane in layer.modulation.detach())
    # float32 sums of a few thousand terms in another order
    assert float(state.losses(step)["filter"].detach()) == pytest.approx(0.25 * expected, rel=1e-5)


def test_the_filter_losses_gradient_at_m_is_the_papers_and_that_of_finite_differences() -> None:
    """dL_M/dM_j = -theta sum_i (C_i - C^_i o M_j) o C^_i, here with theta = 2."""
    layer = _layer().to(torch.float64)
    layer.filter_distance().backward()
    latent = layer.weight.detach()
    binary = latent.abs().mean() * sign(latent)
    modulation = layer.modulation.detach()
    expected = -2 * ((latent.unsqueeze(1) - binary.unsqueeze(1) * modulation.unsqueeze(1)) * binary.unsqueeze(1)).sum((0, 2))
    gradient = layer.modulation.grad
    assert gradient is not None
    assert torch.allclose(gradient, expected, rtol=1e-6)
    values = []
    for change in (1e-4, -1e-4):
        with torch.no_grad():
            layer.modulation[1, 2, 0] += change
            values.append(layer.filter_distance())
            layer.modulation[1, 2, 0] -= change
    # Central differences of a quadratic are exact up to rounding: about 1e-15 / 1e-4.
    assert float((values[0] - values[1]) / 2e-4) == pytest.approx(float(gradient[1, 2, 0]), rel=1e-6)


def test_the_filter_loss_reaches_c_through_its_binary_form() -> None:
    """dL_M/dC^_i = -theta sum_j (C_i - C^_i o M_j) o M_j, applied to C; here with theta = 2 and no step ahead."""
    layer = _layer(lookahead=0.0).to(torch.float64)
    layer.filter_distance().backward()
    latent, modulation = layer.weight.detach(), layer.modulation.detach().unsqueeze(1)
    binary = (latent.abs().mean() * sign(latent)).unsqueeze(1)
    expected = -2 * ((latent.unsqueeze(1) - binary * modulation) * modulation).sum(1)
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, expected, rtol=1e-6)


def test_the_task_gradient_passes_to_c_unchanged_and_to_m_through_the_filters() -> None:
    """dL_S/dC = dL_S/dC^ = sum_j dL_S/dQ_j o M_j and dL_S/dM = sum_i dL_S/dQ_i o C^_i, even where |C| > 1."""
    layer = _layer(filter_loss=0.0).to(torch.float64)
    with torch.no_grad():
        layer.weight.mul_(100)
    through, to_binary, latent, binary = _kernel_gradient(layer)
    assert (latent.abs() > 1).any()
    assert layer.weight.grad is not None
    assert layer.modulation.grad is not None
    assert torch.allclose(layer.weight.grad, to_binary, rtol=1e-12)
    assert torch.allclose(layer.modulation.grad, (through * binary.unsqueeze(1)).sum((0, 2)), rtol=1e-9)


def test_the_second_filter_loss_looks_a_gradient_step_ahead() -> None:
    """The gradient of (theta / 2) ||C^ - C - eta delta||^2 with respect to C, added to delta, against autograd."""
    theta, eta = 0.3, 0.7
    layer = _layer(filter_loss=theta, lookahead=eta).to(torch.float64)
    _, delta, latent, binary = _kernel_gradient(layer)
    free = latent.clone().requires_grad_()
    (theta / 2 * (binary - free - eta * delta).square().sum()).backward()
    assert free.grad is not None
    assert layer.weight.grad is not None
    assert torch.allclose(layer.weight.grad, delta + free.grad, rtol=1e-6)


def test_the_step_ahead_includes_the_filter_loss_gradient() -> None:
    """The gradient delta is dL/dC^ of the task's loss and L_M together."""
    ahead, still = (_layer(filter_loss=0.3, lookahead=eta).to(torch.float64) for eta in (0.7, 0.0))
    still.load_state_dict(ahead.state_dict())
    for layer in (ahead, still):
        layer.filter_distance().backward()
    assert ahead.weight.grad is not None
    assert still.weight.grad is not None
    assert torch.allclose(ahead.weight.grad, (1 + 0.3 * 0.7) * still.weight.grad, rtol=1e-12)


def test_without_lambda_losses_do_not_depend_on_labels() -> None:
    network = _network(_mcn())
    for weight, depends in ((0.0, False), (0.1, True)):
        state = _state(network, "centre-loss", centre_loss=weight)
        if state.centres is not None:
            state.centres.copy_(torch.randn(state.centres.shape))
        every, one = (state.losses(_step(network, labels)) for labels in (torch.arange(6), torch.zeros(6, dtype=torch.int64)))
        first, second = (torch.stack(list(losses.values())).sum().detach() for losses in (every, one))
        assert (float(first) != float(second)) is depends


def test_the_centre_loss_is_the_mean_squared_distance_to_the_class_mean_in_its_phase_alone() -> None:
    network = _network(_mcn())
    step = _step(network, torch.tensor([1, 1, 7]))
    state = _state(network, "centre-loss", centre_loss=0.5)
    assert state.centres is not None
    state.centres.copy_(torch.randn(state.centres.shape))
    expected = 0.25 * (step.features - state.centres[[1, 1, 7]]).square().sum() / 3
    assert torch.allclose(state.losses(step)["centre"], expected)
    state.start_phase(Phase("train", 1), network)
    assert "centre" not in state.losses(step)


def test_class_means_follow_the_features_from_the_first_phase_on_and_once_a_step() -> None:
    """From f' to f' + alpha sum (f - f') / (1 + n): with alpha = 0.5 from 0, two samples of sum s give s / 6."""
    network = _network(_mcn())
    state = _state(network, "train", centre_loss=0.5)
    step = _step(network, torch.tensor([1, 1, 7]))
    state.losses(step)
    state.losses(step)  # the second turn of the same step
    state.end_step(step.layers)
    features = step.features.detach()
    assert state.centres is not None
    assert torch.allclose(state.centres[1], (features[0] + features[1]) / 6)
    assert torch.allclose(state.centres[7], features[2] / 4)
    assert torch.count_nonzero(state.centres.sum(1)) == 2


def test_the_centre_loss_comes_last() -> None:
    assert [(phase.name, phase.epochs) for phase in _mcn(centre_share=0.25).phases(8)] == [("train", 6), ("centre-loss", 2)]
    assert [phase.name for phase in _mcn(centre_loss=0.0).phases(1)] == ["train"]
    with pytest.raises(ValueError, match="2 phases, and 1 epoch"):
        _mcn().phases(1)


def test_the_training_passes_through_both_phases() -> None:
    assert [report.phase for report in _trainer(2).fit()] == ["train", "centre-loss"]


def test_m_is_never_negative() -> None:
    """|M| after the step: a step that leaves M negative reflects it."""
    method, layer = _mcn(), _layer()
    optimizer = RuledOptimizer(
        ruled_parameters(dict(layer.named_parameters()), [layer], method), OptimizerName.SGD, 1.0, weight_decay=0.0
    )
    before = layer.modulation.detach().clone()
    layer.modulation.grad = torch.full_like(layer.modulation, 20.0)
    optimizer.step(1.0, 1)
    # Nesterov's first step with momentum 0.9 moves by 1.9 times the gradient, and M's rate is a tenth.
    assert torch.allclose(layer.modulation, (before - 0.1 * 1.9 * 20).abs(), rtol=1e-5)
    assert (layer.modulation >= 0).all()


def test_weight_decay_leaves_m_alone() -> None:
    layer = _layer()
    assert not _mcn().rules(layer)["modulation"].decays


def test_m_is_updated_after_c_from_a_pass_of_its_own() -> None:
    trainer = _trainer(1, OptimizerName.SGD, centre_loss=0.0)
    layer = binary_layers([trainer.network])[0]
    assert isinstance(layer, McnConv2d)
    seen: list[tuple[Tensor, Tensor]] = []
    layer.register_forward_pre_hook(lambda *_: seen.append((layer.weight.detach().clone(), layer.modulation.detach().clone())))
    next(trainer.fit())
    passes = seen[:6]  # three steps of two passes
    for first, second in zip(passes[::2], passes[1::2], strict=True):
        assert not torch.equal(first[0], second[0])
        assert torch.equal(first[1], second[1])
    assert torch.equal(passes[1][0], passes[2][0])
    assert not torch.equal(passes[1][1], passes[2][1])


def test_one_pass_is_enough_when_updates_do_not_alternate() -> None:
    assert _mcn(alternating=False).rules(_layer())["modulation"].turn == 0


def test_filters_change_sign_though_the_convolution_sees_binary_ones_only() -> None:
    trainer = _trainer(2)
    layers = [layer for layer in binary_layers([trainer.network]) if isinstance(layer, McnConv2d)]
    before = [sign(layer.weight) for layer in layers]
    for _ in trainer.fit():
        pass
    for layer in layers:
        used = (layer.kernel().detach().unflatten(0, (-1, layer.planes)) / layer.modulation.detach().unsqueeze(1)).abs()
        # one magnitude, up to the rounding of a product and a quotient
        assert torch.allclose(used, layer.weight.detach().abs().mean().expand_as(used), rtol=1e-6)
    assert sum(int((sign(layer.weight) != old).sum()) for layer, old in zip(layers, before, strict=True)) > 0


def test_inputs_stay_real_and_are_padded_with_zeros() -> None:
    layer = _layer()
    inputs = torch.randn(2, 8, 5, 5)
    assert torch.equal(layer(inputs), F.conv2d(inputs, layer.kernel(), padding=1))


@pytest.mark.parametrize("mcn1", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        ConvShape(in_channels=4, out_channels=4, kernel_size=5, stride=2, padding=4, dilation=2),
        ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4),
        ConvShape(in_channels=8, out_channels=16, kernel_size=3, padding=1, groups=2),
        ConvShape(in_channels=8, out_channels=2, kernel_size=1),
    ],
    ids=["dense", "dilated-stride", "depthwise", "grouped", "pointwise"],
)
def test_the_frozen_layer_equals_the_live_one_but_for_the_order_of_sums(shape: ConvShape, *, mcn1: bool) -> None:
    """The kernel is s (a M) on one side and (a s) M on the other; the frozen layer sums in float64 and rounds once."""
    method, layer = _mcn(mcn1=mcn1), _layer(shape, mcn1=mcn1).eval()
    with torch.no_grad():
        layer.weight.copy_(values_with_zeros(*layer.weight.shape))
    inputs = values_with_zeros(2, shape.in_channels, 9, 9, seed=1)
    torch.testing.assert_close(deploy(method.freeze(layer))(inputs), layer(inputs), rtol=1e-5, atol=1e-5)


def test_neutral_mcn_equals_binaryconnect_bit_for_bit() -> None:
    """Baseline: real inputs, sign weights, identity gradient. M = 1, theta = lambda = 0 and a = mean |C| = 1: same
    outputs, gradients and C after a step.
    """
    plain = BinaryConv2d(ONE_MAP, weight_sign=identity_sign, activation_sign=lambda inputs: inputs, pad_value=0.0)
    method = _mcn(modulation_spread=0.0, filter_loss=0.0, centre_loss=0.0)
    layer = _layer(ONE_MAP, modulation_spread=0.0, filter_loss=0.0)
    with torch.no_grad():
        signs = sign(torch.randn(plain.weight.numel()))
        signs[:134] *= torch.tensor([0.5, 1.5]).repeat(67)  # mean magnitude exactly 1
        plain.weight.copy_(signs.view(plain.weight.shape))
        layer.weight.copy_(plain.weight)
    images, weighting = torch.randn(2, 3, 5, 5), torch.randn(2, 5, 5, 5)
    assert torch.equal(plain(images), layer(images))
    for conv, own in ((plain, None), (layer, method)):
        parameters = ruled_parameters(dict(conv.named_parameters()), [conv], own)
        optimizer = RuledOptimizer(parameters, OptimizerName.ADAM, 0.01, weight_decay=0.0)
        (conv(images) * weighting).sum().backward()
        optimizer.step(1.0, 0)
    assert torch.equal(plain.weight, layer.weight)


def test_a_resumed_training_repeats_the_uninterrupted_one_with_its_class_means() -> None:
    """Resumed in the middle of the last phase."""
    settings: dict[str, Any] = {"centre_loss": 0.1, "centre_share": 0.7}
    whole = _trainer(3, **settings)
    checkpoints = [whole.checkpoint().to_bytes() for _ in whole.fit()]
    resumed = _trainer(3, **settings)
    resumed.restore(Checkpoint.from_bytes(checkpoints[1]))
    assert [report.phase for report in resumed.fit()] == ["centre-loss"]
    expected, actual = whole.checkpoint().tensors, resumed.checkpoint().tensors
    assert "state.centres" in expected
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_a_path_of_a_supernet_loses_for_its_own_layers_alone() -> None:
    network = _network(_mcn())
    state = _state(network, "train")
    step = _step(network, torch.arange(4))
    first = step.layers[0]
    assert isinstance(first, McnConv2d)
    alone = state.losses(Step([first], step.images, step.labels, step.features, step.logits))["filter"]
    assert float(alone.detach()) == pytest.approx(5e-4 * float(first.filter_distance().detach()), rel=1e-6)
