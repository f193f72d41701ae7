"""The page of benchmarks/without_table.py, from the rows that are kept alone."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

from scipy.stats import ttest_1samp

from benchmarks.kept import Row, read_rows

RESULT = Path(__file__).parent / "results" / "without_table.md"
HEAD = """# Searches in spaces without a table

`python -m benchmarks.without_table`: real searches by `screen-and-train` with trainings of their own, in spaces of which nobody
knows the best. What each picked, what random search of as many whole trainings picked, and three random architectures whose OPs
and parameters are both like the pick's were trained anew with seeds that no search used. ± is one standard error over searches;
p is Student's, one-sided, paired over searches. This page is written by `python -m benchmarks.without_table --report` from the
trainings that are kept, line by line, in `benchmarks/tables/`.
"""


@dataclass(frozen=True)
class Compared:
    """Test accuracies of one search's architectures, in [0, 1], means over new seeds; None: not (all) trained."""

    number: int
    pick: float | None
    random: float | None
    like: tuple[float, ...]
    costs: tuple[float, float]
    apart: tuple[float, ...]
    steps: tuple[int, int]


def page(files: Sequence[Path]) -> str:
    """Return the page of several files."""
    return "\n".join([HEAD, *(section(read_rows(file)) for file in files)])


def section(rows: Sequence[Row]) -> str:
    """Return what the rows of one file tell; the first row is its setting."""
    setting, conditions = rows[0]["setting"], rows[0]["conditions"]
    by_search = defaultdict(list)
    for row in rows[1:]:
        by_search[row["search"]].append(row)
    seeds = max((len({row["seed"] for row in group if row["role"] == "pick"}) for group in by_search.values()), default=0)
    found = [_compared(number, group, seeds) for number, group in sorted(by_search.items())]
    space, settings = setting["space"]["name"], setting["space"]["settings"]
    smoke = " **A smoke test: trainings of two steps.**" if setting["smoke"] else ""
    budget = f"budget of {setting['trainings']} whole trainings a search; {seeds} new seeds"
    left = sum(entry.pick is None for entry in found)
    lines = [
        f"## `{space}` on {setting['bench']}, {setting['device']}\n",
        f"{conditions}. Settings of the space: `{settings}`; the bench's method and recipe; {budget}.{smoke}\n",
        "| search | steps, of random | pick: test, % | random's pick, % | of like cost, % | OPs | parameters | most apart, % |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(entry) for entry in found if entry.pick is not None),
        "",
        *([f"{left} more searches are not done.\n"] if left else []),
        *_verdicts(found, [row["test"] for row in rows[1:] if row["role"] == "drawn"], _noise(rows[1:])),
    ]
    return "\n".join(lines) + "\n"


def _compared(number: int, rows: Sequence[Row], seeds: int) -> Compared:
    def mean(role: str, index: int = 0) -> float | None:
        tests = [row["test"] for row in rows if (row["role"], row["index"]) == (role, index)]
        return statistics.fmean(tests) if seeds and len(tests) == seeds else None

    pick = next((row for row in rows if row["role"] == "pick"), None)
    peers = {row["index"]: row for row in rows if row["role"] == "like"}
    means = [mean("like", index) for index in sorted(peers)]
    costs = (pick["ops"], pick["parameters"]) if pick else (0.0, 0.0)
    apart = tuple(
        max(abs(row["ops"] / costs[0] - 1), abs(row["parameters"] / costs[1] - 1)) for row in peers.values() if pick is not None
    )
    like = tuple(value for value in means if value is not None)
    own, its = (sum(row["steps"] for row in rows if row["role"] == role) for role in ("searched", "drawn"))
    return Compared(number, mean("pick"), mean("random"), like, costs, apart, (own, its))


def _row(entry: Compared) -> str:
    like = f"{100 * statistics.fmean(entry.like):.2f} ({len(entry.like)})" if entry.like else "-"
    apart = f"{100 * max(entry.apart):.0f}" if entry.apart else "-"
    cells = [str(entry.number), f"{entry.steps[0]}, {entry.steps[1]}", _per_cent(entry.pick), _per_cent(entry.random), like]
    return "| " + " | ".join([*cells, f"{entry.costs[0]:,.0f}", f"{entry.costs[1]:,.0f}", apart]) + " |"


def _per_cent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _noise(rows: Sequence[Row]) -> float | None:
    """Return the standard deviation between trainings of one architecture with new seeds; None where none was trained twice."""
    tests = defaultdict(list)
    for row in rows:
        if row["role"] in {"pick", "random", "like"}:
            tests[row["search"], row["role"], row["index"]].append(row["test"])
    spreads = [statistics.variance(group) for group in tests.values() if len(group) > 1]
    return sqrt(statistics.fmean(spreads)) if spreads else None


def _verdicts(found: Sequence[Compared], drawn: Sequence[float], noise: float | None) -> list[str]:
    """Return what the pick has over either, and how that compares with the spread between random architectures."""
    over_like = [entry.pick - statistics.fmean(entry.like) for entry in found if entry.pick is not None and entry.like]
    over_random = [entry.pick - entry.random for entry in found if entry.pick is not None and entry.random is not None]
    within = [statistics.variance(entry.like) for entry in found if len(entry.like) > 1]
    peers = sqrt(statistics.fmean(within)) if within else None
    spread = statistics.stdev(drawn) if len(drawn) > 1 else None
    lines = [
        _paired("Pick less the mean of those of like cost", over_like),
        _paired("Pick less random search's pick", over_random),
    ]
    for name, sd in (
        (f"between all {len(drawn)} random architectures (one training each, so its noise is in it)", spread),
        ("between those of like cost (within a search, mean of the new trainings)", peers),
    ):
        if sd and over_like:
            gain = statistics.fmean(over_like) / sd
            lines.append(f"- Standard deviation {name}: {100 * sd:.2f} points; the gain over like cost is {gain:.2f} of them.")
    if noise:
        lines.append(
            f"- Standard deviation between trainings of one architecture with different seeds: {100 * noise:.2f} points."
        )
    few = [entry.number for entry in found if entry.apart and len(entry.like) < len(entry.apart)]
    if few:
        lines.append(f"- Of searches {', '.join(map(str, few))} not all of like cost are trained yet.")
    return lines


def _paired(name: str, over: Sequence[float]) -> str:
    if len(over) < 2:  # noqa: PLR2004 - no spread of fewer
        return f"- {name}: {len(over)} of the searches are done."
    error = statistics.stdev(over) / sqrt(len(over))
    p = float(ttest_1samp(over, 0.0, alternative="greater").pvalue)
    above = sum(value > 0 for value in over)
    gain = f"{100 * statistics.fmean(over):+.2f} ± {100 * error:.2f} points"
    return f"- {name}: **{gain}**, above in {above} of {len(over)}, p {p:.2g}."
