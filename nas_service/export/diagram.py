"""Drawing a genotype as SVG: one panel a cell type, nodes in a row, every edge in a lane with its operation on it.

An operation looks the same in every picture (`palette`). Nothing overlaps whatever the space: see `cell_layout`. The picture
tells in words what it shows (`title`, `desc`), and needs no server, no network and no script.
"""

from dataclasses import dataclass, replace

from nas_service.export.cell_layout import CLEAR, RADIUS, SLANT, CellLayout, Lane, lay_out
from nas_service.export.palette import look_of
from nas_service.export.svg_paint import BACKGROUND, LINE, MUTED, TEXT, Paint, Theme
from nas_service.export.svg_text import FONT, cut, quoted, text, width
from nas_service.wording import printable
from search_spaces.errors import InvalidFieldError
from search_spaces.genotype import Genotype
from search_spaces.space import CellType, Role, SearchSpace

_INPUTS = {1: ("in",), 2: ("k-2", "k-1")}  # how many inputs a cell has: what they are called, k being the cell itself
_INPUT_WORDS = {1: ("the input",), 2: ("the cell before the previous one", "the previous cell")}
_LABEL, _HEADING, _SMALL = 11, 13, 11  # font sizes in pixels
_LONGEST = 240  # pixels of a label; of a longer one the middle is left out
_PAD = 7  # pixels between a label and the nearest slant
_SIDE = 28  # pixels between a panel's border and its outer nodes' centres
_SECOND_LINE = 8  # pixels that the lowest label of a comparison takes below its lane
_TOP = 46  # pixels of a panel's heading
_GAP = 10  # pixels between panels
_WIDE = 1000  # pixels, which two panels side by side keep within
_NARROWEST = 300  # pixels of a panel
_NOT = "\N{NOT EQUAL TO} "


@dataclass(frozen=True)
class _Frame:
    """The measures of all panels of a picture, in pixels.

    Attributes:
        layout: Of every cell.
        label: Width that a label may take.
        lane: Height of a lane.
        step: Between two nodes.
        width: Of a panel.
        height: Of a panel.
        columns: Panels side by side.
    """

    layout: CellLayout
    label: float
    lane: int
    step: float
    width: float
    height: float
    columns: int

    @classmethod
    def of(cls, space: SearchSpace, *, compares: bool) -> "_Frame":
        layout = lay_out(space.edges)
        names = {name for edge in space.edges for name in edge.operations}
        longest = max(width((_NOT if compares else "") + printable(name), _LABEL) for name in names)
        label = min(longest, _LONGEST)
        lane = 36 if compares else 22
        step = round(label + 2 * (SLANT + _PAD))
        panel = max(_NARROWEST, 2 * _SIDE + step * (space.inputs + space.nodes - 1))
        height = _TOP + 2 * (RADIUS + CLEAR) + lane * (max(layout.above, 1) + max(layout.below, 1) - 1)
        height += _SECOND_LINE if compares else 0
        columns = 2 if 2 * panel + 3 * _GAP <= _WIDE and len(space.cell_types) > 1 else 1
        return cls(layout, label, lane, step, panel, height, columns)

    @property
    def baseline(self) -> float:
        """Where the nodes stand in a panel."""
        return _TOP + RADIUS + CLEAR + self.lane * (max(self.layout.above, 1) - 0.5)

    def lane_y(self, level: int) -> float:
        away = RADIUS + CLEAR + (abs(level) - 1) * self.lane
        return self.baseline - away if level > 0 else self.baseline + away

    def node_x(self, node: int) -> float:
        return _SIDE + node * self.step


def draw(
    space: SearchSpace,
    genotype: Genotype,
    *,
    theme: Theme | str = Theme.LIGHT,
    compare: Genotype | None = None,
    title: str = "",
    description: str = "",
) -> str:
    """Return an SVG picture of the genotype's cells.

    Args:
        space: Of the genotype.
        genotype: What is drawn.
        theme: `light`, `dark`, or `auto`: as the reader's browser prefers.
        compare: Another genotype of the space: edges that differ are bold and name its operation too, equal ones are faded.
        title: What the picture is called.
        description: What is said of it before its edges are told in words.

    Raises:
        InvalidFieldError: If `compare` is not of the same space.
    """
    if compare is not None and {choice[:2] for choice in compare.choices} != {choice[:2] for choice in genotype.choices}:
        raise InvalidFieldError("compare", printable(compare.space), f"an architecture with the cells and edges of {space.name}")
    return _Picture(space, genotype, compare, Paint(Theme(theme))).svg(title or f"Cells of space {space.name}", description)


