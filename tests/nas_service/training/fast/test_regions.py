"""Compiled regions: one piece of code for all modules of a kind, and the plain path's results."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from nas_service.binarization.method import METHODS
from nas_service.recipes.recipe import EvaluationSettings
from nas_service.training.fast.regions import Regions, running
from nas_service.training.supernet.trainer import SupernetPlan, SupernetTrainer, TrainedPath
from search_spaces.conv_factory import FullPrecisionConv
from search_spaces.genotype import Genotype
from search_spaces.network import Network, run_module
from search_spaces.operation import OPERATIONS
from search_spaces.space import SPACES
from search_spaces.template import TEMPLATES
from tests.contracts.test_methods import CONFIGURED, configured
from tests.samples import GREY_8, digits, random_genotype, tiny_genotype

SPACE = SPACES.get("tiny")


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def _compiled() -> int:
    return counters["stats"]["unique_graphs"]


def _genotype(first: str, second: str) -> Genotype:
    """Return a path whose two edges from node 0 differ; the third edge is a convolution."""
    chosen = {"0-1": first, "0-2": second, "1-2": "dilated-conv-3x3"}
    return SPACE.genotype({(cell.name, edge.name): chosen[edge.name] for cell in SPACE.cell_types for edge in SPACE.edges})


ONE, OTHER = _genotype("dilated-conv-3x3", "max-pool-3x3"), _genotype("max-pool-3x3", "dilated-conv-3x3")


def _trainer(
    name: str = "xnor-net",
    method: Mapping[str, Any] | None = None,
    regions: Regions | None = None,
    fast: Mapping[str, Any] | None = None,
) -> SupernetTrainer:
    settings = EvaluationSettings.model_validate(
        {"max_steps": 2, "validation_images": 32, "calibration_batches": 1, "optimizer": "sgd", "acceleration": fast or {}}
    )
    plan = SupernetPlan(SPACE, METHODS.get(name).from_settings(method or {}), settings, seed=0, total_samples=10)
    trainer = SupernetTrainer(plan, digits().without_test(), torch.device("cpu"))
    trainer.bench.regions = regions
    return trainer


def _equal(plain: TrainedPath, fast: TrainedPath, weight_error: float) -> None:
    """The losses of two steps agree to rounding, 2^-24 of 2.3 summed over the operations of a path; so do the weights."""
    assert fast.evaluation.loss == pytest.approx(plain.evaluation.loss, abs=1e-5)
    for name, tensor in plain.weights.items():
        torch.testing.assert_close(fast.weights[name], tensor, rtol=0, atol=weight_error)


def test_another_path_of_the_same_operations_compiles_nothing_new() -> None:
    """Its convolutions and pools are other modules with other weights, on other edges."""
    regions = Regions("aot_eager")
    trainer, plain = _trainer(regions=regions), _trainer()
    _equal(plain.evaluate(0, ONE), trainer.evaluate(0, ONE), 1e-5)
    made, compiled = len(regions), _compiled()
    assert 0 < compiled <= made
    _equal(plain.evaluate(1, OTHER), trainer.evaluate(1, OTHER), 1e-5)
    assert (len(regions), _compiled()) == (made, compiled)


def test_regions_go_with_bf16_and_channels_last() -> None:
    """The same operations in the same types: nothing is left but rounding, which bf16 lets a sign see at times."""
    fast = {"precision": "bf16", "channels_last": True, "fused_optimizer": True}
    trainer, plain = _trainer(regions=Regions("aot_eager"), fast=fast), _trainer(fast=fast)
    ours, expected = (each.evaluate(0, ONE).evaluation.loss for each in (trainer, plain))
    assert ours == pytest.approx(expected, abs=0.01)


def test_a_new_operation_and_a_new_shape_compile_what_is_new_and_no_more() -> None:
    regions = Regions("aot_eager")
    trainer = _trainer(regions=regions)
    trainer.evaluate(0, tiny_genotype("dilated-conv-3x3"))
    made = len(regions)
    trainer.evaluate(1, tiny_genotype("max-pool-3x3"))
    assert len(regions) == made + 3  # pools at stride 1 in either cell, whose widths differ, and one at stride 2
    trainer.evaluate(2, tiny_genotype("skip"))
    assert len(regions) == made + 3 + 1  # the identity is nobody's region, the 2x2 mean is


def test_modules_that_look_alike_and_differ_are_told_apart_by_guards() -> None:
    """The key is for speed, not for correctness."""
    regions = Regions("aot_eager")

    class Times(nn.Module):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs * self.factor

    inputs = torch.ones(2, 3)
    assert [float(regions(Times(factor), inputs)[0, 0]) for factor in (2.0, 3.0, 2.0)] == [2, 3, 2]
    assert len(regions) == 1


def test_what_cannot_be_compiled_as_one_piece_is_an_error() -> None:
    class Looks(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return inputs if inputs.sum() > 0 else -inputs

    with pytest.raises(torch._dynamo.exc.Unsupported):
        Regions("aot_eager")(Looks(), torch.ones(2, 3))


def test_a_network_runs_plainly_again_after_the_block() -> None:
    network = Network(SPACE, tiny_genotype(), FullPrecisionConv(), GREY_8)
    seen: list[nn.Module] = []

    def run(module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        seen.append(module)
        return run_module(module, inputs)

    with running(network, run):
        network(torch.rand(2, 1, 8, 8))
    assert len(seen) == 2 + 2 * 4  # stem and last batch norm; in each cell a convolution before it and three edges
    network(torch.rand(2, 1, 8, 8))
    assert len(seen) == 10


def test_fully_connected_layers_before_the_classifier_are_regions_too() -> None:
    space = replace(SPACES.get("vgg-binarynet"), channels=4)
    network = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8).eval()
    images, regions = torch.rand(2, 1, 8, 8), Regions("aot_eager")
    expected = network(images)
    with running(network, regions):
        torch.testing.assert_close(network(images), expected)
    assert len(regions) == 1 + space.cells + len(space.hidden_widths)  # the stem's; no two convolutions are of one shape


def test_searched_layers_and_the_means_before_their_stages_are_regions_too() -> None:
    space = replace(SPACES.get("nas-bnn"), channels=4)
    network = Network(space, random_genotype(space), FullPrecisionConv(), GREY_8).eval()
    images, regions = torch.rand(2, 1, 8, 8), Regions("aot_eager")
    expected = network(images)
    with running(network, regions):
        torch.testing.assert_close(network(images), expected)
    kinds = {(choice.cell.split("-")[1], choice.operation) for choice in network.genotype.choices if choice.operation != "skip"}
    assert len(regions) == 1 + len(kinds) + 2  # the stem's; the same block is shared by the layers of a stage; the means'


@configured(CONFIGURED, quick={"xnor-net", "rbonn", "bnn+shift_batch_norm"})
def test_every_method_that_can_be_compiled_trains_as_the_plain_path_does(name: str, settings: dict[str, Any]) -> None:
    """By discovery; a method that needs a teacher trains no supernet. Those that are not slow: a plain layer, one that is given
    tensors of its state, and norms of the method's own.
    """
    method = METHODS.get(name).from_settings(settings)
    if method.facts.needs_eager is None and not method.facts.needs_teacher:
        regions = Regions("aot_eager")
        _equal(_trainer(name, settings).evaluate(0, ONE), _trainer(name, settings, regions).evaluate(0, ONE), 1e-4)


@pytest.mark.parametrize("operation", [pytest.param("dilated-conv-3x3", marks=pytest.mark.slow), "max-pool-3x3"])
def test_generated_code_has_the_plain_path_s_outputs_and_gradients_and_serves_every_module(operation: str) -> None:
    """Inductor's C++: sums of 144 products of size 1 round to 144 * 2^-24 each, so do gradients of size up to 100."""
    block = TEMPLATES.get("shortcut")().wrap(METHODS.get("xnor-net").from_settings({}))
    regions = Regions()
    for seed in range(2):
        torch.manual_seed(seed)
        module = OPERATIONS.get(operation)()(block, 16, 1)
        results = []
        for run in (run_module, regions):
            inputs = torch.randn(4, 16, 8, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()
            outputs = run(module, inputs)
            gradients = torch.autograd.grad(outputs.square().sum(), [inputs, *module.parameters()])
            results.append([outputs, *gradients])
        for ours, expected in zip(*results, strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-3)
        assert (len(regions), _compiled()) == (1, 1)
