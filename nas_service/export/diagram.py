"""Drawing a genotype as SVG: one panel a cell type, nodes in a row, edges as labelled arcs. No server, no network."""

from html import escape

from search_spaces.genotype import Genotype
from search_spaces.space import ZEROISE, Role, SearchSpace

_STEP = 150  # pixels between two nodes
_MARGIN = 60
_RADIUS = 16
_INPUTS = {1: ("in",), 2: ("k-2", "k-1")}  # how many inputs a cell has: what they are called, k being the cell itself
_COLOURS = (
    "#4269d0",
    "#efb118",
    "#6cc5b0",
    "#ff725c",
    "#a463f2",
    "#97bbf5",
    "#9c6b4e",
    "#3ca951",
    "#ff8ab7",
    "#9498a0",
)


def _edge(source: int, target: int, baseline: int, label: str, colour: str) -> str:
    start, end = _MARGIN + source * _STEP, _MARGIN + target * _STEP
    # Longer edges bend further; odd targets bend down, so that labels keep apart.
    bend = (26 + 44 * (target - source - 1)) * (1 if target % 2 else -1) * 2
    middle, top = (start + end) / 2, baseline + bend
    label_y = baseline + bend / 2 + 4
    dashes = ' stroke-dasharray="2 6"' if label == ZEROISE else ""
    return (
        f'<path d="M{start} {baseline} Q{middle} {top} {end} {baseline}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
        f'<text x="{middle}" y="{label_y}" text-anchor="middle" class="label" fill="{colour}">{escape(label)}</text>'
    )


def draw(space: SearchSpace, genotype: Genotype) -> str:
    """Return an SVG picture of the genotype's cells; colours are the same operation everywhere, a cut edge is dotted."""
    operations = sorted({choice.operation for choice in genotype.choices})
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(operations)}
    nodes = [*_INPUTS[space.inputs], *map(str, range(space.inputs, space.inputs + space.nodes))]
    height = 130 + 88 * (len(nodes) - 1)
    width = 2 * _MARGIN + (len(nodes) - 1) * _STEP
    columns = min(2, len(space.cell_types))
    rows = -(-len(space.cell_types) // columns)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * width} {rows * height}" '
            f'width="{columns * width}" height="{rows * height}" font-family="sans-serif" font-size="13">'
        ),
        "<style>.label{paint-order:stroke;stroke:#fff;stroke-width:4px;font-size:11px}</style>",
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for index, cell in enumerate(space.cell_types):
        x, y = index % columns * width, index // columns * height
        baseline = height // 2 + 10
        role = " (reduction)" if cell.role is Role.REDUCTION else ""
        role += ", adds the previous cell's output" if space.inter_cell_skips else ""
        parts.append(f'<g transform="translate({x} {y})">')
        parts.append(f'<text x="{_MARGIN - _RADIUS}" y="24" font-weight="bold">cell {escape(cell.name)}{role}</text>')
        for edge in space.edges:
            operation = genotype.operation(cell.name, edge.name)
            parts.append(_edge(edge.source, edge.target, baseline, operation, colours[operation]))
        for node, label in enumerate(nodes):
            centre = _MARGIN + node * _STEP
            fill = "#222" if node >= space.inputs else "#777"
            parts.append(f'<circle cx="{centre}" cy="{baseline}" r="{_RADIUS}" fill="{fill}"/>')
            parts.append(f'<text x="{centre}" y="{baseline + 5}" text-anchor="middle" fill="#fff">{label}</text>')
        parts.append("</g>")
    return "".join([*parts, "</svg>"])
