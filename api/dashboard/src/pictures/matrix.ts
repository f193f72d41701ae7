import type { Names, Pair } from "../state/training-data";

/** One row of the matrix: a method, and its pair on each architecture in the order of the columns. */
export interface MatrixRow {
  readonly method: string;
  readonly cells: readonly (Pair | null)[];
}

export function matrixOf(pairs: readonly Pair[], names: Names): MatrixRow[] {
  const known = new Map(pairs.map((pair) => [JSON.stringify([pair.method, pair.architecture]), pair]));
  return names.methods.map((method) => ({
    method,
    cells: names.architectures.map((architecture) => known.get(JSON.stringify([method, architecture])) ?? null),
  }));
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
