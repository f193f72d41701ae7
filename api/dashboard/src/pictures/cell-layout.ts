/** Where nodes, bundles of operations and labels of a cell go. Everything in CSS pixels of a picture of the given width. */

export interface LayoutEdge {
  readonly source: number;
  readonly target: number;
  readonly operations: number;
  /** What its label says; null: none. */
  readonly label: string | null;
  readonly isChosen: boolean;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface PlacedLabel {
  readonly text: string;
  readonly x: number;
  readonly y: number;
  readonly box: Box;
}

export interface Bundle {
  /** One path an operation, in the edge's order. */
  readonly paths: readonly string[];
  /** A broad path along all of them, to be pointed at. */
  readonly spine: string;
  readonly breadth: number;
  readonly label: PlacedLabel | null;
}

export interface CellLayout {
  readonly width: number;
  readonly height: number;
  readonly radius: number;
  readonly nodes: readonly { readonly x: number; readonly y: number; readonly label: string }[];
  readonly bundles: readonly Bundle[];
}

const MARGIN = 26;
const FONT = 12;
const LINE = 16;
const LETTER = 0.62; // of the font's size: the mean breadth of a letter, on the safe side
const MOST_GAP = 5; // between two operations of a bundle
const INPUT_NAMES: Readonly<Record<number, readonly string[]>> = { 1: ["in"], 2: ["k\u22122", "k\u22121"] };

export function textWidth(text: string, size = FONT): number {
  return text.length * size * LETTER;
}

export function overlaps(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

export function nodeNames(count: number, inputs: number): string[] {
  const named = INPUT_NAMES[inputs] ?? [];
  return Array.from({ length: count }, (_, node) => named[node] ?? String(node));
}

/** Above the row of nodes (-1) or below it (1). Edges to the next node go straight. */
function sideOf(edge: LayoutEdge): -1 | 0 | 1 {
  if (edge.target - edge.source === 1) return 0;
  return edge.source % 2 === 0 ? -1 : 1;
}

interface Lanes {
  readonly baseline: number;
  readonly height: number;
  readonly step: number;
  readonly breadth: number;
}

/** How high the lanes are: long edges arch over short ones, and nothing but what is needed is left empty. */
function lanesOf(edges: readonly LayoutEdge[], wanted: number): Lanes {
  const spans = (side: -1 | 1) =>
    Math.max(0, ...edges.filter((edge) => sideOf(edge) === side).map((edge) => edge.target - edge.source - 1));
  const up = spans(-1);
  const down = spans(1);
  const room = Math.max(140, wanted) - 2 * (LINE + 8);
  const step = Math.min(120, room / (up + down + 1));
  const breadth = Math.min(step * 0.62, MOST_GAP * Math.max(1, ...edges.map((edge) => edge.operations - 1)));
  const above = up * step + breadth / 2 + LINE + 8;
  const below = down * step + breadth / 2 + LINE + 8;
  return { baseline: above, height: above + below, step, breadth };
}

/** A curve whose middle is `peak` above (negative) or below the row; its ends leave the nodes. */
function curve(x0: number, x1: number, y: number, peak: number): string {
  const control = y + (peak * 4) / 3; // a cubic's middle is at three quarters of its controls
  const lean = (x1 - x0) * 0.22;
  const round = (value: number) => Math.round(value * 10) / 10;
  return `M${round(x0)} ${round(y)}C${round(x0 + lean)} ${round(control)} ${round(x1 - lean)} ${round(control)} ${round(x1)} ${round(y)}`;
}

interface Draft {
  readonly edge: LayoutEdge;
  readonly x0: number;
  readonly x1: number;
  readonly peak: number;
  readonly spread: number;
}

function labelOf(draft: Draft, lanes: Lanes, width: number, isAbove: boolean): PlacedLabel | null {
  const { label } = draft.edge;
  if (label === null) return null;
  const breadth = Math.min(textWidth(label), width - 4);
  const middle = (draft.x0 + draft.x1) / 2;
  const x = Math.min(Math.max(middle, breadth / 2 + 2), width - breadth / 2 - 2);
  const offset = draft.spread / 2 + 5;
  const y = lanes.baseline + draft.peak + (isAbove ? -offset : offset + FONT - 1);
  return { text: label, x, y, box: { x: x - breadth / 2, y: y - FONT, width: breadth, height: LINE } };
}

/** Labels where they fit: the chosen edge's first; one that would lie on another, on a node or outside is left out. */
function placeLabels(drafts: readonly Draft[], lanes: Lanes, width: number, taken: Box[]): Map<Draft, PlacedLabel> {
  const placed = new Map<Draft, PlacedLabel>();
  const order = [...drafts].sort((a, b) => Number(b.edge.isChosen) - Number(a.edge.isChosen));
  for (const draft of order) {
    const first = draft.peak <= 0;
    for (const isAbove of [first, !first]) {
      const label = labelOf(draft, lanes, width, isAbove);
      if (!label || label.box.y < 0 || label.box.y + label.box.height > lanes.height) continue;
      if (taken.some((box) => overlaps(box, label.box))) continue;
      placed.set(draft, label);
      taken.push(label.box);
      break;
    }
  }
  return placed;
}

/** Lay out a cell of `nodes` nodes in a picture of a width, about as high as wanted. */
export function layOutCell(
  nodes: number,
  inputs: number,
  edges: readonly LayoutEdge[],
  width: number,
  wanted: number,
): CellLayout {
  const lanes = lanesOf(edges, wanted);
  const radius = width < 420 ? 11 : 14;
  const step = (width - 2 * MARGIN) / Math.max(1, nodes - 1);
  const xOf = (node: number) => MARGIN + node * step;
  const drafts: Draft[] = edges.map((edge) => ({
    edge,
    x0: xOf(edge.source),
    x1: xOf(edge.target),
    peak: sideOf(edge) * (edge.target - edge.source - 1) * lanes.step,
    spread: edge.operations > 1 ? lanes.breadth : 0,
  }));
  const names = nodeNames(nodes, inputs);
  const circles: Box[] = names.map((_, node) => ({
    x: xOf(node) - radius,
    y: lanes.baseline - radius,
    width: 2 * radius,
    height: 2 * radius,
  }));
  const labels = placeLabels(drafts, lanes, width, circles);
  const bundles = drafts.map((draft): Bundle => {
    const gap = draft.edge.operations > 1 ? draft.spread / (draft.edge.operations - 1) : 0;
    const paths = Array.from({ length: draft.edge.operations }, (_, place) =>
      curve(draft.x0, draft.x1, lanes.baseline, draft.peak - draft.spread / 2 + place * gap),
    );
    const spine = curve(draft.x0, draft.x1, lanes.baseline, draft.peak);
    return { paths, spine, breadth: Math.max(14, draft.spread * 0.7), label: labels.get(draft) ?? null };
  });
  return {
    width,
    height: Math.ceil(lanes.height),
    radius,
    nodes: names.map((label, node) => ({ x: xOf(node), y: lanes.baseline, label })),
    bundles,
  };
}
