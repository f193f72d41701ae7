"""ReCU (Xu et al. 2021), rule by rule."""

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from nas_service.binarization.layer import binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.methods.recu import Recu, RecuConv2d, normalised_tent, normalised_tent_sign, standardise
from nas_service.binarization.sign import sign, tent_sign
from nas_service.export.packed import deploy
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.space import SPACES
from tests.samples import digits, tiny_genotype

SHAPE = ConvShape(in_channels=3, out_channels=4, kernel_size=3, padding=1)


def _layer(shape: ConvShape = SHAPE) -> RecuConv2d:
    layer = METHODS.get("recu").from_settings({})(shape)
    assert isinstance(layer, RecuConv2d)
    return layer


def _trainer(recipe: Recipe) -> CandidateTrainer:
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get("recu").from_settings({}), recipe, seed=0)
    return CandidateTrainer(plan, digits(), torch.device("cpu"))


def _standard(weight: Tensor) -> Tensor:
    """w~ as the authors' code writes it."""
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    return centred / ((centred.var((1, 2, 3), keepdim=True) + 1e-5).sqrt() / 2 / 2**0.5)


def _sign_gradient(layer: RecuConv2d, inputs: Tensor, out_gradient: Tensor) -> Tensor:
    """dL/dsign(w~), by autograd, of an ordinary convolution times alpha."""
    signs = torch.where(_standard(layer.weight.detach()) >= 0, 1.0, -1.0).to(layer.weight.dtype).requires_grad_()
    padded = F.pad(torch.where(inputs >= 0, 1.0, -1.0).to(inputs.dtype), (1, 1, 1, 1), value=-1.0)
    (F.conv2d(padded, signs) * layer.alpha.detach().view(-1, 1, 1)).backward(out_gradient)
    assert signs.grad is not None
    return signs.grad


def test_standardised_filters_have_mean_0_and_deviation_2_root_2() -> None:
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64) * 3 + 1
    standard = standardise(weight)
    torch.testing.assert_close(standard, _standard(weight), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(standard.mean((1, 2, 3)), torch.zeros(4, dtype=torch.float64), rtol=0, atol=1e-12)
    # The 1e-5 beside a variance near 9 takes off half of 1e-6 of it.
    torch.testing.assert_close(standard.std((1, 2, 3)), torch.full((4,), 8**0.5, dtype=torch.float64), rtol=1e-5, atol=0)


def test_bits_are_the_signs_of_centred_weights() -> None:
    layer = _layer()
    with torch.no_grad():
        layer.weight.add_(10.0)
    share = float((layer.binary_weight() > 0).float().mean())
    assert 0.25 < share < 0.75  # sign(W) is +1 everywhere


@pytest.mark.parametrize("quantile", [0.7, 0.85, 0.99])
def test_weights_beyond_the_quantile_get_no_gradient_of_their_own(quantile: float) -> None:
    """dL/dw~ = dL/db 1[|w~| <= Q] with Q = -mean |w~| ln(2 - 2 tau), on through mean and variance."""
    layer = _layer().to(torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.distributions.Laplace(0.3, 0.1).sample(layer.weight.shape))
        layer.weight[0, 0, 0, 0] = 5.0
    layer.quantile = quantile
    inputs, out_gradient = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    layer(inputs).backward(out_gradient)

    weight = layer.weight.detach().clone().requires_grad_()
    standard = _standard(weight)
    bound = -float(standard.detach().abs().mean()) * math.log(2 - 2 * quantile)
    inside = standard.detach().abs() <= bound
    assert 0 < int((~inside).sum()) < inside.numel()
    standard.backward(_sign_gradient(layer, inputs, out_gradient) * inside)
    assert layer.weight.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, weight.grad, rtol=1e-10, atol=1e-10)


def test_q_is_the_tau_quantile_of_a_laplace_distribution() -> None:
    """Of as many weights, about tau are below Q, and as many above -Q."""
    weight = torch.distributions.Laplace(0.0, 1.0).sample((1, 1000, 10, 10)).double()
    layer = _layer(ConvShape(in_channels=1000, out_channels=1, kernel_size=10)).to(torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weight)
    layer.binary_weight().sum().backward()
    standard = _standard(weight)
    bound = -standard.abs().mean() * math.log(2 - 2 * 0.85)
    # The share of 1e5 draws has a deviation of 0.0011.
    assert abs(float((standard <= bound).double().mean()) - 0.85) < 0.006


def test_the_clamp_never_changes_a_sign() -> None:
    layer = _layer()
    layer.quantile = 0.51  # a tiny Q
    training = layer.train().binary_weight()
    assert torch.equal(training, layer.eval().binary_weight())


def test_the_gradient_through_the_standardisation_agrees_with_finite_differences() -> None:
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(standardise, (weight,), rtol=1e-6)


