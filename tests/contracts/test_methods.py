"""Every binarization method by discovery: two values, gradients, training, freezing. A new file is tested by being there."""

import copy
import doctest
import functools
import itertools
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from nas_service.binarization.audit import audit
from nas_service.binarization.frozen import InputScale
from nas_service.binarization.layer import BinaryConv2d, binary_layers
from nas_service.binarization.method import METHODS, Method
from nas_service.binarization.network import binary_network
from nas_service.export.measured_cost import measured_cost
from nas_service.export.packed import freeze_network, verify
from nas_service.export.standalone import frozen_weights
from nas_service.recipes.recipe import Recipe
from nas_service.training.candidate.full_precision import FullPrecisionPlan
from nas_service.training.candidate.trainer import CandidatePlan, CandidateTrainer
from search_spaces.cost import ConvShape
from search_spaces.network import CellStack, network_cost
from search_spaces.space import SPACES
from tests.rounding import differing, pixels
from tests.samples import GREY_8, digits, random_genotype, tiny_genotype, values_with_zeros

Configured = tuple[str, dict[str, Any]]
CONFIGURED: list[Configured] = [
    *((name, {}) for name in METHODS.names()),
    ("bnn", {"stochastic_weights": True, "stochastic_activations": True}),
    ("bnn", {"shift_batch_norm": True}),
    ("xnor-net", {"input_scale": "kmap"}),
    ("xnor-net", {"binary_activations": False}),
    ("mcn", {"mcn1": True}),
    ("pcnn", {"projections": 4, "forward_projection": "elementwise"}),
    ("pcnn", {"progressive": True}),
    ("rbcn", {"scale": "channel"}),
    ("bonn", {"keep_filters": 0.5, "feature_loss": 0.0}),
    ("rebnn", {"gamma": "constant"}),
]


def configured(methods: Sequence[Configured], quick: Collection[str] | None = None) -> pytest.MarkDecorator:
    """Run a test over methods with their settings; with `quick`, those whose ids are not in it are slow."""
    ids = [f"{name}{'+' if settings else ''}{'+'.join(settings)}" for name, settings in methods]
    assert quick is None or set(quick) <= set(ids)
    slow = [() if quick is None or each in quick else (pytest.mark.slow,) for each in ids]
    cases = [pytest.param(*method, id=each, marks=marks) for method, each, marks in zip(methods, ids, slow, strict=True)]
    return pytest.mark.parametrize(("name", "settings"), cases)


EVERY_METHOD = configured(CONFIGURED)
EVERY_METHOD_TRAINED = configured(CONFIGURED, quick=METHODS.names())  # by its defaults: settings are trained where it is resumed
SHAPES = [
    ConvShape(in_channels=4, out_channels=6, kernel_size=3, padding=1),
    ConvShape(in_channels=4, out_channels=4, kernel_size=5, stride=2, padding=4, dilation=2),
    ConvShape(in_channels=4, out_channels=4, kernel_size=3, padding=1, groups=4),
    ConvShape(in_channels=8, out_channels=2, kernel_size=1),
]
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
EVERY_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=["dense", "dilated-stride", "depthwise", "pointwise"])


def _method(name: str, settings: dict[str, Any]) -> Method:
    return METHODS.get(name).from_settings(settings)


def _layer(method: Method, shape: ConvShape) -> BinaryConv2d:
    layer = method(shape)
    assert isinstance(layer, BinaryConv2d)
    return layer


def _both_binary(method: Method) -> bool:
    """Whether the products of its frozen layers are binary: no factor inside the kernel, no real input."""
    return method.facts.precision.activation_bits == 1 and method.facts.precision.scales_per_position == 0


@functools.cache
def _teacher(space: str) -> CellStack:
    """A full-precision network after two steps: enough to be looked at."""
    genotype = tiny_genotype() if space == "tiny" else random_genotype(SPACES.get(space))
    plan = FullPrecisionPlan(SPACES.get(space), genotype, Recipe(epochs=1, max_steps_per_epoch=2), "digits")
    trainer = plan.trainer(digits(), torch.device("cpu"))
    for _ in trainer.fit():
        pass
    return trainer.network


