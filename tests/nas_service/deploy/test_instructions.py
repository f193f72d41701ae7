"""Instructions before training: what is estimated beside what QEMU counts, and what they grow with."""

from dataclasses import replace
from pathlib import Path

import pytest

from nas_service.binarization.method import METHODS
from nas_service.deploy.c_cost import CCosts
from nas_service.deploy.instructions import INSTRUCTIONS
from nas_service.deploy.tracing import trace_network
from nas_service.export.int8_weights import with_int8_weights
from search_spaces.cost import Size
from search_spaces.network import ImageFormat
from search_spaces.space import SPACES
from tests.nas_service.deploy.c_builds import write_source
from tests.nas_service.deploy.chips import ARM_GCC, ARM_QEMU, M4, lacking, run_on_chip
from tests.nas_service.deploy.given import frozen_network
from tests.nas_service.deploy.programs import random_images
from tests.samples import GREY_8, RGB_9, random_genotype


@pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))
@pytest.mark.parametrize(
    ("space_name", "method", "off"),
    [("tiny", "bnn", 0.1), ("nas-bnn", "react-net", 0.1), ("tiny", "adabin", 0.1), ("abandit-mini", "xnor-net", 0.25)],
)
def test_an_estimate_is_near_what_is_executed(space_name: str, method: str, off: float, tmp_path: Path) -> None:
    """A tenth. The last has Gabor filters and denoising: in float64, by functions whose time depends on the numbers."""
    space = SPACES.get(space_name)
    genotype = random_genotype(space, 11)
    program = trace_network(frozen_network(space, method, GREY_8, genotype), "0123456789")
    write_source(tmp_path, program)
    run = run_on_chip(M4, tmp_path, random_images(program, 1), "-Os")
    cost = CCosts(space, METHODS.get(method).from_settings({}), GREY_8).of(genotype)
    assert cost.cortex_m4_instructions == pytest.approx(float(run.instructions[0]), rel=off)


@pytest.mark.skipif(bool(lacking(ARM_GCC, ARM_QEMU)), reason=lacking(ARM_GCC, ARM_QEMU))
def test_an_estimate_with_weights_of_8_bits_is_near_what_is_executed(tmp_path: Path) -> None:
    space = SPACES.get("tiny")
    genotype = random_genotype(space, 11)
    program = trace_network(with_int8_weights(frozen_network(space, "bnn", RGB_9, genotype)), "0123456789")
    write_source(tmp_path, program)
    seen = float(run_on_chip(M4, tmp_path, random_images(program, 1), "-Os").instructions[0])
    costs = CCosts(space, METHODS.get("bnn").from_settings({}), RGB_9)
    assert costs.of(genotype, int8_weights=True).cortex_m4_instructions == pytest.approx(seen, rel=0.1)
    assert seen < 0.85 * costs.of(genotype).cortex_m4_instructions


def test_four_times_the_pixels_take_about_four_times_the_instructions() -> None:
    space = SPACES.get("tiny")
    method = METHODS.get("bnn").from_settings({})
    sizes = (ImageFormat(channels=1, size=Size(side, side), classes=10, mean=(0.5,), std=(0.5,)) for side in (16, 32))
    small, large = (CCosts(space, method, image).of(random_genotype(space, 1)).cortex_m4_instructions for image in sizes)
    assert 3.5 * small < large < 4.5 * small


def test_a_pool_of_bits_is_counted() -> None:
    """As the template `plain` has one behind a convolution."""
    space = replace(SPACES.get("vgg-small"), template="plain")
    method = METHODS.get("bnn").from_settings({})
    whole = CCosts(SPACES.get("vgg-small"), method, RGB_9).of(random_genotype(space, 1))
    assert 0 < CCosts(space, method, RGB_9).of(random_genotype(space, 1)).cortex_m4_instructions < whole.cortex_m4_instructions


def test_no_loop_is_free_to_the_point_of_helping() -> None:
    assert all(figure >= 0 for figure in INSTRUCTIONS.values())
