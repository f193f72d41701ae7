import { type Arm, type ArmTable, armsOf, leadingOf, type Slot } from "../state/arm-table";
import { figureWords } from "./heat";

export interface WhyRow extends Arm {
  readonly isLeading: boolean;
  /** "16 pulls, alive" or "5 pulls, out in round 1". */
  readonly words: string;
}

function pulls(count: number): string {
  return `${count} pull${count === 1 ? "" : "s"}`;
}

function fate(arm: Arm): string {
  if (arm.abandonedRound === 0) return "never possible";
  return arm.abandonedRound === null ? `${pulls(arm.pulls)}, alive` : `${pulls(arm.pulls)}, out in round ${arm.abandonedRound}`;
}

/** The arms of an edge: those that live by mean, then those that were dropped, the last first. */
export function whyRows(table: ArmTable, slot: Slot): WhyRow[] {
  const leading = leadingOf(table, slot);
  const sign = table.facts.higher_is_better ? -1 : 1;
  const rank = (value: number | null) => (value === null ? Number.POSITIVE_INFINITY : sign * value);
  return armsOf(table, slot)
    .map((arm): WhyRow => ({ ...arm, isLeading: arm.position === leading, words: fate(arm) }))
    .sort((a, b) => {
      if (a.isLeading !== b.isLeading) return a.isLeading ? -1 : 1;
      if (a.isAlive !== b.isAlive) return a.isAlive ? -1 : 1;
      if (!a.isAlive && a.abandonedRound !== b.abandonedRound) return (b.abandonedRound ?? 0) - (a.abandonedRound ?? 0);
      return rank(a.mean) < rank(b.mean) ? -1 : rank(a.mean) > rank(b.mean) ? 1 : a.position - b.position;
    });
}

/** The range that dots and bounds take; null where there is none. */
export function whyRange(rows: readonly WhyRow[]): { low: number; high: number } | null {
  const values = rows.flatMap((row) => [row.mean, row.lower, row.upper]).filter((value) => value !== null);
  return values.length ? { low: Math.min(...values), high: Math.max(...values) } : null;
}

function ofOthers(table: ArmTable, leader: WhyRow, others: readonly WhyRow[]): string {
  if (table.facts.bounds === "none" || leader.lower === null || leader.upper === null) return "";
  const isApart = (row: WhyRow) =>
    table.facts.higher_is_better
      ? row.upper !== null && (leader.lower ?? 0) > row.upper
      : row.lower !== null && (leader.upper ?? 0) < row.lower;
  const apart = others.filter(isApart).length;
  const what = table.facts.bounds === "confidence" ? "bounds" : "two standard deviations";
  if (apart === others.length) return ` Its ${what} lie clear of all ${others.length} others that are alive.`;
  if (apart === 0) return ` Its ${what} overlap those of every other that is alive: nothing is decided yet.`;
  return ` Its ${what} lie clear of ${apart} of the ${others.length} others that are alive.`;
}

/** Why the search prefers what it prefers on an edge, in plain words, from the figures that are drawn. */
export function whySentence(table: ArmTable, slot: Slot): string {
  const rows = whyRows(table, slot);
  const alive = rows.filter((row) => row.isAlive);
  const dropped = rows.filter((row) => !row.isAlive && row.abandonedRound !== 0).length;
  const impossible = rows.filter((row) => row.abandonedRound === 0).length;
  const leader = rows.find((row) => row.isLeading);
  const never = impossible ? ` ${impossible} of ${rows.length} can be in no live architecture.` : "";
  if (!leader) {
    const only = alive.length === 1 ? alive[0] : undefined;
    if (only) return `Only ${only.operation} is left on this edge.${never}`;
    return `No sample has held an operation of this edge yet: nothing tells them apart.${never}`;
  }
  const figure = `${figureWords(table.facts, leader.mean)} from ${leader.pulls} of ${table.at} samples`;
  const gone = dropped === 0 ? "no operation was abandoned" : `${dropped} of ${rows.length} operations were abandoned`;
  if (alive.length === 1) return `${leader.operation} is the only one left, with ${figure}; ${gone}.${never}`;
  const others = alive.filter((row) => row !== leader && row.mean !== null);
  const unseen = alive.length - others.length - 1;
  const still = unseen
    ? ` ${unseen} that ${unseen === 1 ? "is" : "are"} alive ${unseen === 1 ? "has" : "have"} no sample yet.`
    : "";
  return `${leader.operation} leads with ${figure}; ${gone}.${others.length ? ofOthers(table, leader, others) : ""}${still}${never}`;
}
