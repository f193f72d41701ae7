/** Where values go on a line of pixels, and which of them are written down. */
export interface Axis {
  at(value: number): number;
  readonly ticks: readonly number[];
}

const STEPS = [1, 2, 2.5, 5, 10];

/** Return round values in [low, high], about as many as wanted. */
export function niceTicks(low: number, high: number, wanted: number): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * (STEPS.find((one) => one * power >= rough - rough * 1e-9) ?? 10);
  const ticks: number[] = [];
  for (let count = Math.ceil(low / step - 1e-9); count * step <= high + step * 1e-9; count += 1) {
    ticks.push(Number((count * step).toPrecision(12)));
  }
  return ticks;
}

/** Return how many decimals tell ticks apart and say what they are, once each is multiplied with a factor (100 for percent). */
export function decimals(ticks: readonly number[], factor = 1): number {
  const exact = (digits: number) =>
    ticks.every(
      (tick) => Math.abs(tick * factor - Number((tick * factor).toFixed(digits))) < 1e-9 * Math.max(1, Math.abs(tick * factor)),
    );
  return [0, 1, 2, 3, 4, 5].find(exact) ?? 6;
}

/** Return values of 1, 2 and 5 times powers of ten in [low, high]; only the powers where there are enough of them. */
export function logTicks(low: number, high: number): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
    for (const factor of [1, 2, 5]) {
      const value = Number((factor * 10 ** power).toPrecision(12));
      if (value >= low * (1 - 1e-9) && value <= high * (1 + 1e-9)) all.push(value);
    }
  }
  const powers = all.filter((value) => Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-9);
  if (powers.length >= 4) return powers;
  return all.length >= 2 ? all : niceTicks(low, high, 3);
}

/** Return [low, high] of the values with some room around them; of equal ones, room that shows them in the middle. */
export function domain(values: readonly number[], least: number, room = 0.06): [number, number] {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const missing = Math.max(0, least - (high - low)) / 2;
  const around = (high - low + 2 * missing) * room;
  return [low - missing - around, high + missing + around];
}

export function linear([low, high]: readonly [number, number], [from, to]: readonly [number, number], wanted = 5): Axis {
  const scale = high > low ? (to - from) / (high - low) : 0;
  return { at: (value) => from + (value - low) * scale, ticks: niceTicks(low, high, wanted) };
}

/** A logarithmic line over positive values, with room for the first and the last. */
export function logarithmic(values: readonly number[], [from, to]: readonly [number, number]): Axis {
  const positive = values.filter((value) => value > 0);
  const [low, high] = domain(positive.map(Math.log), Math.log(1.5), 0.08);
  const scale = (to - from) / (high - low);
  return { at: (value) => from + (Math.log(value) - low) * scale, ticks: logTicks(Math.exp(low), Math.exp(high)) };
}

/** Leave out what would be written over what is there: labels of so many pixels each along a line. */
export function spaced(axis: Axis, breadth: number): readonly number[] {
  const kept: number[] = [];
  for (const tick of axis.ticks) {
    const last = kept.at(-1);
    if (last === undefined || Math.abs(axis.at(tick) - axis.at(last)) >= breadth) kept.push(tick);
  }
  return kept;
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
