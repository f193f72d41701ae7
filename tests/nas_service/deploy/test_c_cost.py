"""Costs in C before training: the program, the arena and the constants are those of the network when it is trained."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.c_code_size import compiled_bytes
from nas_service.binarization.method import METHODS
from nas_service.deploy.assembly import Assembler
from nas_service.deploy.c_cost import CCosts, program_cost
from nas_service.deploy.c_source import network_stages
from nas_service.deploy.c_stages import write_stages
from nas_service.deploy.c_tables import Tables
from nas_service.deploy.forms import has_packed_form
from nas_service.deploy.pointwise import Pointwise
from nas_service.deploy.program import Program
from nas_service.deploy.tracing import trace_network
from nas_service.errors import ExportError
from nas_service.export.int8_weights import with_int8_weights
from search_spaces.cost import Size
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SPACES, SearchSpace, Stem
from search_spaces.template import TEMPLATES
from tests.contracts.test_methods import CONFIGURED, configured
from tests.nas_service.deploy.given import frozen_network
from tests.samples import GREY_8, RGB_9, random_genotype, tiny_genotype

NO_C = {"mcn"}  # its activations are real
PRUNED = {"rbcn"}  # in the given networks; only a training tells which filters go
PLACED = [method for method in METHODS.names() if method not in NO_C | PRUNED]


class _Counted(Tables):
    """Tables that count bytes, each array once."""

    bytes = 0

    def add(self, values: NDArray[np.generic]) -> str:
        """Count an array that is not there yet."""
        before = len(list(self.lines()))
        name = super().add(values)
        self.bytes += values.nbytes if len(list(self.lines())) > before else 0
        return name


def _generated(program: Program) -> tuple[int, int]:
    """Return the bytes of constants and of the arena that the generator writes."""
    tables = _Counted()
    code = write_stages(network_stages(program), program.image, tables)
    return tables.bytes, code.room.total


def _image(space: SearchSpace) -> ImageFormat:
    return RGB_9 if space.is_reference else GREY_8


def _traced(space: SearchSpace, method: str, image: ImageFormat) -> Program:
    return trace_network(frozen_network(space, method, image, random_genotype(space, 1)))


def _steps(program: Program) -> list[tuple[object, ...]]:
    return [
        (
            type(step.operation),
            getattr(step.operation, "kind", None),
            getattr(step.operation, "window", None),
            step.inputs,
            step.shape,
        )
        for step in program.steps
    ]


def _is_assembled_as_traced(space_name: str, method: str) -> bool:
    space = SPACES.get(space_name)
    made = METHODS.get(method).from_settings({})
    assembled = Assembler(space, made, _image(space)).program(random_genotype(space, 1))
    return _steps(assembled) == _steps(_traced(space, method, _image(space)))


@pytest.mark.diagonal
@pytest.mark.parametrize("space_name", ["tiny", "abandit-general"])
@pytest.mark.parametrize("method", PLACED)
def test_an_assembled_program_is_that_of_the_network_with_every_method(space_name: str, method: str) -> None:
    assert _is_assembled_as_traced(space_name, method)


@pytest.mark.parametrize("space_name", SPACES.names())
def test_an_assembled_program_is_that_of_the_network_of_every_space(space_name: str) -> None:
    assert _is_assembled_as_traced(space_name, "bnn")


@pytest.mark.diagonal
@pytest.mark.parametrize("template", TEMPLATES.names())
@pytest.mark.parametrize("space_name", ["bats", "nas-bnn", "vgg-small"])
def test_the_cost_before_training_bounds_what_is_generated_after_it(space_name: str, template: str) -> None:
    """In every template: slopes that fall, channels that are flipped, thresholds that differ."""
    space = replace(SPACES.get(space_name), template=template)
    image = _image(space)
    cost = CCosts(space, METHODS.get("bnn").from_settings({}), image).of(random_genotype(space, 1))
    constants, arena = _generated(_traced(space, "bnn", image))
    assert cost.arena_bytes == arena
    # arrays that are equal by chance, or not needed as no slope of theirs falls: a few bytes a layer
    assert 0.98 * cost.constant_bytes <= constants <= cost.constant_bytes


@pytest.mark.parametrize("stem", list(Stem))
def test_the_cost_is_that_of_any_stem(stem: Stem) -> None:
    space, image = replace(SPACES.get("tiny"), stem=stem), replace(RGB_9, size=Size(33, 28))
    cost = CCosts(space, METHODS.get("bnn").from_settings({}), image).of(random_genotype(space, 1))
    constants, arena = _generated(_traced(space, "bnn", image))
    assert cost.arena_bytes == arena
    assert 0.98 * cost.constant_bytes <= constants <= cost.constant_bytes


def test_thresholds_that_are_equal_before_training_are_not_counted_on() -> None:
    """Untrained batch norms are all alike, so that signs of one map could be stored once: training parts them."""
    space = SPACES.get("abandit-general")
    program = Assembler(space, METHODS.get("bnn").from_settings({}), GREY_8).program(random_genotype(space, 1))
    assert all(
        np.ptp(values) == 0
        for step in program.steps
        if isinstance(step.operation, Pointwise)
        for values in step.operation.constants
    )
    cost, trained = program_cost(program), _generated(_traced(space, "bnn", GREY_8))
    assert cost.arena_bytes == trained[1]
    assert trained[0] <= cost.constant_bytes
    assert _generated(program)[0] < 0.9 * trained[0]


@pytest.mark.parametrize(
    ("space_name", "method"), [("abandit-mini", "bnn"), ("abandit-mini", "react-net"), ("nas-bnn", "xnor-net")]
)
def test_constants_are_a_sum_over_arms(space_name: str, method: str) -> None:
    """So they could be a limit of a search as other costs are; the arena could not."""
    space = SPACES.get(space_name)
    costs = CCosts(space, METHODS.get(method).from_settings({}), GREY_8)
    base = random_genotype(space, 0).choices

    def constants(choices: Sequence[Choice]) -> int:
        return costs.of(Genotype(space.name, tuple(choices))).constant_bytes

    for seed in range(1, 6):
        other = random_genotype(space, seed).choices
        changes = [(*base[:place], arm, *base[place + 1 :]) for place, arm in enumerate(other)]
        if any(space.dead_node(choices) is not None for choices in changes):
            continue
        assert constants(other) - constants(base) == sum(constants(choices) - constants(base) for choices in changes)


def test_what_has_no_c_is_refused_by_name() -> None:
    space = SPACES.get("tiny")
    with pytest.raises(
        ExportError, match=r"input\.conv: a convolution of real inputs, which has no packed form, cannot be written as C"
    ):
        CCosts(space, METHODS.get("mcn").from_settings({}), GREY_8).of(random_genotype(space))


@configured(CONFIGURED)
def test_whether_a_method_s_networks_have_c_is_known_before_there_is_one(name: str, settings: dict[str, object]) -> None:
    method = METHODS.get(name).from_settings(settings)
    try:
        CCosts(SPACES.get("tiny"), method, GREY_8).of(tiny_genotype())
    except ExportError:
        assert not has_packed_form(method)
    else:
        assert has_packed_form(method)


def test_blocks_are_traced_once_and_leave_no_trace_in_what_is_random() -> None:
    space = SPACES.get("abandit-mini")
    costs = CCosts(space, METHODS.get("react-net").from_settings({}), GREY_8)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = [costs.of(random_genotype(space, seed)) for seed in range(20)]
    assert torch.equal(torch.get_rng_state(), before)
    assert found == [costs.of(random_genotype(space, seed)) for seed in range(20)]
    assert len({cost.arena_bytes for cost in found}) > 1


_NO_ARM = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no compiler for Cortex-M here")


@_NO_ARM
@pytest.mark.parametrize("space_name", ["tiny", "nas-bnn"])
def test_weights_of_8_bits_save_what_is_said(space_name: str, tmp_path: Path) -> None:
    space = SPACES.get(space_name)
    genotype = random_genotype(space, 1)
    costs = CCosts(space, METHODS.get("bnn").from_settings({}), GREY_8)
    before, cost = costs.of(genotype), costs.of(genotype, int8_weights=True)
    program = trace_network(with_int8_weights(frozen_network(space, "bnn", GREY_8, genotype)), "0123456789")
    constants, arena = _generated(program)
    assert (cost.arena_bytes, before.arena_bytes) == (arena, arena)
    assert 0.98 * cost.constant_bytes <= constants <= cost.constant_bytes < before.constant_bytes
    sections = compiled_bytes(program, tmp_path)
    assert cost.code_bytes == pytest.approx(sections[".text"], rel=0.1)
    assert cost.flash_bytes == pytest.approx(sections[".text"] + sections[".rodata"], rel=0.1)


@_NO_ARM
@pytest.mark.parametrize(
    ("space_name", "method"),
    [
        ("tiny", "bnn"),
        ("abandit-mini", "xnor-net"),
        ("abandit-general", "bnn"),
        ("bats", "rebnn"),
        ("nas-bnn", "pcnn"),
        ("cp-nas", "bnn"),
    ],
)
def test_flash_is_within_a_tenth_of_what_is_compiled(space_name: str, method: str, tmp_path: Path) -> None:
    space = SPACES.get(space_name)
    cost = CCosts(space, METHODS.get(method).from_settings({}), GREY_8).of(random_genotype(space, 1))
    sections = compiled_bytes(_traced(space, method, GREY_8), tmp_path)
    assert cost.code_bytes == pytest.approx(sections[".text"], rel=0.1)
    assert cost.flash_bytes == pytest.approx(sections[".text"] + sections[".rodata"], rel=0.1)
