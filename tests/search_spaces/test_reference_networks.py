"""Reference networks: their layers, one by one, and their sizes beside those of the literature."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from nas_service.binarization.audit import audit
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS
from nas_service.binarization.network import binary_network
from nas_service.binarization.sign import sign
from nas_service.training.scoring.batch_norm import batch_norms, reestimate
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.cost import FULL_PRECISION, Cost, Size
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.layers import layer_costs
from search_spaces.network import ImageFormat, Network, network_cost
from search_spaces.space import SPACES, SearchSpace, SpaceSettings, Stem

BNN = METHODS.get("bnn").from_settings({})
CIFAR = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.5,) * 3, std=(0.25,) * 3)
IMAGENET = replace(CIFAR, size=Size(224, 224), classes=1000)
REFERENCE = ("resnet-18", "resnet-20", "vgg-binarynet", "vgg-small")
LARGE = SpaceSettings(stem=Stem.LARGE)
EVERY_NETWORK = pytest.mark.parametrize("name", REFERENCE)


def _only(space: SearchSpace) -> Genotype:
    """Return the one genotype of a space."""
    return space.genotype({(cell.name, edge.name): edge.operations[0] for cell in space.cell_types for edge in space.edges})


def _cost(name: str, image: ImageFormat = CIFAR, settings: SpaceSettings | None = None) -> Cost:
    space = SPACES.get(name).configure(settings or SpaceSettings())
    return network_cost(space, _only(space), image, BNN.facts.precision)


def _network(name: str, image: ImageFormat = CIFAR, settings: SpaceSettings | None = None) -> Network:
    space = SPACES.get(name).configure(settings or SpaceSettings())
    return binary_network(space, _only(space), BNN, image)


def test_every_space_of_one_architecture_is_a_reference_network_and_the_other_way_round() -> None:
    spaces = [SPACES.get(name) for name in SPACES.names()]
    assert tuple(space.name for space in spaces if space.size() == 1) == REFERENCE
    assert tuple(space.name for space in spaces if space.is_reference) == REFERENCE


# Slopes of PReLUs are left out: the originals have ReLU. Weights of 3x3 convolutions are counted by hand in the comments.
@pytest.mark.parametrize(
    ("name", "image", "settings", "slopes", "parameters"),
    [
        # He et al., table 6: 0.27 M. 432 + 9 (6 (16 16) + 16 32 + 5 (32 32) + 32 64 + 5 (64 64)), norms 1,376, classifier 650
        ("resnet-20", CIFAR, None, 6 * (16 + 32 + 64), 269_722),
        # 11.2 M: a stem of 3 64 9 and a classifier of 10 classes
        ("resnet-18", CIFAR, None, 4 * (64 + 128 + 256 + 512), 11_173_962),
        # 11.7 M: a stem of 3 64 49 and a classifier of 1,000 classes
        ("resnet-18", IMAGENET, LARGE, 4 * (64 + 128 + 256 + 512), 11_689_512),
        # 4.6 M: 3,456 + 4,571,136 of five convolutions, norms 2 (2 128 + 2 256 + 2 512), classifier 81,930
        ("vgg-small", CIFAR, None, 0, 4_660_106),
        # 14,022,016 weights: vgg-small's convolutions, 8192 1024 + 1024 1024 + 1024 10; norms 2 3,840, the classifier's biases 10
        ("vgg-binarynet", CIFAR, None, 0, 14_022_016 + 7_680 + 10),
    ],
)
def test_parameters_are_those_of_the_literature(
    name: str, image: ImageFormat, settings: SpaceSettings | None, slopes: int, parameters: int
) -> None:
    cost = _cost(name, image, settings)
    assert cost.binary_parameters + cost.float_parameters - slopes == parameters


@pytest.mark.parametrize(
    ("name", "binary", "real_weights"),
    [
        ("resnet-20", 267_264, 3 * 16 * 9 + 64 * 10),
        ("resnet-18", 10_985_472, 3 * 64 * 9 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * 10),
        ("vgg-small", 4_571_136, 3 * 128 * 9 + 512 * 4 * 4 * 10),
        ("vgg-binarynet", 14_022_016 - 3_456 - 10_240, 3 * 128 * 9 + 1024 * 10),
    ],
)
def test_first_convolution_projections_and_classifier_are_real_and_everything_else_binary(
    name: str, binary: int, real_weights: int
) -> None:
    network = _network(name)
    real = [part.weight.numel() for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    assert sum(part.weight.numel() for part in network.modules() if isinstance(part, BinaryConv2d)) == binary
    assert sum(real) == real_weights
    assert _cost(name).binary_parameters == binary


def test_resnet_18_on_224_pixels_takes_the_operations_that_the_authors_of_react_net_count_for_bi_real_net() -> None:
    """Their README: 1.63e8 OPs. Ours are within 1 %: they round, and do not say what they count beside convolutions."""
    cost = _cost("resnet-18", IMAGENET, LARGE)
    stem, shortcuts = 3 * 64 * 49 * 112**2, (64 * 128 * 28**2) * 3  # a quarter of the positions, four times the weights
    assert cost.flops == stem + shortcuts + 512 * 1000
    full = 64 * 64 * 9 * 56**2  # of every convolution that keeps its size; the three that halve it have half as many weights
    assert cost.bops == 13 * full + 3 * full // 2
    assert cost.ops == pytest.approx(1.63e8, rel=0.01)


@EVERY_NETWORK
def test_declared_operations_are_those_of_a_forward_pass(name: str) -> None:
    counted = audit(_network(name), torch.rand(1, 3, 32, 32))
    assert (_cost(name).bops, _cost(name).flops) == (counted.bops, counted.flops)


def test_declared_operations_are_those_of_a_forward_pass_with_the_large_stem() -> None:
    """On an odd size, which every stride rounds up."""
    image = replace(CIFAR, size=Size(75, 61))
    counted = audit(_network("resnet-18", image, LARGE), torch.rand(1, 3, 75, 61))
    cost = _cost("resnet-18", image, LARGE)
    assert (cost.bops, cost.flops) == (counted.bops, counted.flops)


@EVERY_NETWORK
def test_layer_by_layer_the_cost_is_the_whole_one(name: str) -> None:
    space = SPACES.get(name)
    rows, whole = layer_costs(space, _only(space), CIFAR, BNN.facts.precision), _cost(name)
    assert sum(row.parameters for row in rows) == whole.binary_parameters + whole.float_parameters
    assert (sum(row.bops for row in rows), sum(row.flops for row in rows)) == (whole.bops, whole.flops)
    assert sum(row.bytes for row in rows) == whole.packed_bytes
    assert sum(row.weight_bits == 1 for row in rows) == space.cells + len(space.hidden_widths)


def _outputs(network: Network) -> list[Tensor]:
    """Return what leaves stem and cells for an image of 32x32 pixels."""
    seen: list[Tensor] = []
    for module in (network.stem, *network.cells):
        module.register_forward_hook(lambda _, __, output: seen.append(output))
    network(torch.rand(2, 3, 32, 32))
    return seen


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet-18", [(64, 32)] * 5 + [(128, 16)] * 4 + [(256, 8)] * 4 + [(512, 4)] * 4),
        ("resnet-20", [(16, 32)] * 7 + [(32, 16)] * 6 + [(64, 8)] * 6),
        ("vgg-binarynet", [(128, 32), (128, 16), (256, 16), (256, 8), (512, 8), (512, 4)]),
        ("vgg-small", [(128, 32), (128, 16), (256, 16), (256, 8), (512, 8), (512, 4)]),
    ],
)
def test_stages_have_the_published_widths_and_sizes(name: str, shapes: list[tuple[int, int]]) -> None:
    network = _network(name)
    assert [(output.shape[1], output.shape[2]) for output in _outputs(network)] == shapes
    inputs = {"resnet-18": 512, "resnet-20": 64, "vgg-binarynet": 1024, "vgg-small": 512 * 4 * 4}
    assert network.classifier.in_features == inputs[name]


def test_with_every_convolution_at_zero_resnet_20_still_carries_its_stem_to_the_classifier() -> None:
    """A shortcut around every binary convolution: what is left is PReLUs, 2x2 means and copies of channels."""
    network = _network("resnet-20").eval()
    for module in network.cells.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    images = torch.rand(2, 3, 32, 32)
    stem = network.stem(network.normalize(images))
    carried = torch.where(stem >= 0, stem, stem * 0.25**6)
    for _ in range(2):
        carried = nn.functional.avg_pool2d(carried, 2).repeat(1, 2, 1, 1)
        carried = torch.where(carried >= 0, carried, carried * 0.25**6)
    torch.testing.assert_close(network(images), network.classifier(carried.mean((2, 3))))


def test_binarynet_s_fully_connected_layers_are_products_of_signs_with_norm_and_clip() -> None:
    """Written out as a matrix product over all positions of the last map; integers are exact up to 2^24, so nothing differs."""
    network, images, last = _network("vgg-binarynet").eval(), torch.rand(4, 3, 32, 32), list[Tensor]()
    network.cells[-1].register_forward_hook(lambda _, __, output: last.append(output))
    logits = network(images)
    values = last[0].flatten(1)
    for number, (outputs, inputs) in enumerate([(1024, 512 * 4 * 4), (1024, 1024)]):
        weight, norm = network.get_parameter(f"hidden.{number}.0.weight"), network.get_submodule(f"hidden.{number}.1")
        assert weight.shape == (outputs, inputs, 1, 1)
        products = sign(values) @ sign(weight.flatten(1)).T
        values = norm(products[:, :, None, None]).flatten(1).clamp(-1, 1)
    assert torch.equal(logits, network.classifier(values))


@pytest.mark.parametrize("name", ["vgg-binarynet", "vgg-small"])
def test_vgg_pools_between_convolution_and_norm_at_the_end_of_every_stage(name: str) -> None:
    network = _network(name).train()
    outputs = _outputs(network)
    for place, (inputs, output) in enumerate(pairwise(outputs)):
        block, ends_stage = network.cells[place].get_submodule("edges.0-1.conv-3x3"), place % 2 == 0
        (conv,) = binary_layers([block])
        integers = conv(inputs)
        pooled = nn.functional.max_pool2d(integers, 2) if ends_stage else integers
        expected = nn.functional.batch_norm(pooled, None, None, training=True).clamp(-1, 1)
        torch.testing.assert_close(output, expected)


@pytest.mark.parametrize("name", ["vgg-binarynet", "vgg-small"])
def test_so_what_its_signs_read_behind_a_pool_is_positive_about_as_often_as_not(name: str) -> None:
    """A norm centres it: by how much its median is off depends on the images. A pool behind the norm leaves most positive."""
    torch.manual_seed(0)
    outputs = _outputs(_network(name).train())
    assert [round(float((output >= 0).float().mean()), 1) for output in outputs[1::2]] == [0.5, 0.5, 0.5]
    pooled = [nn.functional.max_pool2d(output, 2) for output in outputs[::2]]
    assert all(float((output >= 0).float().mean()) > 0.85 for output in pooled)


@pytest.mark.parametrize(
    ("pixels", "stem", "positions"),
    [(8, "small", 1), (28, "small", 4 * 4), (33, "small", 5 * 5), (224, "large", 7 * 7), (224, "small", 28 * 28)],
)
def test_binarynet_s_first_fully_connected_layer_sees_every_position_of_the_last_map(
    pixels: int, stem: str, positions: int
) -> None:
    """At a sixteenth of the width, where the last map has 32 channels."""
    image, settings = replace(CIFAR, size=Size(pixels, pixels)), SpaceSettings(channels=8, stem=Stem(stem))
    network, cost = _network("vgg-binarynet", image, settings), _cost("vgg-binarynet", image, settings)
    assert [part.shape.in_channels for part in binary_layers([network.hidden])] == [32 * positions, 64]
    counted = audit(network, torch.rand(1, 3, pixels, pixels))
    assert (cost.bops, cost.flops) == (counted.bops, counted.flops)
    assert cost.binary_parameters == sum(product.weights for product in counted.binary)


def test_the_cost_by_layer_names_the_fully_connected_layers_and_what_stands_around_them() -> None:
    space = SPACES.get("vgg-binarynet")
    rows = layer_costs(space, _only(space), CIFAR, METHODS.get("xnor-net").from_settings({}).facts.precision)
    hidden = [(row.layer, row.weight_bits, row.parameters) for row in rows if row.layer.startswith("fully connected")]
    around = ("norm, activation and shortcut of the 1x1 convolution", 32, 2 * 1024)
    expected = []
    for name, weights in (("fully connected 1", 8192 * 1024), ("fully connected 2", 1024 * 1024)):
        parts = [("1x1 convolution", 1, weights), ("scales of the 1x1 convolution", 32, 1024), around]
        expected += [(f"{name}: {layer}", bits, parameters) for layer, bits, parameters in parts]
    assert hidden == expected
    assert {row.cell for row in rows if row.layer.startswith("fully connected")} == {None}


@EVERY_NETWORK
def test_real_activations_are_bent_between_convolutions_not_only_by_pools(name: str) -> None:
    """Else the full-precision network, from which others learn, is a linear one."""
    network = Network(SPACES.get(name), _only(SPACES.get(name)), FullPrecisionConv(), CIFAR)
    for parent in list(network.modules()):
        for child, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                setattr(parent, child, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
    reestimate(batch_norms(network), network, [torch.rand(8, 3, 32, 32)])  # so that values are as large as in a trained one
    network.eval()
    left, right = torch.rand(2, 4, 3, 32, 32)
    with torch.no_grad():
        middle, mean = network((left + right) / 2), (network(left) + network(right)) / 2
    assert float((middle - mean).abs().max() / mean.std()) > 1e-3


@pytest.mark.parametrize(("stem", "height", "width"), [(Stem.SMALL, 33, 64), (Stem.STRIDED, 17, 32), (Stem.LARGE, 9, 16)])
def test_stems_leave_any_space_the_size_that_is_counted(stem: Stem, height: int, width: int) -> None:
    space = SPACES.get("tiny").configure(SpaceSettings(stem=stem))
    genotype = space.genotype({(cell.name, edge.name): "skip" for cell in space.cell_types for edge in space.edges})
    image = replace(CIFAR, size=Size(33, 64))
    network = Network(space, genotype, BNN, image)
    assert network.stem(torch.rand(1, 3, 33, 64)).shape == (1, 24, height, width)
    counted, declared = audit(network, torch.rand(1, 3, 33, 64)), network_cost(space, genotype, image, BNN.facts.precision)
    assert (declared.flops, declared.bops) == (counted.flops, counted.bops)


@pytest.mark.parametrize("stem", [Stem.STRIDED, Stem.LARGE])
def test_the_last_map_of_a_vgg_is_as_small_as_its_stem_makes_it(stem: Stem) -> None:
    """Its classifier sees every position by itself, so the cost needs the size."""
    settings, image = SpaceSettings(stem=stem, channels=8), replace(CIFAR, size=Size(75, 61))
    network, cost = _network("vgg-small", image, settings), _cost("vgg-small", image, settings)
    counted = audit(network, torch.rand(1, 3, 75, 61))
    assert (cost.bops, cost.flops) == (counted.bops, counted.flops)


@EVERY_NETWORK
def test_a_reference_network_takes_no_other_operations(name: str) -> None:
    with pytest.raises(InvalidFieldError, match=f"operations: .*allowed: nothing: {name} is one network of fixed operations"):
        SPACES.get(name).configure(SpaceSettings(operations=["conv-3x3", "skip"]))


def test_a_deeper_resnet_keeps_its_three_even_stages() -> None:
    """ResNet-32 and ResNet-56 of He et al., table 6: 0.46 M and 0.85 M."""
    for cells, slopes, millions in ((30, 10 * 112, 0.46), (54, 18 * 112, 0.85)):
        cost = _cost("resnet-20", CIFAR, SpaceSettings(cells=cells))
        assert (cost.binary_parameters + cost.float_parameters - slopes) / 1e6 == pytest.approx(millions, abs=0.01)


@EVERY_NETWORK
def test_the_full_precision_control_has_the_same_number_of_parameters(name: str) -> None:
    space = SPACES.get(name)
    control = network_cost(space, _only(space), CIFAR, FULL_PRECISION)
    assert control.float_parameters == _cost(name).float_parameters + _cost(name).binary_parameters
