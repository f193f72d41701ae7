"""How many bytes of Thumb-2 code the pieces of generated C take: networks are compiled, and the pieces fitted.

    python -m benchmarks.c_code_size

prints the table of `nas_service/deploy/code_size.py`, and how far it is off for networks that it was not fitted to. It needs
`arm-none-eabi-gcc` with its newlib (Debian: gcc-arm-none-eabi, libnewlib-arm-none-eabi). The sizes that the compiler states
for functions that are the same in all networks are where the fit starts from, so that pieces that always stand together are
told apart.
"""

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.optimize import lsq_linear

from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.assembly import Assembler
from nas_service.deploy.c_source import write_c
from nas_service.deploy.code_size import pieces
from nas_service.deploy.pointwise import Kind, Pointwise
from nas_service.deploy.program import Program, Step
from nas_service.deploy.structure import plan_stages
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.genotype import Choice, Genotype
from search_spaces.network import ImageFormat
from search_spaces.space import SearchSpace

CORTEX_M4 = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-std=c99", "-Os", "-ffp-contract=off")
_START = {
    "adder": 7.0,
    "average pool": 348.0,
    "base": 220.0,
    "columns": 180.0,
    "conv": 500.0,
    "conv to bits": 280.0,
    "conv with sums": 560.0,
    "copy": 56.0,
    "depthwise": 450.0,
    "depthwise with sums": 450.0,
    "dot": 20.0,
    "flatten": 70.0,
    "gather": 190.0,
    "gathered channels": 100.0,
    "global mean": 88.0,
    "group mean": 162.0,
    "linear": 80.0,
    "magnitude": 250.0,
    "max pool": 318.0,
    "max pool of bits": 226.0,
    "non-local mean": 464.0,
    "ones": 60.0,
    "pack": 326.0,
    "pack-bits": 144.0,
    "pad": 126.0,
    "pointwise": 80.0,
    "positional": 470.0,
    "real conv": 360.0,
    "signs": 80.0,
    "depthwise to bits": 280.0,
    "statement": 15.0,
    "stem": 150.0,
    "tail": 5.0,
    "to-bits": 164.0,
}
_SPACES = ("abandit", "abandit-general", "abandit-mini", "bats", "bnas", "cp-nas", "nas-bnn", "tiny", "resnet-20", "vgg-small")
METHODS_TRIED: tuple[tuple[str, dict[str, object], str | None], ...] = (
    ("bnn", {}, None),
    ("xnor-net", {}, "shortcut"),
    ("xnor-net", {"input_scale": "kmap"}, None),
    ("react-net", {}, "bi-real"),
    ("bnn", {}, "plain"),
    ("adabin", {}, None),
    ("rbcn", {}, None),
)
_PRIOR = 0.02  # of a piece's own size, beside a network's relative error


def random_genotype(space: SearchSpace, seed: int) -> Genotype:
    """Return a uniformly drawn genotype; one with a dead node is drawn again."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    while True:
        choices = [
            Choice(cell.name, e.name, drawn.choice(space.allowed(cell, e))) for cell in space.cell_types for e in space.edges
        ]
        if space.dead_node(choices) is None:
            return Genotype(space.name, tuple(choices))


def scattered(program: Program, seed: int) -> Program:
    """Return a program whose pointwise constants are random, as those of a trained network are unlike each other."""
    random_state = np.random.default_rng(seed)

    def step(given: Step) -> Step:
        operation = given.operation
        if not isinstance(operation, Pointwise) or operation.kind is Kind.CLIP:
            return given
        constants = tuple(random_state.normal(0.3, 0.5, len(values)).astype(np.float32) for values in operation.constants)
        return replace(given, operation=Pointwise(operation.kind, constants))

    return replace(program, steps=tuple(map(step, program.steps)))


def compiled_bytes(program: Program, folder: Path, flags: tuple[str, ...] = CORTEX_M4) -> dict[str, int]:
    """Return the bytes of each section of a program's object file for a Cortex-M4."""
    written = write_c(program, "0", "0")
    (folder / "network.c").write_text(written.source)
    (folder / "network.h").write_text(written.header)
    compiler, lister = (str(shutil.which(f"arm-none-eabi-{name}")) for name in ("gcc", "size"))
    subprocess.run([compiler, *flags, "-c", folder / "network.c", "-o", folder / "network.o"], check=True)
    told = subprocess.run([lister, "-A", folder / "network.o"], check=True, capture_output=True, text=True).stdout
    rows = (line.split() for line in told.splitlines() if line.startswith("."))
    return {name: int(size) for name, size, *_ in rows}


def programs(seed: int) -> Iterator[tuple[str, Program]]:
    """Yield a random network of every space with every method of the list."""
    for space_name in _SPACES:
        for method_name, settings, template in METHODS_TRIED:
            space = build_space(Component(name=space_name, settings={} if template is None else {"template": template}))
            large = space.is_reference
            image = ImageFormat(3 if large else 1, Size(32, 32) if large else Size(8, 8), 10, (0.0,) * 3, (1.0,) * 3)
            method = METHODS.get(method_name).from_settings(settings)
            program = Assembler(space, method, image).program(random_genotype(space, seed))
            yield f"{space_name} {method_name} {template or ''}", scattered(program, seed)


def main() -> None:
    """Fit to two networks of each, and try on a third."""
    load_entries()
    counted, sizes, names = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(3):
            for name, program in programs(seed):
                counted.append(pieces(plan_stages(program)))
                sizes.append(compiled_bytes(program, Path(folder))[".text"])
                names.append((seed, name))
    columns = sorted(_START)
    start = np.array([_START[column] for column in columns])
    matrix = np.array([[row.get(column, 0) for column in columns] for row in counted], float) / np.array(sizes)[:, None]
    fitted = np.array([seed < 2 for seed, _ in names])  # noqa: PLR2004 - the third is for trying
    prior = np.diag(_PRIOR / start)
    left, right = np.vstack([matrix[fitted], prior]), np.concatenate([np.ones(fitted.sum()), np.full(len(columns), _PRIOR)])
    found = lsq_linear(left, right, (0, np.inf)).x
    for column, figure in zip(columns, found, strict=True):
        print(f'    "{column}": {figure:.1f},')
    off = matrix @ found - 1
    for kind, rows in (("fitted", fitted), ("others", ~fitted)):
        worst = int(np.abs(off[rows]).argmax())
        print(kind, f"{np.abs(off[rows]).mean():.3f} mean, {np.abs(off[rows]).max():.3f} at most:", np.array(names)[rows][worst])


if __name__ == "__main__":
    main()