def test_the_activation_gradient_is_that_of_a_tent_at_inputs_over_their_deviation() -> None:
    """Against autograd of the authors' way: divide by the sample's deviation, then take the sign with ApproxSign's gradient."""
    inputs = (
        torch.randn(3, 4, 5, 5, dtype=torch.float64) * torch.tensor([0.1, 1.0, 20.0]).view(-1, 1, 1, 1) + 0.2
    ).requires_grad_()
    upstream = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    layer = _layer().train()
    (found,) = torch.autograd.grad(layer.binary_input(inputs), inputs, upstream)
    normal = inputs / (inputs.var((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    (expected,) = torch.autograd.grad(tent_sign(normal), inputs, upstream)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)


def test_normalising_changes_no_sign_and_in_evaluation_no_gradient_either() -> None:
    inputs = torch.randn(2, 3, 5, 5, requires_grad=True)
    layer = _layer().eval()
    assert torch.equal(normalised_tent_sign(inputs), sign(inputs))
    (found,) = torch.autograd.grad(layer.binary_input(inputs).sum(), inputs)
    assert torch.equal(found, (2 - 2 * inputs.detach().abs()).clamp_min(0))


def test_the_declared_surrogate_is_the_gradient_on_a_symmetric_grid() -> None:
    grid = torch.linspace(-2, 2, 4001, dtype=torch.float64).round(decimals=3)
    inputs = grid.view(1, 1, 1, -1).repeat(2, 3, 1, 1).requires_grad_()
    _layer().train().binary_input(inputs).sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad, normalised_tent(inputs.detach()), rtol=1e-12, atol=1e-12)
    # The grid's deviation is 2 / sqrt(3), to 1 / 4001.
    assert math.isclose(float(inputs.grad.max()), 2 * 3**0.5 / 2, rel_tol=1e-3)


def test_a_sample_of_one_value_stays_finite() -> None:
    inputs = torch.tensor([0.5, 0.0]).view(2, 1, 1, 1).requires_grad_()
    normalised_tent_sign(inputs).sum().backward()
    assert inputs.grad is not None
    assert bool(inputs.grad.isfinite().all())


def test_alpha_is_learnt_and_starts_uniform_in_0_to_1() -> None:
    layer = _layer(ConvShape(in_channels=1, out_channels=1000, kernel_size=1)).to(torch.float64)
    assert 0 <= float(layer.alpha.detach().min()) < 0.02
    assert 0.98 < float(layer.alpha.detach().max()) <= 1
    layer = _layer().to(torch.float64)
    inputs, out_gradient = torch.randn(2, 3, 5, 5, dtype=torch.float64), torch.randn(2, 4, 5, 5, dtype=torch.float64)
    outputs = layer(inputs)
    outputs.backward(out_gradient)
    integers = outputs.detach() / layer.alpha.detach().view(-1, 1, 1)
    torch.testing.assert_close(integers, integers.round(), rtol=0, atol=1e-9)
    assert layer.alpha.grad is not None
    torch.testing.assert_close(layer.alpha.grad, (out_gradient * integers.round()).sum((0, 2, 3)), rtol=1e-12, atol=1e-12)


def test_alpha_of_1_and_an_infinite_q_is_bnn_s_layer_bit_for_bit() -> None:
    """Baseline: BNN whose latent weights are w~; its weight gradient is 1, too."""
    layer, baseline = _layer(), METHODS.get("bnn").from_settings({})(SHAPE)
    layer.quantile = 1 - 1e-15
    with torch.no_grad():
        layer.alpha.fill_(1)
        baseline.weight.copy_(standardise(layer.weight))  # type: ignore[operator]  # a parameter
    inputs = torch.randn(2, 3, 5, 5)
    outputs, expected = layer(inputs), baseline(inputs)
    assert torch.equal(outputs, expected)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    (through,) = torch.autograd.grad(standardise(layer.weight), layer.weight, baseline.weight.grad)  # type: ignore[arg-type]
    assert layer.weight.grad is not None
    assert torch.equal(layer.weight.grad, through)


def test_tau_rises_exponentially_from_085_towards_099_in_every_layer() -> None:
    slope = (0.99 - 0.85) / (math.e - 1)
    trainer = _trainer(Recipe(epochs=4, max_steps_per_epoch=1))
    for epoch, report in enumerate(trainer.fit()):
        expected = slope * math.exp(epoch / 4) + 0.85 - slope
        assert math.isclose(report.extra["quantile"], expected, rel_tol=1e-12)
        for layer in binary_layers([trainer.network]):
            assert isinstance(layer, RecuConv2d)
            assert math.isclose(layer.quantile, expected, rel_tol=1e-12)
    state = METHODS.get("recu").from_settings({}).start(trainer.network)
    state.start_epoch(4, 4)
    assert math.isclose(state.metrics()["quantile"], 0.99, rel_tol=1e-12)


def test_a_first_stage_with_real_weights_does_not_use_up_the_schedule() -> None:
    reports = list(_trainer(Recipe(epochs=4, max_steps_per_epoch=1, real_weight_stage=0.5)).fit())
    assert reports[2].extra["quantile"] == pytest.approx(0.85)
    assert reports[3].extra["quantile"] > 0.85


def test_a_resumed_training_continues_with_its_own_tau() -> None:
    recipe = Recipe(epochs=3, max_steps_per_epoch=1)
    first, second = _trainer(recipe), _trainer(recipe)
    next(first.fit())
    second.restore(first.checkpoint())
    assert next(second.fit()).extra == next(first.fit()).extra


def test_filters_of_one_weight_are_taken_as_they_are() -> None:
    layer = _layer(ConvShape(in_channels=4, out_channels=4, kernel_size=1, groups=4))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([-0.5, 0.5, 0.0, -2.0]).view(-1, 1, 1, 1))
    assert layer.binary_weight().flatten().tolist() == [-1, 1, 1, -1]
    layer(torch.randn(2, 4, 4, 4)).square().sum().backward()
    assert layer.weight.grad is not None
    assert bool(layer.weight.grad.isfinite().all())


def test_frozen_bits_are_those_of_the_standardised_weights() -> None:
    layer = _layer().eval()
    with torch.no_grad():
        layer.weight.add_(10.0)  # all latent signs are +1
    inputs = torch.randn(2, 3, 5, 5)
    assert torch.equal(deploy(METHODS.get("recu").from_settings({}).freeze(layer))(inputs), layer(inputs))


def test_the_paper_s_recipe_is_a_recipe() -> None:
    recipe = Recipe.model_validate(Recu.paper_recipe)
    assert (recipe.optimizer, recipe.weight_decay, recipe.warmup_epochs, recipe.epochs) == ("sgd", 5e-4, 5, 600)
