/** Where arrow keys go in a grid of which some rows are folded away. */

export interface Place {
  readonly row: number;
  readonly column: number;
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
};

/** Return where a key leads; null: it is no key of grids. `seen`: the rows that are shown, in order. */
export function placeAfter(key: string, isCtrl: boolean, from: Place, seen: readonly number[], columns: number): Place | null {
  const limit = (value: number, most: number) => Math.min(Math.max(value, 0), most);
  const step = STEPS[key];
  if (step) {
    const place = limit(seen.indexOf(from.row) + step[0], seen.length - 1);
    return { row: seen[place] ?? from.row, column: limit(from.column + step[1], columns - 1) };
  }
  if (key === "Home") return { row: isCtrl ? (seen[0] ?? from.row) : from.row, column: 0 };
  if (key === "End") return { row: isCtrl ? (seen.at(-1) ?? from.row) : from.row, column: columns - 1 };
  return null;
}
