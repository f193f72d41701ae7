"""Discriminators: what they climb, and that gradients stay on their side."""

import torch
from torch import Tensor

from nas_service.binarization.discriminator import Discriminators


def _judges(*, seed: int = 0) -> Discriminators:
    torch.manual_seed(seed)
    return Discriminators({"one": 4, "two": 6}, (8,), 1e-2)


def _features(shift: float, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(16, count, 3, 3, generator=generator) + shift for name, count in (("one", 4), ("two", 6))}


def test_different_features_are_told_apart() -> None:
    judges = _judges()
    real, fake = _features(0.3, 0), _features(-0.3, 1)
    for _ in range(100):
        judges.ascend(real, fake)
    assert float(judges.real_score) > 0.9
    assert float(judges.fake_score) < 0.1


def test_equal_features_are_judged_by_chance() -> None:
    """The same input cannot be real and fake: the share of right verdicts is one half, and certainty does not pay."""
    judges = _judges()
    features = _features(0.3, 0)
    for _ in range(200):
        judges.ascend(features, features)
    odds = judges(features)
    right = ((odds > 0).float().mean() + (odds <= 0).float().mean()) / 2
    assert float(right) == 0.5
    assert float(judges.real_score) == float(judges.fake_score)
    assert abs(float(judges.real_score) - 0.5) < 0.05  # log D + log(1 - D) is largest at 1/2


def test_the_first_step_climbs_the_printed_objective() -> None:
    """Adam's first step is minus the learning rate times the gradient's sign."""
    for doubt in (False, True):
        judges, copy = _judges(), _judges()
        real, fake = _features(0.3, 0), _features(-0.3, 1)
        copy.requires_grad_(True)  # noqa: FBT003 - torch's own signature
        of_real, of_fake = copy(real).sigmoid(), copy(fake).sigmoid()
        climbed = of_real.log().mean(1) + (1 - of_fake).log().mean(1) + (of_fake.log().mean(1) if doubt else 0)
        climbed.sum().backward()
        judges.ascend(real, fake, doubt=doubt)
        for moved, before in zip(judges.parameters(), copy.parameters(), strict=True):
            assert before.grad is not None
            clear = before.grad.abs() > 1e-5  # beside Adam's epsilon of 1e-8
            assert torch.allclose((moved - before)[clear], (1e-2 * before.grad.sign())[clear], rtol=2e-2)


def test_doubt_keeps_the_verdict_on_fakes_at_one_half() -> None:
    """log(1 - D) + log D is largest at 1/2, so that even clear fakes are not called fakes."""
    judges = _judges()
    for _ in range(200):
        judges.ascend(_features(0.3, 0), _features(-0.3, 1), doubt=True)
    assert abs(float(judges.fake_score) - 0.5) < 0.1


def test_the_generator_loss_has_the_least_squares_gradient() -> None:
    """dL/dT = -2 (1 - D) dD/dT, the mean over images and taps, by central differences in float64."""
    judges = _judges().to(torch.float64)
    values = torch.randn(3, 4, 2, 2, dtype=torch.float64, requires_grad=True)
    judged = Discriminators({"one": 4}, (8,), 1e-2)
    judged.stacks[0].load_state_dict(judges.stacks[0].state_dict())

    def single(features: Tensor) -> Tensor:
        return judged.generator_loss({"one": features})

    verdict = judged({"one": values}).sigmoid()
    (slope,) = torch.autograd.grad(verdict, values, -2 * (1 - verdict.detach()) / 3)
    (actual,) = torch.autograd.grad(single(values), values)
    # The features are pooled in float32.
    assert torch.allclose(actual, slope, rtol=1e-5, atol=1e-8)
    assert float(actual.abs().max()) > 0


def test_gradients_do_not_cross() -> None:
    judges = _judges()
    real, fake = _features(0.3, 0), {name: value.requires_grad_() for name, value in _features(-0.3, 1).items()}
    judges.ascend(real, fake)
    assert all(value.grad is None for value in fake.values())
    judges.generator_loss(fake).backward()
    assert all(value.grad is not None for value in fake.values())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in judges.parameters())


def test_log_odds_are_one_for_each_tap_and_image() -> None:
    assert _judges()(_features(0.0, 0)).shape == (2, 16)
