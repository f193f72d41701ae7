"""ReActNet (Liu et al. 2020), rule by rule."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor, nn

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.bi_real import BiRealConv2d
from nas_service.binarization.methods.react_net import ReactConv2d, ReactNet
from nas_service.binarization.network import binary_network
from nas_service.binarization.rprelu import RPReLU
from nas_service.catalogue import build_recipe
from nas_service.export.bundle import _run_source
from nas_service.export.packed import deploy, freeze_network
from nas_service.export.standalone import frozen_weights, write_source
from nas_service.recipes.recipe import Recipe
from nas_service.specs import MethodChoice
from nas_service.training.candidate.phases import REAL_WEIGHTS, plan_phases
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.network import Network
from search_spaces.space import SPACES
from tests.rounding import differing, pixels
from tests.samples import GREY_8, digits, tiny_genotype, values_with_zeros

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)
EXTRA = ("threshold", "shift_in", "shift_out")


def _layer(shape: ConvShape = SHAPE) -> ReactConv2d:
    layer = METHODS.get("react-net").from_settings({})(shape)
    assert isinstance(layer, ReactConv2d)
    return layer


def _baseline() -> BiRealConv2d:
    layer = METHODS.get("bi-real").from_settings({})(SHAPE)
    assert isinstance(layer, BiRealConv2d)
    return layer


def _network() -> Network:
    """A network whose thresholds and shifts are not 0 and whose running statistics are not fresh."""
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get("react-net").from_settings({}), GREY_8)
    for name, parameter in network.named_parameters():
        if name.endswith(EXTRA):
            nn.init.normal_(parameter, std=0.3)
    network(torch.rand(16, 1, 8, 8))
    return network.eval()


def test_thresholds_move_the_sign_per_input_channel() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.threshold.copy_(torch.tensor([0.5, 0.0, -0.5]))
    inputs = torch.tensor([-0.5, -0.6, 0.4]).view(1, 1, 1, 3).expand(1, 3, 1, 3)
    assert layer.binary_input(inputs)[0, :, 0].tolist() == [[1, -1, 1], [-1, -1, 1], [-1, -1, -1]]


def test_the_tent_is_centred_on_the_threshold_and_the_threshold_gets_its_sum() -> None:
    layer = _layer().to(torch.float64)
    nn.init.normal_(layer.threshold)
    inputs = torch.randn(2, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    layer.binary_input(inputs).backward(upstream)
    shifted = (inputs + layer.threshold.view(-1, 1, 1)).detach()
    expected = upstream * (2 - 2 * shifted.abs()).clamp_min(0)
    assert inputs.grad is not None
    assert layer.threshold.grad is not None
    torch.testing.assert_close(inputs.grad, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(layer.threshold.grad, expected.sum((0, 2, 3)), rtol=1e-12, atol=1e-12)


def test_thresholds_start_at_0_and_take_no_random_numbers() -> None:
    """So that the latent weights are the baseline's for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = _layer()
        torch.manual_seed(0)
        baseline = _baseline()
    assert torch.equal(layer.threshold, torch.zeros(3))
    assert torch.equal(layer.weight, baseline.weight)


def test_the_weight_gradient_is_that_of_the_clipped_latent_weight_and_alpha_is_a_constant() -> None:
    """dL/dW = dL/dW^ 1[|W| <= 1], where an ordinary convolution with W^ = mean|W| sign(W) has dL/dW^."""
    layer = _layer().to(torch.float64)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.threshold)
    inputs, out_gradient = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)
    weight = layer.weight.detach()
    kernel = (weight.abs().mean((1, 2, 3), keepdim=True) * torch.where(weight >= 0, 1.0, -1.0)).requires_grad_()
    signs = torch.where(inputs + layer.threshold.detach().view(-1, 1, 1) >= 0, 1.0, -1.0).to(torch.float64)
    F.conv2d(F.pad(signs, (1, 1, 1, 1), value=-1.0), kernel).backward(out_gradient)
    assert (weight.abs() > 1).any()
    assert kernel.grad is not None
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, kernel.grad * (weight.abs() <= 1), rtol=1e-12, atol=1e-12)


