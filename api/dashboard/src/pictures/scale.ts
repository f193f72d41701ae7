/** Scales and paths of charts: pure, in CSS pixels. */

export interface Scale {
  readonly low: number;
  readonly high: number;
  (value: number): number;
}

/** A straight scale; a range without breadth is widened so that its one value is in the middle. */
export function scale(low: number, high: number, from: number, to: number): Scale {
  const [least, most] = high > low ? [low, high] : [low - 0.5, low + 0.5];
  const place = (value: number) => from + ((value - least) / (most - least)) * (to - from);
  return Object.assign(place, { low: least, high: most });
}

/** Round values within a range, about so many. */
export function ticks(low: number, high: number, about: number): number[] {
  if (!(high > low) || about < 1) return [low];
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10);
  const found: number[] = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) found.push(index * step);
  return found.map((value) => Number(value.toPrecision(12)));
}

const round = (value: number) => Math.round(value * 10) / 10;

type Values = readonly (number | null | undefined)[];

/** A line through points; where a value is missing it is broken. */
export function linePath(xs: readonly number[], ys: Values, x: Scale, y: Scale): string {
  let path = "";
  let isOpen = false;
  for (const [index, at] of xs.entries()) {
    const value = ys[index];
    if (value === null || value === undefined) {
      isOpen = false;
      continue;
    }
    path += `${isOpen ? "L" : "M"}${round(x(at))} ${round(y(value))}`;
    isOpen = true;
  }
  return path;
}

/** Steps: each value holds until the next one. */
export function stepPath(xs: readonly number[], ys: Values, x: Scale, y: Scale, end?: number): string {
  let path = "";
  for (const [index, at] of xs.entries()) {
    const value = ys[index];
    if (value === null || value === undefined) continue;
    path += path ? `H${round(x(at))}V${round(y(value))}` : `M${round(x(at))} ${round(y(value))}`;
  }
  return path && end !== undefined ? `${path}H${round(x(end))}` : path;
}

/** Dots as one path: drawn with a round line cap, each is a circle as broad as the stroke. */
export function dotPath(xs: readonly number[], ys: Values, x: Scale, y: Scale): string {
  let path = "";
  for (const [index, at] of xs.entries()) {
    const value = ys[index];
    if (value !== null && value !== undefined) path += `M${round(x(at))} ${round(y(value))}h0`;
  }
  return path;
}

/** The ground between two lines, in pieces where either is missing. */
export function bandPath(xs: readonly number[], low: Values, high: Values, x: Scale, y: Scale): string {
  const pieces: number[][] = [[]];
  for (const [index] of xs.entries()) {
    const isThere = typeof low[index] === "number" && typeof high[index] === "number";
    if (isThere) pieces.at(-1)?.push(index);
    else if (pieces.at(-1)?.length) pieces.push([]);
  }
  const edge = (piece: readonly number[], values: Values) =>
    piece.map((index) => `${round(x(xs[index] ?? 0))} ${round(y(values[index] ?? 0))}`);
  return pieces
    .filter((piece) => piece.length > 1)
    .map((piece) => `M${[...edge(piece, high), ...edge([...piece].reverse(), low)].join("L")}Z`)
    .join("");
}

/** Best so far, value by value; missing ones change nothing. */
export function bestSoFar(values: Values, fidelity: Values = []): (number | null)[] {
  let best: number | null = null;
  let longest = 0;
  return values.map((value, place) => {
    const share = fidelity[place] ?? longest;
    if (share > longest) {
      longest = share;
      best = null; // what a longer training reaches is not told by a shorter one
    }
    if (typeof value === "number" && share === longest && (best === null || value > best)) best = value;
    return best;
  });
}

/** Place of the value that is nearest to a place on the axis; -1 where there are none. Sorted values only. */
export function nearest(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length - 1;
  if (high < 0) return -1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= wanted) low = middle;
    else high = middle;
  }
  return Math.abs((sorted[low] ?? 0) - wanted) <= Math.abs((sorted[high] ?? 0) - wanted) ? low : high;
}
