"""Attacks: analytic on a linear model, equal to an established library, and never outside what they may do."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from foolbox.attacks.base import FixedEpsilonAttack
from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack
from foolbox.models.pytorch import PyTorchModel
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.data.loader import ResidentPart, to_pixels
from nas_service.recipes.adversarial import AdversarialTraining, AttackName
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from nas_service.training.scoring.attacks import Attack, Noise, fast_fgsm, fgsm, input_gradient, mi_fgsm, pgd
from nas_service.training.scoring.counting import evaluating, standing
from search_spaces.errors import InvalidFieldError
from search_spaces.space import SPACES
from tests.samples import GREY_8, digits, tiny_genotype

ATTACKS = (fgsm(0.1), fast_fgsm(0.1), pgd(0.1, 5), mi_fgsm(0.1, 5), Attack(0.1, steps=3, step_size=0.1))
# x - eps and x + eps are rounded once each, so a distance may exceed eps by half a unit in the last place of a number up to 1.
ROUNDING = 2**-24


def _linear(images: int = 6) -> tuple[Tensor, Callable[[Tensor], Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 12, generator=generator)
    pixels = torch.rand(images, 3, 2, 2, generator=generator)
    return weight, lambda x: x.flatten(1) @ weight.T, pixels, torch.arange(images) % 3


def _binary_network() -> nn.Module:
    torch.manual_seed(0)
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), METHODS.get("xnor-net").from_settings({}), GREY_8)
    return network.eval()


def test_fgsm_of_a_linear_model_is_the_analytic_one() -> None:
    """With logits W x the gradient of the cross entropy is W^T (softmax(W x) - onehot(y))."""
    weight, forward, pixels, labels = _linear()
    gradient = (forward(pixels).softmax(1) - F.one_hot(labels, 3)) @ weight
    assert torch.allclose(input_gradient(forward, pixels, labels).flatten(1), gradient, atol=1e-6)
    expected = (pixels.flatten(1) + 0.05 * gradient.sign()).clamp(0, 1).view_as(pixels)
    assert torch.equal(fgsm(0.05).perturb(forward, pixels, labels), expected)


def test_one_step_of_pgd_from_the_image_is_a_short_fgsm() -> None:
    _, forward, pixels, labels = _linear()
    step = Attack(0.1, steps=1, step_size=0.03, random_start=False)
    assert torch.equal(step.perturb(forward, pixels, labels), fgsm(0.03).perturb(forward, pixels, labels))


def test_momentum_adds_normalised_gradients() -> None:
    """Two steps of MI-FGSM by hand: v1 = g1 / mean|g1|, v2 = v1 + g2 / mean|g2|."""
    _, forward, pixels, labels = _linear()
    first = input_gradient(forward, pixels, labels)
    velocity = first / first.abs().mean((1, 2, 3), keepdim=True)
    at = (pixels + 0.05 * velocity.sign()).clamp(0, 1)
    second = input_gradient(forward, at, labels)
    velocity = velocity + second / second.abs().mean((1, 2, 3), keepdim=True)
    expected = (at + 0.05 * velocity.sign()).clamp(0, 1)
    # the same sums in another order: the clip to the ball rounds once more
    assert torch.allclose(mi_fgsm(0.1, 2).perturb(forward, pixels, labels), expected, rtol=0, atol=2 * ROUNDING)


@given(
    eps=st.floats(0.001, 1.0), steps=st.integers(1, 6), share=st.floats(0.05, 2.0), seed=st.integers(0, 99), start=st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_perturbed_images_stay_in_the_ball_and_in_the_pixel_range(
    eps: float,
    steps: int,
    share: float,
    seed: int,
    start: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    _, forward, pixels, labels = _linear()
    attack = Attack(eps, steps, share * eps, random_start=start, momentum=1.0 if seed % 2 else None)
    perturbed = attack.perturb(forward, pixels, labels, torch.Generator().manual_seed(seed))
    assert bool(((perturbed >= 0) & (perturbed <= 1)).all())
    assert float((perturbed - pixels).abs().max()) <= eps + ROUNDING


def test_a_random_start_fills_the_ball() -> None:
    """A gradient of 0 leaves the start where it was drawn: uniform in [-eps, eps], mean 0 and variance eps^2 / 3."""
    pixels = torch.full((400, 1, 8, 8), 0.5)
    flat = pgd(0.2, 1).perturb(lambda x: x.flatten(1)[:, :2] * 0, pixels, torch.zeros(400, dtype=torch.long))
    noise = (flat - pixels) / 0.2
    assert float(noise.abs().max()) <= 1 + 1e-6
    assert abs(float(noise.mean())) < 4 * (1 / 3 / noise.numel()) ** 0.5  # four standard errors
    assert abs(float(noise.var()) - 1 / 3) < 0.01


@pytest.mark.parametrize("attack", [fgsm(0.0), fast_fgsm(0.0), pgd(0.0, 20), Attack(0.0, 0, 0.0)])
def test_zero_eps_changes_nothing(attack: Attack) -> None:
    _, forward, pixels, labels = _linear()
    assert attack.perturb(forward, pixels, labels) is pixels


def test_noise_is_a_random_corner_of_the_ball_and_asks_nobody() -> None:
    pixels = torch.full((50, 1, 8, 8), 0.5)
    noise = Noise(0.2).perturb(_must_not_be_asked, pixels, torch.zeros(50, dtype=torch.long), torch.Generator().manual_seed(0))
    assert torch.allclose((noise - 0.5).abs(), torch.tensor(0.2))
    assert abs(float((noise > 0.5).float().mean()) - 0.5) < 4 * 0.5 / noise.numel() ** 0.5  # four standard errors
    assert bool((Noise(1.0).perturb(_must_not_be_asked, pixels, torch.zeros(50)) <= 1).all())


def _must_not_be_asked(images: Tensor) -> Tensor:
    raise AssertionError(f"asked for the logits of {len(images)} images")


def test_attacking_leaves_weights_without_gradients_and_the_mode_as_it_was() -> None:
    network = _binary_network()
    pixels = torch.rand(4, 1, 8, 8)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for attack in ATTACKS:
        attack.perturb(network, pixels, torch.arange(4))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not network.training


def test_the_same_generator_gives_the_same_images() -> None:
    _, forward, pixels, labels = _linear()
    first, second, other = (
        pgd(0.1, 3).perturb(forward, pixels, labels, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fgsm(0.1), LinfFastGradientAttack(random_start=False)),
        (
            Attack(0.1, steps=7, step_size=0.025, random_start=False),
            LinfProjectedGradientDescentAttack(steps=7, abs_stepsize=0.025, random_start=False),
        ),
    ],
    ids=["fgsm", "pgd"],
)
def test_an_established_library_makes_the_same_images(ours: Attack, theirs: FixedEpsilonAttack) -> None:
    """On a binary network; foolbox projects x + delta where we clip to bounds, so equal up to two roundings.

    Its MI-FGSM leaves out the normalisation of the paper's equation 6, so ours is checked by hand above.
    """
    network, data = _binary_network(), digits()
    pixels, labels = to_pixels(torch.tensor(data.validation.images[:32])), torch.tensor(data.validation.labels[:32])
    model = PyTorchModel(network, bounds=(0, 1), device="cpu")
    _, expected, _ = theirs(model, pixels, labels, epsilons=0.1)
    assert torch.allclose(ours.perturb(network, pixels, labels), expected, atol=1e-6)


def test_accuracy_does_not_rise_with_eps() -> None:
    """One trained network, 288 validation images: a rise by more than three of them (1 %) would be no noise."""
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), METHODS.get("bnn").from_settings({}), Recipe(epochs=3), 0)
    trainer = CandidateTrainer(plan, digits(), torch.device("cpu"))
    list(trainer.fit())
    part = ResidentPart.of(digits().validation, torch.device("cpu"))
    accuracies = []
    with evaluating(trainer.network):
        for eps in (0.0, 0.05, 0.1, 0.2, 0.4):
            stands = standing(trainer.network, pgd(eps, 7), part, torch.Generator().manual_seed(0))
            accuracies.append(float(stands.float().mean()))
    assert all(later <= earlier + 0.01 for earlier, later in pairwise(accuracies)), accuracies
    assert accuracies[-1] < accuracies[0] - 0.2


@pytest.mark.parametrize("eps", [-0.1, 1.5])
def test_an_eps_outside_the_pixel_range_is_refused(eps: float) -> None:
    with pytest.raises(InvalidFieldError, match=r"eps: .* is not allowed; allowed: 0 to 1"):
        pgd(eps, 7)
    with pytest.raises(ValueError, match="eps"):
        AdversarialTraining(eps=eps)


def test_no_step_with_an_eps_is_refused() -> None:
    with pytest.raises(InvalidFieldError, match="steps: 0 is not allowed; allowed: 1 or more"):
        Attack(0.1, steps=0, step_size=0.1)
    with pytest.raises(ValueError, match=r"1 or more with eps 0\.1"):
        AdversarialTraining(attack=AttackName.PGD, eps=0.1, steps=0)
    with pytest.raises(ValueError, match="fgsm takes one step"):
        AdversarialTraining(steps=3)
    assert AdversarialTraining(eps=0, steps=0).replays == 1