def _trainer(name: str, settings: dict[str, Any], epochs: int, *, steps: int | None = 2) -> CandidateTrainer:
    recipe = Recipe(epochs=epochs, max_steps_per_epoch=steps)
    plan = CandidatePlan(SPACES.get("tiny"), tiny_genotype(), _method(name, settings), recipe, seed=3)
    return CandidateTrainer(plan, digits(), torch.device("cpu"), _teacher("tiny") if plan.needs_teacher else None)


@EVERY_METHOD
def test_weights_and_inputs_are_minus_one_or_plus_one(name: str, settings: dict[str, Any]) -> None:
    """In every shape, type and mode; zeros of either sign included, in the latent weights as well."""
    method = _method(name, settings)
    for shape, dtype, training in itertools.product(SHAPES, DTYPES, (True, False)):
        layer = _layer(method, shape).to(dtype).train(training)
        with torch.no_grad():
            layer.weight.copy_(values_with_zeros(*layer.weight.shape, dtype=dtype))
        inputs = values_with_zeros(2, shape.in_channels, 9, 9, dtype=dtype, seed=1)
        weights, seen, where = layer.binary_weight(), layer.binary_input(inputs), (shape, dtype, training)
        assert weights.dtype == seen.dtype == dtype, where
        assert set(weights.unique().tolist()) == {-1.0, 1.0}, where
        assert set(seen.unique().tolist()) == {-1.0, 1.0} if method.facts.surrogate else torch.equal(seen, inputs), where


@EVERY_METHOD
@EVERY_SHAPE
def test_what_the_convolution_really_sees_is_binary(name: str, settings: dict[str, Any], shape: ConvShape) -> None:
    """Padding included: it is -1 or +1, never 0. Where a factor sits inside the kernel, the kernel
    is not: nothing may pass for binary.
    """
    method = _method(name, settings)
    layer = _layer(method, shape)
    seen = audit(layer, values_with_zeros(2, shape.in_channels, 9, 9))
    assert len(seen.binary) == (1 if _both_binary(method) else 0)


@EVERY_METHOD
def test_every_convolution_of_a_built_network_is_binary_but_the_stem(name: str, settings: dict[str, Any]) -> None:
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space)
    method = _method(name, settings)
    network = binary_network(space, genotype, method, GREY_8)
    seen = audit(network, torch.rand(2, 1, 8, 8))
    if not _both_binary(method):
        assert not seen.binary
        return
    assert len(seen.binary) == len(binary_layers([network]))
    stem, *maps, classifier = seen.real
    assert (stem.weights, classifier.weights) == (9 * 48, 256 * 10)
    assert all(not product.binary_input for product in maps)  # K maps average real magnitudes; others have none
    assert bool(maps) == (settings.get("input_scale") == "kmap")


