import type { Names, Pair } from "../state/training-data";

const ACROSS = 6; // columns that a page is wide enough for

/** Methods by architectures, or the other way round. */
export interface Grid {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** Whether architectures are the rows. */
  readonly isTurned: boolean;
  /** Whether even the fewer of the two are many. */
  readonly isDense: boolean;
  at(row: string, column: string): Pair | null;
  /** How many methods have a pair on an architecture. */
  finished(architecture: string): number;
}

/** Put pairs into a table: a row a method, unless there are many architectures and fewer methods. */
export function gridOf(pairs: readonly Pair[], names: Names): Grid {
  const known = new Map(pairs.map((pair) => [JSON.stringify([pair.method, pair.architecture]), pair]));
  const { methods, architectures } = names;
  const isTurned = architectures.length > ACROSS && architectures.length > methods.length;
  const columns = isTurned ? methods : architectures;
  return {
    rows: isTurned ? architectures : methods,
    columns,
    isTurned,
    isDense: columns.length > ACROSS,
    at: (row, column) => known.get(JSON.stringify(isTurned ? [column, row] : [row, column])) ?? null,
    finished: (architecture) => methods.filter((method) => known.has(JSON.stringify([method, architecture]))).length,
  };
}

/** Return where the seeds of a pair stand on a strip of a width that all cells share, so that strips can be compared. */
export function seedDots(pair: Pair, range: readonly [number, number], width: number): number[] {
  const [low, high] = range;
  const margin = 4;
  const scale = high > low ? (width - 2 * margin) / (high - low) : 0;
  return pair.runs.map((run) => (scale ? margin + (run.test_accuracy - low) * scale : width / 2));
}

/** Return the lowest and the highest test accuracy of all seeds of a training. */
export function seedRange(pairs: readonly Pair[]): [number, number] {
  const all = pairs.flatMap((pair) => pair.runs.map((run) => run.test_accuracy));
  return all.length > 0 ? [Math.min(...all), Math.max(...all)] : [0, 1];
}
