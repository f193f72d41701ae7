"""Maps that are written over by what shrinks them: where they lie, which windows may, and that it is done for less RAM alone."""

import itertools

import pytest

from nas_service.binarization.method import METHODS
from nas_service.deploy.assembly import Assembler
from nas_service.deploy.c_layout import scratch_bytes
from nas_service.deploy.c_source import network_stages
from nas_service.deploy.early_signs import arena_bytes, take_signs_early
from nas_service.deploy.memory import Room, place_maps, shrinks
from nas_service.deploy.program import AvgPool, GroupMean, MaxPool, Program, Shape, Window
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import Stage, make_stages
from search_spaces.cost import Size
from search_spaces.network import ImageFormat
from search_spaces.space import SPACES
from tests.nas_service.deploy.programs import PROGRAMS, shrinking_program
from tests.samples import random_genotype


def _room(stages: list[Stage]) -> Room:
    shapes = {stage.output: stage.shape for stage in stages}
    return place_maps(stages, [scratch_bytes(stage, shapes.get(stage.inputs[0]) if stage.inputs else None) for stage in stages])


def _pools(stages: list[Stage]) -> list[Stage]:
    return [stage for stage in stages if isinstance(stage.head, GroupMean | MaxPool | AvgPool)]


def test_what_shrinks_a_map_lies_where_that_lay() -> None:
    before, stages = store_signs(make_stages(shrinking_program())), network_stages(shrinking_program())
    assert len(stages) == len(before) + 4
    places = _room(stages).places
    *shrinking, last = _pools(stages)
    assert [places[stage.output].offset == places[stage.inputs[0]].offset for stage in shrinking] == [True] * 4
    assert places[last.output].offset != places[last.inputs[0]].offset  # a window with padding and stride 1
    assert arena_bytes(stages, 4) < 0.8 * arena_bytes(before, 4)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 4), (8, 8), (9, 17)])
def test_no_window_begins_before_what_was_written(height: int, width: int) -> None:
    """Every window that may, and with it every pixel, one after the other; a rule that never allowed any would show as well."""
    allowed = 0
    for size, stride, padding in itertools.product((1, 2, 3), (1, 2, 3), (0, 1)):
        sides = [(side + 2 * padding - size) // stride + 1 for side in (height, width)]
        if min(sides) < 1 or padding > size // 2:
            continue
        stage = Stage(MaxPool(Window(size, stride, padding)), (0,), (), Shape(sides[0], sides[1], 3), 1, "")
        begins = [
            max(0, y * stride - padding) * width + max(0, x * stride - padding) for y in range(sides[0]) for x in range(sides[1])
        ]
        may = all(written < begin for at, begin in enumerate(begins) for written in range(at))
        assert not shrinks(stage, Shape(height, width, 3)) or may
        allowed += shrinks(stage, Shape(height, width, 3))
    assert allowed >= 2


@pytest.mark.parametrize("number_bytes", [2, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_signs_are_taken_early_for_less_ram_alone(name: str, number_bytes: int) -> None:
    before = store_signs(make_stages(PROGRAMS[name]()))
    stages = take_signs_early(before, number_bytes)
    least = arena_bytes(before, number_bytes)
    if len(stages) == len(before):
        assert arena_bytes(stages, number_bytes) == least
    else:
        assert arena_bytes(stages, number_bytes) < least
    assert [stage.output for stage in stages if stage.output in {entry.output for entry in before}] == [
        stage.output for stage in before
    ]


def _program(space_name: str) -> Program:
    space = SPACES.get(space_name)
    image = ImageFormat(channels=3, size=Size(32, 32), classes=10, mean=(0.5,) * 3, std=(0.5,) * 3)
    return Assembler(space, METHODS.get("bnn").from_settings({}), image).program(random_genotype(space, 1))


@pytest.mark.parametrize(("space_name", "most"), [("resnet-18", 280_000), ("vgg-small", 150_000), ("tiny", 170_000)])
def test_networks_of_32_by_32_pixels_take_less(space_name: str, most: int) -> None:
    """Before, they took 458,752, 163,840 and 199,696 bytes."""
    assert arena_bytes(network_stages(_program(space_name)), 4) <= most