@EVERY_METHOD
@EVERY_SHAPE
def test_the_frozen_layer_equals_the_live_one_bit_for_bit(name: str, settings: dict[str, Any], shape: ConvShape) -> None:
    """Borders and zeros included: one +-1 convolution, then the same scale in the same order. Sums of reals up to rounding."""
    method = _method(name, settings)
    layer = _layer(method, shape).eval()
    with torch.no_grad():
        layer.weight.copy_(values_with_zeros(*layer.weight.shape))
    frozen = method.freeze(layer)
    assert frozen.bits.numel() == -(-shape.weights // frozen.planes // 8)
    inputs = values_with_zeros(3, shape.in_channels, 9, 9, seed=2)
    seen = verify(layer, frozen, inputs)
    # Real products, and the means of XNOR-Net's K, are summed in float64: n products of magnitude about 1, each rounded to 2^-24
    # in the live layer.
    is_real = not _both_binary(method) or frozen.input_scale is not InputScale.NONE
    assert seen.exact or (is_real and seen.max_difference < 1e-5)


@EVERY_METHOD
def test_outputs_before_the_scale_have_the_parity_of_the_number_of_bits(name: str, settings: dict[str, Any]) -> None:
    """Dot = K - 2 popcount(a xor w): same parity as K, within [-K, K]."""
    shape = SHAPES[0]
    method = _method(name, settings)
    layer = _layer(method, shape).eval()
    if not _both_binary(method):
        pytest.skip("the products are not binary")
    inputs = layer.binary_input(values_with_zeros(2, 4, 6, 6))
    integers = nn.functional.conv2d(nn.functional.pad(inputs, (1,) * 4, value=layer.pad_value), layer.kernel())
    assert torch.equal(integers, integers.round())
    assert int(integers.abs().max()) <= shape.fan_in
    assert set((integers.to(torch.int64) % 2).unique().tolist()) == {shape.fan_in % 2}


@EVERY_METHOD
def test_the_activation_gradient_is_the_declared_one_on_a_grid(name: str, settings: dict[str, Any]) -> None:
    """Both ends of the window included. Every channel sees the whole grid, with mean 0 and standard deviation 1.15."""
    grid = torch.linspace(-2, 2, 4001, dtype=torch.float64).round(decimals=3)
    method = _method(name, settings)
    layer = _layer(method, SHAPES[0]).to(torch.float64).train()
    inputs = grid.view(1, 1, 1, -1).repeat(1, SHAPES[0].in_channels, 1, 1).requires_grad_()
    layer.binary_input(inputs).sum().backward()
    assert inputs.grad is not None
    expected = (method.facts.surrogate or torch.ones_like)(inputs.detach())[0, 0, 0]
    torch.testing.assert_close(inputs.grad[0, 0, 0], expected, rtol=1e-12, atol=1e-12)


def _train(name: str, settings: dict[str, Any], epochs: int) -> CandidateTrainer:
    trainer = _trainer(name, settings, epochs)
    for _ in trainer.fit():
        pass
    return trainer


@EVERY_METHOD_TRAINED
def test_latent_weights_move_and_signs_flip_in_training(name: str, settings: dict[str, Any]) -> None:
    trainer = _trainer(name, settings, 2, steps=None)
    before = [layer.weight.detach().clone() for layer in binary_layers([trainer.network])]
    reports = list(trainer.fit())
    after = [layer.weight.detach() for layer in binary_layers([trainer.network])]
    assert all(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    assert sum(int(((old >= 0) != (new >= 0)).sum()) for old, new in zip(before, after, strict=True)) > 0
    assert reports[0].flip_ratio > 0


@pytest.mark.slow
@EVERY_METHOD_TRAINED
def test_the_same_seed_trains_the_same_network(name: str, settings: dict[str, Any]) -> None:
    """A training that is resumed has to, too: that test runs with every change, with every setting."""
    first, second = (_train(name, settings, 2).network.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


@EVERY_METHOD
def test_a_resumed_training_equals_the_uninterrupted_one(name: str, settings: dict[str, Any]) -> None:
    """Bit for bit on a CPU, from the serialised checkpoint."""
    whole = _train(name, settings, 3)
    interrupted = _trainer(name, settings, 3)
    next(interrupted.fit())
    saved = interrupted.checkpoint().to_bytes()
    resumed = _trainer(name, settings, 3)
    resumed.restore(type(interrupted.checkpoint()).from_bytes(saved))
    assert [report.epoch for report in resumed.fit()] == [1, 2]
    expected, actual = whole.network.state_dict(), resumed.network.state_dict()
    assert all(torch.equal(expected[key], actual[key]) for key in expected)


@EVERY_METHOD
def test_state_dict_round_trip_keeps_the_outputs(name: str, settings: dict[str, Any]) -> None:
    space = SPACES.get("tiny")
    first = binary_network(space, tiny_genotype(), _method(name, settings), GREY_8).eval()
    second = binary_network(space, tiny_genotype(), _method(name, settings), GREY_8).eval()
    second.load_state_dict(first.state_dict())
    images = torch.rand(3, 1, 8, 8)
    assert torch.equal(first(images), second(images))


@EVERY_METHOD
def test_a_frozen_network_holds_bits_and_declared_floats_only(name: str, settings: dict[str, Any]) -> None:
    """Its size is the declared one to the byte, so no latent weight, centre or moment can hide in it."""
    space = SPACES.get("abandit-general")
    genotype = random_genotype(space)
    method = _method(name, settings)
    network = binary_network(space, genotype, method, GREY_8)
    weights = frozen_weights(freeze_network(network, method))
    size = sum(tensor.numel() * tensor.element_size() for tensor in weights.values())
    declared = network_cost(space, genotype, GREY_8, method.facts.precision)
    assert size == declared.packed_bytes
    measured = measured_cost(freeze_network(network, method), GREY_8)
    if settings.get("input_scale") == "kmap":  # the means under the windows are convolutions that the declaration leaves out
        assert measured.flops > declared.flops
        measured = replace(measured, flops=declared.flops)
    assert measured == declared
    assert not any(isinstance(module, BinaryConv2d) for module in freeze_network(network, method).modules())


@EVERY_METHOD
def test_freezing_leaves_the_trained_network_alone(name: str, settings: dict[str, Any]) -> None:
    method = _method(name, settings)
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8).train()
    before = copy.deepcopy(network.state_dict())
    frozen = freeze_network(network, method)
    images = pixels(GREY_8, 64)
    assert network.training
    assert all(torch.equal(before[key], network.state_dict()[key]) for key in before)
    assert differing(frozen(images), network.eval()(images)) <= 1  # a sign may flip: real layers round in another way


@EVERY_METHOD
def test_attacks_get_a_gradient_in_evaluation(name: str, settings: dict[str, Any]) -> None:
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), _method(name, settings), GREY_8)
    network(torch.rand(64, 1, 8, 8))  # batch norm statistics, so that activations lie where gradients pass
    network.eval()
    images = torch.rand(4, 1, 8, 8, requires_grad=True)
    nn.functional.cross_entropy(network(images), torch.arange(4)).backward()
    assert images.grad is not None
    assert torch.count_nonzero(images.grad) > 0