class _Picture:
    """One picture while it is drawn."""

    def __init__(self, space: SearchSpace, genotype: Genotype, other: Genotype | None, paint: Paint) -> None:
        self._space, self._genotype, self._other, self._paint = space, genotype, other, paint
        frame = _Frame.of(space, compares=other is not None)
        self._frame = replace(frame, columns=min(frame.columns, len(space.cell_types)))
        self._nodes = [*_INPUTS[space.inputs], *map(str, range(space.inputs, space.inputs + space.nodes))]

    def svg(self, title: str, description: str) -> str:
        frame = self._frame
        rows = -(-len(self._space.cell_types) // frame.columns)
        whole = frame.columns * (frame.width + _GAP) + _GAP
        tall = rows * (frame.height + _GAP) + _GAP
        panels = []
        for index, cell in enumerate(self._space.cell_types):
            x = _GAP + index % frame.columns * (frame.width + _GAP)
            y = _GAP + index // frame.columns * (frame.height + _GAP)
            panels.append(f'<g transform="translate({x:g} {y:g})">{self._panel(cell)}</g>')
        ending, more = self._ending(tall, whole)
        tall += more
        legend, more = self._legend(tall, whole)
        tall += more
        ground = f'<rect width="100%" height="100%" {self._paint.attributes(fill=BACKGROUND)}/>'
        body = ground + "".join(panels) + ending + legend
        said = " ".join([*([printable(description)] if description else []), *self._words()])
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {whole:g} {tall:g}" width="{whole:g}" '
            f'height="{tall:g}" font-family="{FONT}"><title>{quoted(title)}</title><desc>{quoted(said)}</desc>'
            f"{self._paint.style()}{body}</svg>"
        )

    def _differs(self, cell: CellType, edge: str) -> bool:
        return self._other is not None and self._other.operation(cell.name, edge) != self._genotype.operation(cell.name, edge)

    def _words(self) -> list[str]:
        """Return a sentence a cell, with every edge's operation."""
        names = [*_INPUT_WORDS[self._space.inputs], *(f"node {label}" for label in self._nodes[self._space.inputs :])]
        sentences = []
        for cell in self._space.cell_types:
            role = ", a reduction" if cell.role is Role.REDUCTION and cell.name != cell.role.value else ""
            told = []
            for edge in self._space.edges:
                operation = self._genotype.operation(cell.name, edge.name)
                if self._other is not None and self._differs(cell, edge.name):
                    operation += f" instead of {self._other.operation(cell.name, edge.name)}"
                told.append(f"from {names[edge.source]} to {names[edge.target]}: {operation}")
            sentences.append(f"Cell {cell.name}{role}: {'; '.join(told)}.")
        if self._space.inter_cell_skips:
            sentences.append("Every cell but the first adds the previous cell's output to its own.")
        if self._space.hidden_multipliers:
            sentences.append(f"{self._hidden()}.")
        return sentences

    def _hidden(self) -> str:
        return f"After the last cell: fully connected layers of {' and '.join(map(str, self._space.hidden_widths))} outputs"

    def _panel(self, cell: CellType) -> str:
        frame, paint = self._frame, self._paint
        room = frame.width - 2 * (_SIDE - RADIUS)
        border = f'width="{frame.width:g}" height="{frame.height:g}" rx="8" fill="none" {paint.attributes(stroke=LINE)}'
        suffix = " (reduction)" if cell.role is Role.REDUCTION and cell.name != cell.role.value else ""
        name = cut(cell.name, _HEADING, room - width(f"cell {suffix}", _HEADING))
        bold = f'font-weight="bold" {paint.attributes(fill=TEXT)}'
        parts = [f"<rect {border}/>", text(f"cell {name}{suffix}", _SIDE - RADIUS, 21, size=_HEADING, attributes=bold)]
        if self._space.inter_cell_skips:
            added = cut("adds the previous cell's output", _SMALL, room)
            parts.append(text(added, _SIDE - RADIUS, 37, size=_SMALL, attributes=paint.attributes(fill=MUTED)))
        parts += [self._edge(cell, lane) for lane in frame.layout.lanes]
        parts += [self._label(cell, lane) for lane in frame.layout.lanes]  # above all lines
        for node, label in enumerate(self._nodes):
            x, y = frame.node_x(node), frame.baseline
            fill = paint.attributes(fill=TEXT if node >= self._space.inputs else MUTED)
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" {fill}/>')
            middle = f'text-anchor="middle" {paint.attributes(fill=BACKGROUND)}'
            parts.append(text(label, x, y + 4, size=_SMALL, attributes=middle))
        return "".join(parts)

    def _edge(self, cell: CellType, lane: Lane) -> str:
        frame, edge = self._frame, lane.edge
        operation = self._genotype.operation(cell.name, edge.name)
        look = look_of(operation)
        start, end = frame.node_x(edge.source), frame.node_x(edge.target)
        base, y, bend = frame.baseline, frame.lane_y(lane.level), 0.7 * SLANT
        path = f"M{start:g} {base:g}Q{start + bend:g} {y:g} {start + SLANT:g} {y:g}H{end - SLANT:g}"
        path += f"Q{end - bend:g} {y:g} {end:g} {base:g}"
        dash = f' stroke-dasharray="{look.dash}"' if look.dash else ""
        weight = "2"
        if self._other is not None:
            weight = "4" if self._differs(cell, edge.name) else '1.5" stroke-opacity="0.4'
        stroke = self._paint.attributes(stroke=look.colour)
        return f'<path d="{path}" fill="none" stroke-width="{weight}"{dash} {stroke}/>'

    def _label(self, cell: CellType, lane: Lane) -> str:
        frame, edge = self._frame, lane.edge
        operation = self._genotype.operation(cell.name, edge.name)
        x, y = frame.node_x(lane.gap) + frame.step / 2, frame.lane_y(lane.level)
        differs = self._differs(cell, edge.name)
        fill = look_of(operation).colour if self._other is None or differs else MUTED
        halo = 'text-anchor="middle" paint-order="stroke" stroke-width="5" stroke-linejoin="round"'
        bold = ' font-weight="bold"' if differs else ""
        shown = cut(operation, _LABEL, frame.label)
        colours = self._paint.attributes("label", fill=fill, stroke=BACKGROUND)
        label = text(shown, x, y - 1 if differs else y + 4, size=_LABEL, attributes=f"{halo}{bold} {colours}")
        if self._other is not None and differs:
            other = cut(_NOT + self._other.operation(cell.name, edge.name), _LABEL, frame.label)
            colours = self._paint.attributes("other", fill=TEXT, stroke=BACKGROUND)
            label += text(other, x, y + 15, size=_LABEL, attributes=f"{halo} {colours}")
        return f"<g><title>{quoted(f'{cell.name} {edge.name}: {operation}')}</title>{label}</g>"

    def _ending(self, top: float, room: float) -> tuple[str, float]:
        """Return what stands between the last cell and the classifier, in words, and the height it takes."""
        if not self._space.hidden_multipliers:
            return "", 0
        shown = cut(self._hidden(), _SMALL, room - 2 * _GAP)
        return text(shown, _GAP, top + 12, size=_SMALL, attributes=self._paint.attributes(fill=MUTED)), 24

    def _legend(self, top: float, room: float) -> tuple[str, float]:
        """Return what a comparison's lines mean, and the height it takes."""
        if self._other is None:
            return "", 0
        edges = [(cell, edge.name) for cell in self._space.cell_types for edge in self._space.edges]
        count = sum(self._differs(cell, edge) for cell, edge in edges)
        rows = [("4", f"{count} of {len(edges)} edges differ"), ('1.5" stroke-opacity="0.4', "the others are equal")]
        if not count:
            rows = [(rows[1][0], f"all {len(edges)} edges are equal")]
        parts = []
        for index, (weight, said) in enumerate(rows):
            y = top + 12 + 20 * index
            line = f'<path d="M{_GAP} {y:g}h36" stroke-width="{weight}" {self._paint.attributes(stroke=TEXT)}/>'
            shown = cut(said, _SMALL, room - 3 * _GAP - 36)
            parts.append(line + text(shown, 2 * _GAP + 36, y + 4, size=_SMALL, attributes=self._paint.attributes(fill=TEXT)))
        return "".join(parts), 20 * len(rows) + 8
