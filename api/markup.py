"""Pieces of HTML for notebooks: tables, bars and pictures without script. Every text is escaped, and in one line."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from nas_service.wording import percent, printable

Record = dict[str, object]

BLUE, ORANGE, GREY = "#08519c", "#e66101", "#888888"  # as the dashboard has them, told apart by everybody
_LEFT = ' style="text-align:left"'
_LONGEST = 80  # letters of a cell
_KILO = 1000


class Drawing(str):
    """An SVG picture as text, which a notebook shows."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """Show it as a picture, in which nothing runs and whose rules reach nothing else."""
        return picture(self)


def words(value: object) -> str:
    """Return a text as HTML that shows it."""
    return escape(printable(str(value)))


def picture(svg: str, name: str = "") -> str:
    """Return HTML that shows an SVG."""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img alt="{words(name)}" style="max-width:100%" src="data:image/svg+xml;base64,{data}">'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """Return a table.

    Args:
        columns: Headings, as text.
        rows: Cells, as HTML.
        note: Below it, as text.
    """
    head = "".join(f"<th{_LEFT}>{words(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td{_LEFT}>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    below = f"<div>{words(note)}</div>" if note else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}"


def draw_records(records: Sequence[Record], columns: Sequence[str] = (), note: str = "") -> str:
    """Return records as a table, without columns in which nothing stands; no columns: all of one value."""
    names = columns or [name for name, value in records[0].items() if not isinstance(value, dict | list)]
    told = [name for name in names if any(record.get(name) is not None for record in records)]
    return table(told, ([cell(name, record.get(name)) for name in told] for record in records), note)


def cell(name: str, value: object) -> str:
    """Return a value as HTML, in the unit that people read it in."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool) or not isinstance(value, int | float):
        text = printable(value if isinstance(value, str) else json.dumps(value, default=str))
        short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
        return f'<span title="{escape(text)}">{escape(short)}</span>' if short != text else escape(text)
    return words(_figure(name, value))


def _figure(name: str, value: float) -> str:
    if name.endswith(("accuracy", "reward", "_mean", "_spread")):
        return percent(value)
    if name.endswith("bytes"):
        return size(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def size(count: float) -> str:
    """Return a number of bytes as people read it: `203 kB`."""
    for unit in ("bytes", "kB", "MB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.3g} {unit}"
        count /= _KILO
    return f"{count:,.3g} GB"


def bar(share: float, width_px: int, colour: str = BLUE) -> str:
    """Return a bar that is full to a share in [0, 1]."""
    full = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<span style="display:inline-block;width:{width_px}px;height:.7em;background:rgba(128,128,128,.25)">'
        f'<span style="display:block;height:100%;width:{full:.1f}%;background:{colour}"></span></span>'
    )


def facts(told: Mapping[str, object]) -> str:
    """Return named values as a table of two columns; a value that is null is left out."""
    rows = ([f"<b>{words(name)}</b>", cell(name, value)] for name, value in told.items() if value is not None)
    body = "".join("<tr>" + "".join(f"<td{_LEFT}>{entry}</td>" for entry in row) + "</tr>" for row in rows)
    return f"<table><tbody>{body}</tbody></table>"
