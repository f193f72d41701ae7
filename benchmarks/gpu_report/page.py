"""The report as Markdown and as JSON, written whole again whenever something is known."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from benchmarks.gpu_report.parts import PARTS, Row, Value, without_rows


class State(StrEnum):
    """How far a part is."""

    WAITING = "not begun"
    RUNNING = "running"
    DONE = "done"
    CUT = "cut at its limit"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass
class Outcome:
    """What came of a part.

    Attributes:
        name: Of the part.
        state: How far it is.
        planned: Names of the rows that there should be.
        rows: That were told, by name.
        seconds: That it took, its process's start included.
        limit_s: That it had.
        why: Of a part that was left out, or the traceback of one that failed.
    """

    name: str
    state: State = State.WAITING
    planned: Sequence[str] = ()
    rows: dict[str, Row] = field(default_factory=dict)
    seconds: float = 0.0
    limit_s: float = 0.0
    why: str = ""

    @property
    def left_out(self) -> list[str]:
        """Rows that were planned and are not there."""
        return without_rows(self.planned, self.rows)


@dataclass(frozen=True)
class Report:
    """All that is written.

    Attributes:
        conditions: Of the run, for people, by what they are.
        outcomes: Of the parts, in order.
        smoke: Whether the figures say nothing.
    """

    conditions: Mapping[str, str]
    outcomes: Sequence[Outcome]
    smoke: bool

    def write(self, file: Path) -> None:
        """Write the Markdown to `file` and the JSON beside it; what was there stays until the new one is whole."""
        _replace(file, self.markdown())
        _replace(file.with_suffix(".json"), json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n")

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; a figure that is not finite is null."""
        return {"smoke": self.smoke, "conditions": dict(self.conditions), "parts": [_part(entry) for entry in self.outcomes]}

    def markdown(self) -> str:
        """Return everything, for people."""
        lines = ["# What one GPU does", ""]
        if self.smoke:
            lines += ["**A smoke run: sizes are tiny, and no figure here says anything.**", ""]
        lines += _table(("condition", "of this run"), list(self.conditions.items()))
        states = [
            (PARTS[entry.name].title, entry.state, f"{entry.seconds:.0f}", f"{entry.limit_s:.0f}") for entry in self.outcomes
        ]
        lines += ["", *_table(("part", "state", "seconds", "of at most"), states)]
        for entry in self.outcomes:
            lines += ["", *_section(entry)]
        return "\n".join(lines) + "\n"


def _part(outcome: Outcome) -> dict[str, Any]:
    rows = [{"name": row.name, **{name: _finite(value) for name, value in row.figures.items()}} for row in outcome.rows.values()]
    facts = {"name": outcome.name, "state": outcome.state, "seconds": outcome.seconds, "limit_s": outcome.limit_s}
    return {**facts, "rows": rows, "left_out": outcome.left_out, "why": outcome.why}


def _section(outcome: Outcome) -> list[str]:
    facts = PARTS[outcome.name]
    lines = [f"## {facts.title}", "", facts.about]
    if outcome.rows:
        columns = list(dict.fromkeys(name for row in outcome.rows.values() for name in row.figures))
        cells = [(row.name, *(_shown(row.figures.get(name)) for name in columns)) for row in outcome.rows.values()]
        lines += ["", *_table(("", *columns), cells)]
    if outcome.left_out:
        lines += ["", f"Left out: {'; '.join(outcome.left_out)}."]
    if outcome.state is State.LEFT_OUT:
        lines += ["", f"Left out: {outcome.why}."]
    elif outcome.why:
        lines += ["", "It failed:", "", "```", outcome.why.rstrip(), "```"]
    return lines


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return lines + [f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |" for row in rows]


def _finite(value: Value) -> Value:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _shown(value: Value) -> str:
    """Return a figure with four digits that count, or all of its whole part."""
    found = _finite(value)
    if found is None:
        return "-"
    if not isinstance(found, float):
        return str(found)
    return f"{found:.0f}" if abs(found) >= 1000 else f"{found:.4g}"  # noqa: PLR2004 - four digits


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    part.write_text(text)
    part.replace(file)
