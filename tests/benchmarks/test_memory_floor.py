"""The floor, counted by hand for a network small enough."""

import torch

from benchmarks.memory_floor import OPTIMIZER_BYTES, activation_values, step_bytes
from nas_service.binarization.method import METHODS
from search_spaces.space import SPACES
from search_spaces.supernet import Supernet
from tests.samples import GREY_8, tiny_genotype


def test_every_convolution_and_pool_is_counted_once_and_identities_are_not() -> None:
    """`tiny` on 8x8: stem 1 -> 24 channels; cell a, 24 -> 8 channels, 3 pools of 8 at 8x8; cell b, 16 -> 16 before its edges,
    two pools from 8x8 to 4x4 and one at 4x4. 2 |x| + 5 |z| for the stem, 5 (|s| + |z|) for binary convolutions, 2 (|x| + |y|)
    for pools.
    """
    space = SPACES.get("tiny")
    supernet = Supernet(space, METHODS.get("xnor-net").from_settings({}), GREY_8)
    big, small = 64, 16
    convolutions = (2 * 1 + 5 * 24) * big + 5 * (24 + 8) * big + 5 * (16 + 16) * big
    halving = 2 * 2 * (16 * big + 16 * small)
    pools = 3 * 2 * (8 + 8) * big + halving + 2 * (16 + 16) * small
    for images in (1, 3):
        batch = torch.rand(images, 1, 8, 8)
        assert activation_values(supernet, tiny_genotype("max-pool-3x3"), batch) == images * (convolutions + pools)
        assert activation_values(supernet, tiny_genotype("skip"), batch) == images * (convolutions + halving)


def test_a_step_moves_its_activations_in_their_type_and_what_the_optimizer_touches() -> None:
    supernet = Supernet(SPACES.get("tiny"), METHODS.get("xnor-net").from_settings({}), GREY_8)
    genotype, images = tiny_genotype(), torch.rand(2, 1, 8, 8)
    values = activation_values(supernet, genotype, images)
    weights = OPTIMIZER_BYTES * sum(parameter.numel() for parameter in supernet.path_parameters(genotype).values())
    assert step_bytes(supernet, genotype, images, 2) == 2 * values + weights
    assert step_bytes(supernet, genotype, images, 4, passes=2) == 8 * values + weights
