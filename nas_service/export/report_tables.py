"""Tables of a report: HTML in which everything that somebody chose is text, and the heat map of the arms."""

from collections.abc import Iterable, Mapping, Sequence

from nas_service.export.svg_text import quoted
from nas_service.search.bandit import Arm
from search_spaces.genotype import Choice
from search_spaces.space import CellType, SearchSpace

_STEPS = 4  # shades to either side of the middle
_LOW, _MIDDLE, _HIGH = (0x08, 0x51, 0x9C), (0xEE, 0xEC, 0xE6), (0xE6, 0x61, 0x01)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of plain text that is as wide as it must be and scrolls where the page is narrower."""
    first = "".join(f'<th scope="col">{quoted(word)}</th>' for word in head)
    body = "".join(f"<tr>{''.join(f'<td>{quoted(word)}</td>' for word in row)}</tr>" for row in rows)
    return scrolled(f"<table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table>")


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table of names and what is said of each, as plain text."""
    body = "".join(f'<tr><th scope="row">{quoted(name)}</th><td>{quoted(said)}</td></tr>' for name, said in rows)
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def scrolled(content: str) -> str:
    """Return content that may be wider than the page; a keyboard reaches it."""
    return f'<div class="wide" tabindex="0">{content}</div>'


def heat_styles() -> str:
    """Return the rules of the shades: blue below, orange above the mean of what lives on an edge; text in the better contrast."""
    return "".join(_heat_style(level) for level in range(-_STEPS, _STEPS + 1))


def _heat_style(level: int) -> str:
    end, share = (_LOW if level < 0 else _HIGH), abs(level) / _STEPS
    mixed = [round(middle + (side - middle) * share) for middle, side in zip(_MIDDLE, end, strict=True)]
    light = sum(weight * _linear(part) for weight, part in zip((0.2126, 0.7152, 0.0722), mixed, strict=True))
    text = "#000000" if (light + 0.05) ** 2 > 0.05 * 1.05 else "#ffffff"
    colour = "#" + "".join(f"{part:02x}" for part in mixed)
    return f".heat{level + _STEPS}{{background:{colour};color:{text}}}"


def _linear(part: int) -> float:
    share = part / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 - IEC 61966-2-1


def arm_table(space: SearchSpace, cell: CellType, arms: Mapping[Choice, Arm]) -> str:
    """Return the arms of a cell type, an edge a row: mean, pulls, and when it was abandoned."""
    names = list(dict.fromkeys(name for edge in space.edges for name in edge.operations))
    offsets = {edge.name: _centred([arms.get(Choice(cell.name, edge.name, name)) for name in names]) for edge in space.edges}
    largest = max((abs(offset) for row in offsets.values() for offset in row if offset is not None), default=0.0)
    rows = []
    for edge in space.edges:
        cells = []
        for name, offset in zip(names, offsets[edge.name], strict=True):
            cells.append(_cell(arms.get(Choice(cell.name, edge.name, name)), offset, largest))
        rows.append(f'<tr><th scope="row">{quoted(edge.name)}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{quoted(name)}</th>' for name in names)
    return scrolled(
        f'<table class="arms"><thead><tr><th scope="col">edge</th>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _centred(arms: Sequence[Arm | None]) -> list[float | None]:
    """Return how far each live arm's mean is from the mean of all live ones."""
    means = [arm.mean if arm is not None and arm.abandoned_round is None else None for arm in arms]
    known = [mean for mean in means if mean is not None]
    centre = sum(known) / len(known) if known else 0.0
    return [None if mean is None else mean - centre for mean in means]


def _cell(arm: Arm | None, offset: float | None, largest: float) -> str:
    if arm is None:
        return "<td>-</td>"
    mean = "-" if arm.mean is None else signed(arm.mean)
    pulls = f"<small>{arm.pulls} pulls</small>"
    if arm.abandoned_round is not None:
        return f'<td class="gone"><s>{mean}</s> <small>round {arm.abandoned_round}</small><br>{pulls}</td>'
    if offset is None:
        return f"<td>{mean}<br>{pulls}</td>"
    level = round(_STEPS * offset / largest) if largest else 0
    return f'<td class="heat{level + _STEPS}">{mean}<br>{pulls}</td>'


def signed(value: float) -> str:
    """Return a figure with three decimals and a true minus sign."""
    return f"{value:.3f}".replace("-", "\N{MINUS SIGN}")