@EVERY_METHOD
def test_its_layers_are_of_the_type_that_it_names(name: str, settings: dict[str, Any]) -> None:
    """So that hooks, rules and `freeze` see the layers that they are written for."""
    method = _method(name, settings)
    network = binary_network(SPACES.get("tiny"), tiny_genotype(), method, GREY_8)
    layers = method.layers_of(network)
    assert layers
    assert all(ours is theirs for ours, theirs in zip(layers, binary_layers([network]), strict=True))


@pytest.mark.parametrize("name", METHODS.names())
def test_its_docstring_begins_with_a_sentence_and_has_a_short_example_that_is_so(name: str) -> None:
    method = METHODS.get(name)
    (example,) = doctest.DocTestFinder(recurse=False).find(method, globs={**vars(sys.modules[method.__module__]), "torch": torch})
    sentence = (example.docstring or "").split("\n\n")[0]
    assert sentence.endswith(".")
    assert len(sentence.split()) > 7
    assert 1 < len(example.examples) <= 3
    assert method.__name__ in example.examples[0].source
    assert example.examples[-1].want
    told: list[str] = []
    torch.manual_seed(0)
    assert doctest.DocTestRunner().run(example, out=told.append).failed == 0, "".join(told)


def test_unknown_settings_are_refused() -> None:
    for name in METHODS.names():
        with pytest.raises(ValueError, match="no_such_setting"):
            _method(name, {"no_such_setting": 1})
