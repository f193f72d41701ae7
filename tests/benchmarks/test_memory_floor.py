"""The floor, counted by hand for a network small enough."""

import torch

from benchmarks.memory_floor import OPTIMIZER_BYTES, activation_values, step_bytes
from nas_service.binarization.method import METHODS
from search_spaces.space import SPACES
from search_spaces.supernet import Supernet
from tests.samples import GREY_8, tiny_genotype


def test_every_convolution_and_pool_is_counted_once_and_identities_are_not() -> None:
    """`tiny` on 8x8: stem 1 -> 24 channels; cell a, 24 -> 8 channels, 3 pools of 8 at 8x8; cell b, 16 -> 16 before its edges,
    two pools from 8x8 to 4x4 and one at 4x4. 3 |x| + 2 |y| each.
    """
    space = SPACES.get("tiny")
    supernet = Supernet(space, METHODS.get("xnor-net").from_settings({}), GREY_8)
    big, small = 64, 16
    stem = 3 * 1 * big + 2 * 24 * big
    first = (3 * 24 + 2 * 8) * big + 3 * (3 + 2) * 8 * big
    second = (3 * 16 + 2 * 16) * big + 2 * (3 * 16 * big + 2 * 16 * small) + (3 + 2) * 16 * small
    pools = tiny_genotype("max-pool-3x3")
    assert activation_values(supernet, pools, torch.rand(1, 1, 8, 8)) == stem + first + second
    assert activation_values(supernet, pools, torch.rand(3, 1, 8, 8)) == 3 * (stem + first + second)
    skips = (3 * 24 + 2 * 8) * big + (3 * 16 + 2 * 16) * big + 2 * (3 * 16 * big + 2 * 16 * small)
    assert activation_values(supernet, tiny_genotype("skip"), torch.rand(1, 1, 8, 8)) == stem + skips


def test_a_step_moves_its_activations_in_their_type_and_what_the_optimizer_touches() -> None:
    supernet = Supernet(SPACES.get("tiny"), METHODS.get("xnor-net").from_settings({}), GREY_8)
    genotype, images = tiny_genotype(), torch.rand(2, 1, 8, 8)
    values = activation_values(supernet, genotype, images)
    weights = OPTIMIZER_BYTES * sum(parameter.numel() for parameter in supernet.path_parameters(genotype).values())
    assert step_bytes(supernet, genotype, images, 2) == 2 * values + weights
    assert step_bytes(supernet, genotype, images, 4, passes=2) == 8 * values + weights
