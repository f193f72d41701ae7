"""Programs with int16 activations: planned by what noise shows, and their C in a folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from nas_service.deploy.c_source import CSource
from nas_service.deploy.early_signs import take_signs_early
from nas_service.deploy.int16.c_writer import MAP_BYTES, write_c
from nas_service.deploy.int16.calibration import find_peaks
from nas_service.deploy.int16.planning import IntStage, plan_network
from nas_service.deploy.int16.repeats import without_copies
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import AvgPool, Concat, NonLocalMean, Program, Shape, Window
from nas_service.deploy.sign_bits import store_signs
from nas_service.deploy.stages import make_stages
from tests.nas_service.deploy.c_builds import Images
from tests.nas_service.deploy.programs import PROGRAMS, Maker


def _copies() -> Program:
    """Return a program that adds maps put beside themselves: to convolutions, and where a pool reads them too."""
    maker = Maker(Shape(6, 4, 1), 6)
    at = maker.prelu(maker.norm(maker.stem(16)))
    wide = maker.add(Concat(), (at, at), Shape(6, 4, 32))
    at = maker.prelu(maker.join(maker.norm(maker.conv(at, 32)), wide))
    wide = maker.add(Concat(), (at, at, at), Shape(6, 4, 96))
    made = maker.norm(maker.conv(at, 96, Window(3, 1, 1), 2))
    at = maker.join(made, wide)
    wide = maker.add(Concat(), (at, at), Shape(6, 4, 192))
    at = maker.join(maker.pool(wide, AvgPool(Window(3, 1, 1))), wide)
    return maker.finish(at)


WHOLE = {**PROGRAMS, "copies": _copies}


def whole_program(name: str) -> Program:
    """Return a program made by hand, without the one operation that int16 activations have no form for."""
    program = WHOLE[name]()
    steps = (
        replace(step, operation=Pointwise(Kind.RELU)) if isinstance(step.operation, NonLocalMean) else step
        for step in program.steps
    )
    return replace(program, steps=tuple(steps))


def plan(program: Program, images: Images, narrower: float = 1.0) -> list[IntStage]:
    """Return the stages of a program whose peaks, of images (N, H, W, C), are taken to be so many times as small."""
    stages = take_signs_early(without_copies(store_signs(make_stages(program))), MAP_BYTES)
    peaks = find_peaks(program, images.transpose(0, 3, 1, 2), [stage.output for stage in stages if stage.bits is None])
    return plan_network(stages, {step: peak / narrower for step, peak in peaks.items()})


def write_int16(folder: Path, program: Program, stages: list[IntStage]) -> CSource:
    """Write a program's C into a folder."""
    code = write_c(program, stages, "0" * 64, "1.2.3")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.c").write_text(code.source, encoding="utf-8")
    (folder / "network.h").write_text(code.header, encoding="utf-8")
    return code


def flat(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """Return floats as their bits."""
    return np.ascontiguousarray(values).view(np.uint32)
