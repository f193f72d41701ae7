import type { ArmTable } from "./arm-table";

/** What a stream tells of a committed wave: the arms of its samples, and the means that changed, in thousandths of their unit. */
export interface WaveData {
  readonly first: number;
  readonly samples: number;
  readonly rewards: readonly number[];
  /** Shares of a whole training that the samples were; null: all were whole. */
  readonly fidelities?: readonly number[] | null;
  readonly seconds?: readonly number[];
  readonly pulled?: readonly (readonly number[])[] | null;
  readonly means?: readonly (readonly [number, number | null])[] | null;
  readonly all_means?: readonly (number | null)[] | null;
  /** Edges that another arm leads now, by place, and the position of that arm. */
  readonly leading?: readonly (readonly [number, number | null])[];
}

export interface AbandonedData {
  readonly round: number;
  readonly samples: number;
  readonly arms: readonly {
    readonly position: number;
    readonly pulls: number;
    readonly mean: number | null;
    readonly lower: number | null;
    readonly upper: number | null;
  }[];
}

const THOUSAND = 1000;

function isUnchanged(old: number | null | undefined, thousandths: number | null): boolean {
  if (old === null || old === undefined) return thousandths === null;
  return thousandths !== null && Math.round(old * THOUSAND) === thousandths;
}

function newMeans(mean: (number | null)[], wave: WaveData): void {
  const pairs = wave.means ?? wave.all_means?.map((value, position): [number, number | null] => [position, value]) ?? [];
  for (const [position, value] of pairs) {
    // what equals the mean that is known, to thousandths, keeps its finer digits
    if (position >= 0 && position < mean.length && !isUnchanged(mean[position], value)) {
      mean[position] = value === null ? null : value / THOUSAND;
    }
  }
}

function newLeaders(table: ArmTable, wave: WaveData): ArmTable["leading"] {
  const leading = [...table.leading];
  for (const [place, position] of wave.leading ?? []) {
    if (place >= 0 && place < leading.length) leading[place] = position;
  }
  return leading;
}

/**
 * Return the table after a wave. Null: something between is missing, ask for the table anew. The table itself: the wave is in
 * it. Bounds are as old as the table, since waves do not carry them.
 */
export function afterWave(table: ArmTable, wave: WaveData): ArmTable | null {
  if (wave.samples <= table.samples) return table;
  if (wave.first !== table.samples) return null;
  const pulls = [...table.pulls];
  for (const sample of wave.pulled ?? []) {
    for (const position of sample) {
      if (position >= 0 && position < pulls.length) pulls[position] = (pulls[position] ?? 0) + 1;
    }
  }
  const mean = [...table.mean];
  newMeans(mean, wave);
  return { ...table, pulls, mean, leading: newLeaders(table, wave), at: wave.samples, samples: wave.samples };
}

/**
 * Return the table after arms were dropped, with the figures that they were dropped with. A round may end inside a wave that the
 * table holds already, so samples do not tell whether it is known: an arm that is out already does.
 */
export function afterAbandoned(table: ArmTable, event: AbandonedData): ArmTable {
  const arms = event.arms.filter(({ position }) => table.abandoned_round[position] === null);
  if (arms.length === 0) return table;
  const next = {
    pulls: [...table.pulls],
    mean: [...table.mean],
    lower: [...table.lower],
    upper: [...table.upper],
    abandoned_round: [...table.abandoned_round],
  };
  for (const arm of arms) {
    next.pulls[arm.position] = arm.pulls;
    next.mean[arm.position] = arm.mean;
    next.lower[arm.position] = arm.lower;
    next.upper[arm.position] = arm.upper;
    next.abandoned_round[arm.position] = event.round;
  }
  return { ...table, ...next };
}
