"""Every method in every space, and in every template, written as C and run: is it the frozen network?

    python -m benchmarks.deploy_table

freezes a network for each (random weights and architecture, norms whose factors fall as well as rise, PReLUs too), compiles its C
for any machine (`gcc -O1 -DNN_PORTABLE`), runs eight images of noise, and compares classes and logits with the frozen network in
torch. What was done is kept line by line, so that a run that was cut off goes on. Writes benchmarks/results/deploy_table.md.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.conditions import conditions
from benchmarks.kept import Row, add_row, read_rows
from nas_service.binarization.method import METHODS
from nas_service.catalogue import build_space, load_entries
from nas_service.deploy.tracing import trace_network
from nas_service.errors import CannotFreezeError, ExportError
from nas_service.specs import Component
from search_spaces.cost import Size
from search_spaces.network import ImageFormat
from search_spaces.space import SPACES
from search_spaces.template import TEMPLATES
from tests.nas_service.deploy.c_builds import REFERENCE, run_build, write_source
from tests.nas_service.deploy.given import frozen_network, random_pixels

PAGE = Path(__file__).parent / "results" / "deploy_table.md"
IMAGE = ImageFormat(channels=3, size=Size(11, 14), classes=5, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3))
IMAGES = 8
TOLERANCE = 1e-5  # of the largest logit, or of 1: sums of float32 behind the last sign are rounded in another order
TEMPLATE_SPACE = "tiny"  # where every template is tried
CHANNELS = 12  # no multiple of 8: bits end inside of bytes
_REFUSED = (CannotFreezeError, ExportError)


class Case(NamedTuple):
    """What is tried; no template: the space's own."""

    space: str
    method: str
    template: str = ""


def cases() -> Iterator[Case]:
    """Yield every method in every space, then in every template."""
    load_entries()
    for space in SPACES.names():
        yield from (Case(space, method) for method in METHODS.names())
    for template in TEMPLATES.names():
        yield from (Case(TEMPLATE_SPACE, method, template) for method in METHODS.names())


def try_case(case: Case, folder: Path) -> Row:
    """Return what came of one: how many classes are equal, the largest difference, or why it is refused.

    Raises:
        AssertionError: If a compiler refuses the C.
    """
    settings = {"channels": CHANNELS, **({"template": case.template} if case.template else {})}
    try:
        space = build_space(Component(name=case.space, settings=settings))
        frozen = frozen_network(space, case.method, IMAGE)
        program = trace_network(frozen, [f"class {number}" for number in range(IMAGE.classes)])
        code = write_source(folder, program)
    except _REFUSED as error:
        return {"refused": str(error)}
    pixels = random_pixels(IMAGE, IMAGES)
    with torch.no_grad():
        expected = frozen(pixels).numpy()
    levels = (pixels * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    logits = run_build(REFERENCE, folder, code, levels).view(np.float32)
    largest = np.maximum(np.abs(expected).max(1), 1)
    return {
        "equal": int((logits.argmax(1) == expected.argmax(1)).sum()),
        "difference": float((np.abs(logits - expected).max(1) / largest).max()),
        "arena": code.arena_bytes,
    }


def is_right(row: Row) -> bool:
    """Return whether a network that was not refused is the frozen one."""
    return bool(row["equal"] == IMAGES and row["difference"] <= TOLERANCE)


def page(rows: dict[Case, Row]) -> str:
    """Return the page."""
    run = {case: row for case, row in rows.items() if "refused" not in row}
    wrong = [case for case, row in run.items() if not is_right(row)]
    size = IMAGE.size
    worst = max(row["difference"] for row in run.values())
    lines = [
        "# Every method in every space as C",
        "",
        f"`python -m benchmarks.deploy_table`: {IMAGES} images of noise,",
        f"{size.height}x{size.width}x{IMAGE.channels}, {IMAGE.classes} classes, random weights and",
        f"architectures, {CHANNELS} channels in the first cells. A figure is the largest difference of a logit from the frozen",
        "network in torch, relative to the image's largest logit (at least 1);",
        "**bold**: another class, or above 1e-5.",
        "",
        conditions(),
        "",
        f"{len(run)} networks: {len(run) - len(wrong)} have the classes of the frozen network and logits within {TOLERANCE:.0e},",
        f"the worst is {worst:.1e}; {len(rows) - len(run)} are refused.",
    ]
    spaces = dict.fromkeys(case.space for case in rows if not case.template)
    lines += _table("space", rows, [(name, Case(name, "")) for name in spaces])
    templates = dict.fromkeys(case.template for case in rows if case.template)
    lines += _table(f"template, in `{TEMPLATE_SPACE}`", rows, [(name, Case(TEMPLATE_SPACE, "", name)) for name in templates])
    reasons: dict[str, list[Case]] = {}
    for case, row in rows.items():
        if "refused" in row:
            reasons.setdefault(row["refused"].partition(": ")[2] or row["refused"], []).append(case)
    lines += ["", "## Refused", ""]
    for reason, refused in reasons.items():
        methods = ", ".join(f"`{name}`" for name in dict.fromkeys(case.method for case in refused))
        lines.append(f"- {methods} in {len(refused)} cases: {reason}")
    return "\n".join(lines) + "\n"


def _table(head: str, rows: dict[Case, Row], wanted: Sequence[tuple[str, Case]]) -> list[str]:
    names = METHODS.names()
    lines = ["", f"| {head} | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, case in wanted:
        cells = [_cell(rows.get(case._replace(method=method))) for method in names]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return lines


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if "refused" in row:
        return "refused"
    figure = f"{row['difference']:.0e}" if row["difference"] else "0"
    return figure if is_right(row) else f"**{figure}, {row['equal']} of {IMAGES}**"


def main() -> None:
    """Try what is not kept yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kept", type=Path, default=Path("deploy_table.jsonl"), help="where results are kept line by line")
    kept = parser.parse_args().kept
    torch.set_num_threads(1)
    done = {Case(*row["case"]): row for row in read_rows(kept)}
    for case in cases():
        if case not in done:
            with tempfile.TemporaryDirectory() as folder:
                done[case] = {"case": case, **try_case(case, Path(folder))}
            add_row(kept, done[case])
            print(*case, _cell(done[case]), flush=True)
    PAGE.write_text(page({case: done[case] for case in cases()}), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
