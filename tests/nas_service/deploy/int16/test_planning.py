"""Constants in whole numbers: what they stand for, for values of every size, and what is refused."""

import numpy as np
import pytest

from nas_service.deploy.int16.planning import plan_network
from nas_service.deploy.int16.reference import run_stages
from nas_service.deploy.int16.steps import LEAST, MOST, high, mean, shifted, stored
from nas_service.deploy.pointwise import Kind
from nas_service.deploy.program import AvgPool, Concat, Program, Shape, Window
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import make_stages
from nas_service.errors import ExportError
from tests.nas_service.deploy.int16.planned import plan
from tests.nas_service.deploy.interpreter import run_program
from tests.nas_service.deploy.programs import PROGRAMS, Maker, random_images

EXACT = 2.0**-13  # of a map's peak: the margin of two, and half a step


def test_every_rounding_is_to_the_nearest_and_a_half_upwards() -> None:
    halves = np.array([-3, -1, 1, 3])
    assert shifted(halves, -1).tolist() == [-1, 0, 1, 2]
    assert high(halves << 16, np.array(2**15)).tolist() == [-1, 0, 1, 2]
    assert mean(halves, 2).tolist() == [-1, 0, 1, 2]
    assert stored(np.array([-(2**20), -(2**15) - 1, 2**15, 2**20]), 0).tolist() == [LEAST, LEAST, MOST, MOST]


def _tailed(factor: float, slope: float, bends: Kind) -> tuple[Program, int]:
    """Return a program of a convolution, a norm, a slope, another norm and a shortcut, and where they end."""
    maker = Maker(Shape(6, 6, 1), 4)
    at = maker.norm(maker.stem(16))
    made = maker.norm(maker.conv(at, 16))
    uneven = factor * 10.0 ** maker.random.integers(-2, 3, 16)
    made = maker.point(made, Kind.MULTIPLY, uneven.astype(np.float32))
    constants = {Kind.PRELU: 1, Kind.MAXOUT: 2, Kind.RELU: 0, Kind.CLIP: 0}[bends]
    slopes = [(maker.normal(16) * slope).astype(np.float32) for _ in range(constants)]
    bounds = [np.full(16, value, np.float32) for value in (-factor, factor)] if bends is Kind.CLIP else []
    made = maker.norm(maker.point(made, bends, *slopes, *bounds))
    at = maker.join(made, at)
    return maker.finish(maker.pool(at, AvgPool(Window(2, 2, 0)))), at


SIZES = [(bends, factor) for bends in (Kind.PRELU, Kind.MAXOUT, Kind.RELU) for factor in (1e-12, 1.0, 1e12)]


@pytest.mark.parametrize(("bends", "factor"), [*SIZES, (Kind.CLIP, 1e-3), (Kind.CLIP, 1.0)])
@pytest.mark.parametrize("slope", [0.01, 300.0])
def test_numbers_stand_for_the_values_of_the_program(bends: Kind, factor: float, slope: float) -> None:
    """Factors and slopes of every size, above and below 0, of channels that differ by four decimal powers."""
    program, at = _tailed(factor, slope, bends)
    images = random_images(program, 3)
    stages = plan(program, images)
    made = run_stages(stages, images, keep=True)
    (stage,) = [stage for stage in stages if stage.stage.output == at]
    expected = np.stack([run_program(program, image)[at] for image in images])
    first = stages[0]
    start = np.abs(
        made[first.stage.output] * 2.0**-first.exponent - np.stack([run_program(program, image)[1] for image in images])
    )
    assert start.max() <= 2.0**-first.exponent
    error = np.abs(made[at] * 2.0**-stage.exponent - expected)
    assert np.median(error) <= EXACT * np.abs(expected).max()
    assert (error > EXACT * np.abs(expected).max()).mean() <= 0.15  # where a sign flipped


def test_what_has_no_form_is_refused_by_name() -> None:
    program = PROGRAMS["floats"]()
    stages = store_signs(make_stages(program))
    peaks = dict.fromkeys((stage.output for stage in stages if stage.bits is None), 1.0)
    with pytest.raises(ExportError, match=r"^NonLocalMean \d+: a non-local mean, .* cannot be written with int16 activations$"):
        plan_network(stages, peaks)


def test_a_mean_of_too_many_numbers_is_refused() -> None:
    maker = Maker(Shape(256, 256, 1))
    program = maker.finish(maker.stem(1, Window(1, 1, 0)))
    stages = store_signs(make_stages(program))
    peaks = dict.fromkeys((stage.output for stage in stages), 1.0)
    with pytest.raises(ExportError, match="a mean of 65536 numbers"):
        plan_network(stages, peaks)


@pytest.mark.parametrize("factor", [0.0, 1e-3])
def test_a_branch_of_zeros_takes_no_bits_from_those_that_it_is_put_beside(factor: float) -> None:
    maker = Maker(Shape(6, 6, 1), 4)
    at = maker.prelu(maker.norm(maker.stem(16)))
    dead, live = (maker.point(maker.norm(maker.conv(at, 16)), Kind.MULTIPLY, np.full(16, by, np.float32)) for by in (factor, 0.1))
    wide = maker.add(Concat(), (live, dead), Shape(6, 6, 32))
    program = maker.finish(maker.prelu(wide))
    images = random_images(program, 4)
    stages = plan(program, images)
    (stage,) = [entry for entry in stages if entry.stage.output == wide]
    exact = np.stack([run_program(program, image)[wide] for image in images])
    made = run_stages(stages, images, keep=True)[wide] * 2.0**-stage.exponent
    assert np.median(np.abs(made - exact)) < EXACT * np.abs(exact).max()


def test_maps_too_unlike_for_one_exponent_are_refused_by_name() -> None:
    maker = Maker(Shape(6, 6, 1), 4)
    at = maker.pool(maker.prelu(maker.norm(maker.stem(16))), AvgPool(Window(3, 1, 1)))
    far = maker.point(at, Kind.MULTIPLY, np.full(16, 3000, np.float32))
    program = maker.finish(maker.prelu(maker.add(Concat(), (at, far), Shape(6, 6, 32))))
    with pytest.raises(ExportError, match="differ by too much for one exponent"):
        plan(program, random_images(program, 3))
