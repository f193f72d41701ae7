import type { Comparison, Pair } from "../state/training-data";
import { type Axis, domain, linear } from "./axis";

/** How well scores foretold what one method reached. */
export interface Foretold {
  readonly method: string;
  /** Spearman's; null where it means nothing. */
  readonly rho: number | null;
  readonly n: number;
}

export function foretoldOf(comparison: Comparison): Foretold[] {
  return comparison.methods.map((entry) => ({
    method: entry.method,
    rho: entry.score_correlation,
    n: comparison.pairs.filter((pair) => pair.method === entry.method && pair.control === null).length,
  }));
}

/** Say it in words: a correlation of two points is none. */
export function foretoldWords(entry: Foretold): string {
  if (entry.rho !== null) return `ρ ${entry.rho.toFixed(2).replace("-", "\u2212")}, n = ${entry.n}`;
  return entry.n < 3 ? `no ρ: n = ${entry.n}, three are needed` : `no ρ: n = ${entry.n}, one side is constant`;
}

export interface CorrelationLayout {
  readonly x: Axis;
  readonly y: Axis;
  readonly points: readonly { readonly pair: Pair; readonly x: number; readonly y: number }[];
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number };
}

export function layOutCorrelation(pairs: readonly Pair[], width: number, height: number): CorrelationLayout | null {
  const scored = pairs.flatMap((pair) => (pair.architecture_score === null ? [] : [{ pair, score: pair.architecture_score }]));
  if (scored.length === 0) return null;
  const plot = { left: 46, right: width - 14, top: 14, bottom: height - 38 };
  const scores = scored.map((one) => one.score);
  // Of a single score, so much around it that the labels differ.
  const least = new Set(scores).size > 1 ? 1e-6 : Math.max(1e-3, Math.abs(scores[0] ?? 0) / 100);
  const x = linear(domain(scores, least, 0.1), [plot.left, plot.right], width < 400 ? 3 : 5);
  const [low, high] = domain(
    scored.map((one) => one.pair.test_mean),
    0.02,
    0.1,
  );
  const y = linear([Math.max(0, low), Math.min(1, high)], [plot.bottom, plot.top]);
  return { x, y, plot, points: scored.map(({ pair, score }) => ({ pair, x: x.at(score), y: y.at(pair.test_mean) })) };
}