def test_every_prelu_becomes_an_rprelu_with_the_same_outputs() -> None:
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get("bi-real").from_settings({}), GREY_8).eval()
    prelus = sum(isinstance(module, nn.PReLU) for module in network.modules())
    images = torch.rand(3, 1, 8, 8)
    expected = network(images)
    METHODS.get("react-net").from_settings({}).adapt(network)
    assert sum(isinstance(module, RPReLU) for module in network.modules()) == prelus > 0
    assert torch.equal(network(images), expected)


def _trained(name: str) -> dict[str, Tensor]:
    """Two epochs in which thresholds and shifts stay 0."""
    plan = CandidatePlan(
        SPACES.get("tiny"), tiny_genotype(), METHODS.get(name).from_settings({}), Recipe(epochs=2, max_steps_per_epoch=3), 0
    )
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    for key, parameter in trainer.network.named_parameters():
        parameter.requires_grad_(not key.endswith(EXTRA))
    for _ in trainer.fit():
        pass
    return trainer.network.state_dict()


def test_without_thresholds_and_shifts_a_training_is_bi_real_net_s_bit_for_bit() -> None:
    baseline, found = _trained("bi-real"), _trained("react-net")
    renamed = {name.replace("activation.slope", "activation.weight"): tensor for name, tensor in found.items()}
    assert all(torch.equal(baseline[name], renamed[name]) for name in baseline)
    assert all(name in baseline or name.endswith(EXTRA) for name in renamed)


def test_thresholds_and_shifts_learn() -> None:
    plan = CandidatePlan(
        SPACES.get("tiny"),
        tiny_genotype(),
        METHODS.get("react-net").from_settings({}),
        Recipe(epochs=1, max_steps_per_epoch=3),
        0,
    )
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    next(trainer.fit())
    learnt = [tensor for name, tensor in trainer.network.named_parameters() if name.endswith(EXTRA)]
    blocks = len(binary_layers([trainer.network]))
    assert len(learnt) == 3 * blocks
    assert sum(int(torch.count_nonzero(tensor) > 0) for tensor in learnt) == len(learnt)


def test_a_frozen_layer_has_its_thresholds_and_equals_the_live_one_bit_for_bit() -> None:
    layer = _layer().eval()
    nn.init.normal_(layer.threshold)
    frozen = METHODS.get("react-net").from_settings({}).freeze(layer)
    inputs = values_with_zeros(2, 3, 6, 6)
    inputs[0, :, 0, 0] = -layer.threshold.detach()  # exactly on the threshold: +1
    assert torch.equal(deploy(frozen)(inputs), layer(inputs))


def test_the_written_source_computes_what_the_network_computes() -> None:
    """RPReLU is no layer of torch: it is traced into functions, its parameters into buffers."""
    network = _network()
    frozen = freeze_network(network, METHODS.get("react-net").from_settings({}))
    written = _run_source(write_source(frozen, "A test."), frozen_weights(frozen)).eval()
    images = pixels(network.image, 4)
    assert torch.equal(written(images), frozen(images))
    assert differing(frozen(images), network(images)) <= 1


def test_the_paper_s_recipe_has_two_stages_of_equal_length_and_no_labels() -> None:
    recipe = Recipe.model_validate(ReactNet.paper_recipe)
    first, second = plan_phases(METHODS.get("react-net").from_settings({}), recipe)
    assert (first.name, first.epochs, first.decays) == (REAL_WEIGHTS, 128, True)
    assert (second.epochs, second.decays) == (128, False)
    assert recipe.distillation == 1
    assert recipe.weight_decay == pytest.approx(1e-5)


def test_the_preset_of_adambnn_is_the_same_network_s_with_twice_the_epochs() -> None:
    """Two steps of 256 epochs at 1.25e-3 with batches of 256, weight decay 5e-6 in the first and none in the second."""
    choice = MethodChoice(name="react-net", recipe={"preset": "adambnn"})
    recipe = build_recipe(Recipe(), choice)
    first, second = plan_phases(METHODS.get("react-net").from_settings({}), recipe)
    assert (first.name, first.epochs, first.decays, first.lr_multiplier) == (REAL_WEIGHTS, 256, True, 1)
    assert (second.epochs, second.decays, second.lr_multiplier) == (256, False, 1)
    assert (recipe.optimizer, recipe.schedule, recipe.batch_size) == ("adam", "linear", 256)
    assert (recipe.learning_rate, recipe.weight_decay, recipe.distillation) == (1.25e-3, 5e-6, 1.0)
