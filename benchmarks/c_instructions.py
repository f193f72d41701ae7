"""How many instructions the loops of generated C take on a Cortex-M4: networks are run under QEMU, and the loops fitted.

    python -m benchmarks.c_instructions

prints the table of `nas_service/deploy/instructions.py`, and how far it is off for networks that it was not fitted to. It needs
`arm-none-eabi-gcc` with its newlib and `qemu-system-arm` (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi, qemu-system-arm),
and half an hour. Constants, weights of the stem and the image are random, as what a branch does depends on them.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.optimize import lsq_linear

from benchmarks.c_code_size import METHODS_TRIED, random_genotype, scattered
from benchmarks.chip_instructions import instructions
from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.assembly import Assembler
from nas_service.deploy.c_cost import planned
from nas_service.deploy.instructions import executed
from nas_service.deploy.program import Program, Stem, Step
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat

FLAG = "-Os"
_SIZES = (8, 16, 32)
_SPACES = {  # and on which sizes of images
    "tiny": _SIZES,
    "abandit-mini": _SIZES,
    "nas-bnn": _SIZES,
    "abandit": (8, 16),
    "cp-nas": (8, 16),
    "bnas": (8, 16),
    "abandit-general": (8,),
    "bats": (8,),
    "resnet-20": (32,),
}
_START = {"image": 500.0, "stage": 100.0, "magnitude tap": 500.0, "positional tap": 120.0, "mixed": 200.0, "moment": 120.0}
_FIRST, _PRIOR = 8.0, 0.01  # instructions where nothing is said; of a loop's own, beside a network's relative error


def lively(program: Program, seed: int) -> Program:
    """Return a program whose constants and stem are random."""
    random_state = np.random.default_rng(seed)

    def step(given: Step) -> Step:
        stem = given.operation
        if not isinstance(stem, Stem):
            return given
        weight = random_state.integers(-(2**16), 2**16, stem.weight.shape)
        mean = np.full_like(stem.mean, 128 << stem.pixel_bits)
        return replace(given, operation=replace(stem, weight=weight, mean=mean, step=np.full_like(stem.step, 2.0**-34)))

    return replace(scattered(program, seed), steps=tuple(map(step, scattered(program, seed).steps)))


def networks(seed: int) -> Iterator[tuple[str, Program]]:
    """Yield a random network of every space with every method, on images of every size that is tried."""
    for space_name, sizes in _SPACES.items():
        for method_name, settings, template in METHODS_TRIED:
            space = build_space(Component(name=space_name, settings={} if template is None else {"template": template}))
            if space.is_reference and seed:
                continue  # there is one architecture
            for side in sizes:
                channels = 1 if side == _SIZES[0] else 3
                image = ImageFormat(channels, Size(side, side), 10, (0.0,) * channels, (1.0,) * channels)
                method = METHODS.get(method_name).from_settings(settings)
                program = Assembler(space, method, image).program(random_genotype(space, seed))
                yield f"{space_name} {method_name} {settings or ''} {template or ''} {side}x{side}", lively(program, seed)


def fitted(counts: list[dict[str, float]], seen: list[float]) -> dict[str, float]:
    """Return instructions a turn of every loop that some network runs."""
    columns = sorted(set().union(*counts))
    start = np.array([_START.get(column, _FIRST) for column in columns])
    matrix = np.array([[row.get(column, 0) for column in columns] for row in counts], float) / np.array(seen)[:, None]
    left, right = (
        np.vstack([matrix, np.diag(_PRIOR / start)]),
        np.concatenate([np.ones(len(seen)), np.full(len(columns), _PRIOR)]),
    )
    return dict(zip(columns, lsq_linear(left, right, (0, np.inf)).x.tolist(), strict=True))


def main() -> None:
    """Fit to two networks of each, and try on a third."""
    load_entries()
    rows: list[tuple[int, str, dict[str, float], float]] = []
    for seed in range(3):
        for name, program in networks(seed):
            rows.append((seed, name, dict(executed(*planned(program))), instructions(program, FLAG)))
            print(seed, name, f"{rows[-1][3]:,.0f}", flush=True)
    report(rows)


def report(rows: list[tuple[int, str, dict[str, float], float]]) -> None:
    """Print the table, and how far it is off; rows are seed, name, turns of loops, instructions."""
    table = fitted([row[2] for row in rows if row[0] < 2], [row[3] for row in rows if row[0] < 2])  # noqa: PLR2004 - the third is for trying
    for name, figure in table.items():
        print(f'    "{name}": {figure:.2f},')
    for kind, chosen in (("fitted", (0, 1)), ("others", (2,))):
        off = {
            name: sum(table.get(loop, 0.0) * turns for loop, turns in counted.items()) / seen - 1
            for seed, name, counted, seen in rows
            if seed in chosen
        }
        sizes = [abs(each) for each in off.values()]
        print(kind, len(off), f"{np.mean(sizes):.3f} mean, {max(sizes):.3f} at most")
        for name in sorted(off, key=lambda each: -abs(off[each]))[:8]:
            print(f"  {off[name]:+.3f} {name}")


if __name__ == "__main__":
    main()
