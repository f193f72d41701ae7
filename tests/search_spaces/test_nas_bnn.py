"""The searched layers of `nas-bnn`: what is searched, what is not, and what a layer is."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.audit import audit
from nas_service.binarization.layer import BinaryConv2d
from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION, Size
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.network import ImageFormat, Network, network_cost
from search_spaces.space import SKIP, SPACES, SpaceSettings
from search_spaces.spaces.nas_bnn import LAYERS
from search_spaces.supernet import Supernet
from tests.samples import GREY_8, random_genotype

SPACE = SPACES.get("nas-bnn")
BNN = METHODS.get("bnn").from_settings({})
CIFAR = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)
OPTIONAL = ("stage-1-c", "stage-2-c", "stage-3-c")
EVERY_SEED = pytest.mark.parametrize("seed", range(4))


def _genotype(operation: str, optional: str = SKIP) -> Genotype:
    """Return one operation in the required layers and one in the others."""
    names = [cell.name for cell in SPACE.cell_types]
    return SPACE.genotype({(name, "0-1"): optional if name in OPTIONAL else operation for name in names})


def _layers(genotype: Genotype) -> tuple[tuple[str, ...], ...]:
    """Return the blocks that are computed, stage by stage, whatever the layers are called."""
    stages: list[list[str]] = [[], [], []]
    for choice in genotype.choices:
        if choice.operation != SKIP:
            stages[int(choice.cell.split("-")[1]) - 1].append(choice.operation)
    return tuple(map(tuple, stages))


def test_eight_blocks_in_nine_layers_of_which_three_may_be_left_out() -> None:
    assert SPACE.size() == 8**6 * 9**3
    assert [cell.name for cell in SPACE.cell_types if not cell.required] == list(OPTIONAL)
    assert not SPACE.is_reference


def test_no_two_genotypes_are_the_same_network() -> None:
    """Only the last layer of a stage may be left out, so what is computed tells which layers are there."""
    drawn = [random_genotype(SPACE, seed) for seed in range(300)]
    genotypes = {*drawn, *(_genotype(first, last) for first in LAYERS for last in (*LAYERS, SKIP))}
    assert len({_layers(genotype) for genotype in genotypes}) == len(genotypes)
    assert {tuple(map(len, _layers(genotype))) for genotype in genotypes} == {
        (a, b, c) for a in (2, 3) for b in (2, 3) for c in (2, 3)
    }


def test_a_required_layer_cannot_be_left_out() -> None:
    skipped = {(cell.name, "0-1"): SKIP for cell in SPACE.cell_types}
    with pytest.raises(InvalidFieldError, match=r"genotype\.cells\.stage-1-a\.0-1.*one of: (?!.*skip)"):
        SPACE.genotype(skipped)


def test_operations_given_keep_required_layers_required() -> None:
    space = SPACE.configure(SpaceSettings(operations=[SKIP, "conv-3x3", "max-pool-3x3"]))
    assert space.size() == 2**6 * 3**3
    with pytest.raises(InvalidFieldError, match="an operation other than skip"):
        SPACE.configure(SpaceSettings(operations=[SKIP]))


@pytest.mark.parametrize("cells", [9, 10, 13, 18, 27, 64])
def test_more_cells_repeat_layers_and_never_a_reduction(cells: int) -> None:
    plans = SPACE.configure(SpaceSettings(cells=cells)).plan()
    assert sum(plan.halves for plan in plans) == 2
    assert all(first.channels <= second.channels for first, second in pairwise(plans))
    assert {plan.cell_type for plan in plans} == {cell.name for cell in SPACE.cell_types}


def _outputs(network: Network, images: Tensor) -> list[Tensor]:
    """Return what leaves stem and layers."""
    seen: list[Tensor] = []
    for module in (network.stem, *network.cells):
        module.register_forward_hook(lambda _, __, output: seen.append(output))
    network(images)
    return seen


@pytest.mark.parametrize("pixels", [8, 9, 32])
def test_stages_halve_the_size_and_double_the_channels(pixels: int) -> None:
    network = binary_network(SPACE, random_genotype(SPACE), BNN, CIFAR)
    sizes = [Size(pixels, pixels)]
    for _ in range(2):
        sizes.append(sizes[-1].strided(2))
    expected = [(16, *sizes[0])] * 4 + [(32, *sizes[1])] * 3 + [(64, *sizes[2])] * 3
    assert [tuple(output.shape[1:]) for output in _outputs(network, torch.rand(2, 3, pixels, pixels))] == expected
    assert network.classifier.in_features == 64


def test_what_is_left_out_costs_nothing_and_is_not_computed() -> None:
    """Two layers a stage of a 3x3 and a 1x1 convolution: 9 C^2 + C^2 bits each, counted by hand."""
    cost = network_cost(SPACE, _genotype("mobile-conv-3x3"), CIFAR, BNN.facts.precision)
    assert cost.binary_parameters == 2 * 10 * (16**2 + 32**2 + 64**2)
    assert cost.bops == 2 * 10 * (16**2 * 32**2 + 32**2 * 16**2 + 64**2 * 8**2)
    assert cost.flops == 3 * 16 * 9 * 32**2 + 64 * 10
    network = binary_network(SPACE, _genotype("mobile-conv-3x3"), BNN, CIFAR)
    outputs = _outputs(network, torch.rand(2, 3, 32, 32))
    for left_out in (3, 6, 9):
        assert torch.equal(outputs[left_out], outputs[left_out - 1])


@pytest.mark.parametrize(
    ("operation", "weights"),
    [
        ("mobile-conv-3x3", 9 * 16 * 16 + 16 * 16),
        ("mobile-conv-5x5", 25 * 16 * 16 + 16 * 16),
        ("mobile-grouped-conv-3x3", 9 * 16 * 4 + 16 * 16),
        ("mobile-grouped-conv-5x5", 25 * 16 * 4 + 16 * 16),
        ("wide-mobile-conv-3x3", 9 * 16 * 32 + 32 * 16),
        ("wide-mobile-conv-5x5", 25 * 16 * 32 + 32 * 16),
        ("wide-mobile-grouped-conv-3x3", 9 * 4 * 32 + 32 * 16),
        ("wide-mobile-grouped-conv-5x5", 25 * 4 * 32 + 32 * 16),
    ],
)
def test_a_block_has_the_weights_of_its_kernel_groups_and_width(operation: str, weights: int) -> None:
    """On the first layer: of 16 channels, in 4 groups of 4."""
    network = binary_network(SPACE, _genotype(operation), BNN, GREY_8)
    convolutions = [module for module in network.cells[0].modules() if isinstance(module, BinaryConv2d)]
    assert len(convolutions) == 2
    assert sum(module.weight.numel() for module in convolutions) == weights


@EVERY_SEED
def test_first_convolution_and_classifier_are_real_and_everything_else_is_binary(seed: int) -> None:
    network = binary_network(SPACE, random_genotype(SPACE, seed), BNN, CIFAR)
    real = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert [module.weight.numel() for module in real] == [3 * 16 * 9, 64 * 10]


@EVERY_SEED
def test_declared_operations_are_those_of_a_forward_pass(seed: int) -> None:
    genotype = random_genotype(SPACE, seed)
    counted = audit(binary_network(SPACE, genotype, BNN, CIFAR), torch.rand(1, 3, 32, 32))
    cost = network_cost(SPACE, genotype, CIFAR, BNN.facts.precision)
    assert (cost.bops, cost.flops) == (counted.bops, counted.flops)


@EVERY_SEED
def test_with_every_convolution_at_zero_the_stem_is_carried_to_the_classifier(seed: int) -> None:
    """A shortcut around every binary convolution, wide blocks and reductions included: what is left is PReLUs and 2x2 means."""
    network = binary_network(SPACE, random_genotype(SPACE, seed), BNN, GREY_8).eval()
    for module in network.cells.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
        if isinstance(module, nn.PReLU):
            nn.init.ones_(module.weight)
    images = torch.rand(2, 1, 8, 8)
    carried = network.stem(network.normalize(images))
    for _ in range(2):
        carried = nn.functional.avg_pool2d(carried, 2).repeat(1, 2, 1, 1)
    torch.testing.assert_close(network(images), network.classifier(carried.mean((2, 3))))


def test_in_a_supernet_every_arm_has_weights_of_its_own() -> None:
    """Narrow blocks are not cut out of wide ones: two paths that differ in every layer share stem and classifier."""
    supernet = Supernet(SPACE, FullPrecisionConv(), GREY_8)
    narrow, wide = (_genotype(operation) for operation in ("mobile-conv-3x3", "wide-mobile-conv-5x5"))
    shared = set(supernet.path_parameters(narrow)) & set(supernet.path_parameters(wide))
    assert shared == {name for name, _ in supernet.named_parameters() if not name.startswith("cells.")}
    whole = network_cost(SPACE, narrow, GREY_8, FULL_PRECISION).float_parameters
    assert sum(parameter.numel() for parameter in supernet.path_parameters(narrow).values()) == whole
