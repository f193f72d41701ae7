"""Derived seeds."""

import torch

from nas_service.training.state.seeding import derive_seed, derived_generator, global_seed


def test_seeds_are_the_same_on_every_machine() -> None:
    """Written down once: a change would make resumed trainings differ from uninterrupted ones."""
    assert derive_seed(0, "epoch", 3) == 251044065527859115


def test_different_paths_give_different_seeds() -> None:
    seeds = {derive_seed(seed, name, index) for seed in range(5) for name in ("sample", "epoch") for index in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_global_generator_is_put_back() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with global_seed(5, "inside"):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with global_seed(5, "inside"):
        assert torch.equal(torch.rand(3), inside)


def test_a_derived_generator_repeats() -> None:
    cpu = torch.device("cpu")
    assert torch.equal(
        torch.rand(4, generator=derived_generator(cpu, 1, "a")), torch.rand(4, generator=derived_generator(cpu, 1, "a"))
    )
