import type { Curve } from "../state/training-data";

/** Mean and spread over the seeds of one method on one architecture, epoch by epoch. */
export interface Band {
  readonly method: string;
  readonly architecture: string;
  readonly seeds: number;
  readonly epoch: readonly number[];
  readonly mean: readonly number[];
  /** Sample standard deviation; null where only one seed got so far. */
  readonly spread: readonly (number | null)[];
  readonly count: readonly number[];
}

/** Return one band a pair of method and architecture; a mean is over the seeds that have a figure of that epoch. */
export function bandsOf(curves: readonly Curve[], field: string): Band[] {
  const groups = new Map<string, Curve[]>();
  for (const curve of curves) {
    const at = JSON.stringify([curve.method, curve.architecture]);
    groups.set(at, [...(groups.get(at) ?? []), curve]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first ? [bandOf(first.method, first.architecture, group, field)] : [];
  });
}

function bandOf(method: string, architecture: string, group: readonly Curve[], field: string): Band {
  const values = new Map<number, number[]>();
  for (const curve of group) {
    curve.epoch.forEach((epoch, place) => {
      const value = curve.columns[field]?.[place];
      if (typeof value === "number") values.set(epoch, [...(values.get(epoch) ?? []), value]);
    });
  }
  const epoch = [...values.keys()].sort((a, b) => a - b);
  const at = epoch.map((one) => values.get(one) ?? []);
  return {
    method,
    architecture,
    seeds: group.length,
    epoch,
    mean: at.map((entries) => meanOf(entries)),
    spread: at.map((entries) => spreadOf(entries)),
    count: at.map((entries) => entries.length),
  };
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample standard deviation; null of one value, which has no spread. */
export function spreadOf(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const mean = meanOf(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
}

interface Scale {
  at(value: number): number;
}

/** Return the line of the means, and the outline of mean ± spread where there are two seeds or more. */
export function bandPaths(band: Band, x: Scale, y: Scale): { readonly line: string; readonly area: string } {
  const place = (epoch: number, value: number) => `${x.at(epoch).toFixed(1)} ${y.at(value).toFixed(1)}`;
  const line = band.epoch.map((epoch, index) => place(epoch, band.mean[index] ?? 0));
  const wide = band.epoch.flatMap((epoch, index) => {
    const spread = band.spread[index];
    const mean = band.mean[index];
    return spread === null || spread === undefined || mean === undefined ? [] : [{ epoch, mean, spread }];
  });
  const upper = wide.map((one) => place(one.epoch, one.mean + one.spread));
  const lower = wide.map((one) => place(one.epoch, one.mean - one.spread)).reverse();
  return {
    line: line.length > 0 ? `M${line.join("L")}` : "",
    area: wide.length > 1 ? `M${[...upper, ...lower].join("L")}Z` : "",
  };
}
