import { type ArmFacts, type ArmTable, armsOf, edgeMean, leadingOf, listedArms, slotsOf } from "../state/arm-table";
import { fixed, signed } from "../ui/format";

type Rgb = readonly [number, number, number];

const LOW: Rgb = [0x08, 0x51, 0x9c];
const MIDDLE: Rgb = [0xee, 0xec, 0xe6];
const HIGH: Rgb = [0xe6, 0x61, 0x01];
export const INK = "#000000";
export const PAPER = "#ffffff";

/** What one field of the heat map shows. */
export interface HeatCell {
  readonly text: string;
  /** Ground and ink; null: none of its own (abandoned, or without a sample). */
  readonly fill: string | null;
  readonly ink: string | null;
  /** Pulls as a share of the most of any arm. */
  readonly pulls: number;
  readonly state: "live" | "leading" | "abandoned" | "impossible";
  /** The whole, in words. */
  readonly words: string;
}

function hex(colour: Rgb): string {
  return `#${colour.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

function rgbOf(text: string): Rgb {
  const value = Number.parseInt(text.slice(1), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/** Relative luminance after WCAG 2. */
export function luminance(colour: string): number {
  const [r, g, b] = rgbOf(colour).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((one, other) => other - one) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

/** Black or white, whichever reads better on a ground. */
export function inkOn(ground: string): string {
  return contrast(ground, INK) >= contrast(ground, PAPER) ? INK : PAPER;
}

/** Colour of a place between worst (-1), middle (0) and best (1). */
export function diverging(place: number): string {
  const end = place < 0 ? LOW : HIGH;
  const share = Math.min(1, Math.abs(place));
  return hex(MIDDLE.map((part, index) => part + ((end[index] ?? 0) - part) * share) as unknown as Rgb);
}

/** An arm's figure as the heat map writes it: accuracies in percent, others plain. */
export function figureOf(facts: ArmFacts, value: number | null): string {
  if (facts.unit === "accuracy") return value === null ? "–" : fixed(value * 100, 1);
  return fixed(value, 2);
}

/** The same with its unit, for sentences. */
export function figureWords(facts: ArmFacts, value: number | null): string {
  if (facts.unit === "accuracy") return value === null ? "–" : `${fixed(value * 100, 1)} %`;
  return facts.centre === 0 ? signed(value, 2) : fixed(value, 2);
}

function wordsOf(facts: ArmFacts, arm: ReturnType<typeof armsOf>[number], isLeading: boolean): string {
  const value = arm.mean === null ? "no sample yet" : `mean ${figureWords(facts, arm.mean)}`;
  const pulls = `${arm.pulls} pull${arm.pulls === 1 ? "" : "s"}`;
  if (arm.abandonedRound === 0) return "no live architecture can hold it";
  if (arm.abandonedRound !== null) return `${value}, ${pulls}, abandoned in round ${arm.abandonedRound}`;
  return `${value}, ${pulls}${isLeading ? ", leads" : ""}`;
}

/** The largest distance of a live arm's mean from its edge's: where colours end, the same for the whole picture. */
export function spreadOf(table: ArmTable): number {
  let most = 0;
  for (const slot of slotsOf(table)) {
    const centre = edgeMean(table, slot);
    if (centre === null) continue;
    for (const arm of armsOf(table, slot)) {
      if (arm.isAlive && arm.mean !== null) most = Math.max(most, Math.abs(arm.mean - centre));
    }
  }
  return most;
}

/** Return what every field shows, by position. */
export function heatCells(table: ArmTable): HeatCell[] {
  const { facts } = table;
  const spread = spreadOf(table) || 1;
  const mostPulls = Math.max(1, ...table.pulls);
  const sign = facts.higher_is_better ? 1 : -1;
  const cells: HeatCell[] = [];
  for (const slot of slotsOf(table)) {
    const centre = edgeMean(table, slot);
    const leading = leadingOf(table, slot);
    for (const arm of listedArms(table, slot)) {
      const words = wordsOf(facts, arm, arm.position === leading);
      const pulls = arm.pulls / mostPulls;
      if (!arm.isAlive) {
        const isImpossible = arm.abandonedRound === 0;
        const text = isImpossible ? "never" : `round ${arm.abandonedRound}`;
        cells.push({ text, fill: null, ink: null, pulls, state: isImpossible ? "impossible" : "abandoned", words });
        continue;
      }
      const state = arm.position === leading ? "leading" : "live";
      const isBare = arm.mean === null || centre === null;
      const fill = isBare ? null : diverging((sign * ((arm.mean ?? 0) - (centre ?? 0))) / spread);
      cells.push({ text: figureOf(facts, arm.mean), fill, ink: fill && inkOn(fill), pulls, state, words });
    }
  }
  return cells;
}

export function sameCell(a: HeatCell, b: HeatCell): boolean {
  return a.text === b.text && a.fill === b.fill && a.state === b.state && a.words === b.words && a.pulls === b.pulls;
}
