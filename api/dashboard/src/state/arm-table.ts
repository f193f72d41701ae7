/** The arms of a search as columns, and what follows from them: the same figures in every picture. */

export interface ArmFacts {
  readonly unit: string;
  readonly centre: number | null;
  readonly bounds: string;
  readonly higher_is_better: boolean;
  readonly meaning: string;
}

export interface ArmEdge {
  readonly name: string;
  readonly source: number;
  readonly target: number;
  readonly operations: readonly string[];
}

type Column = readonly (number | null)[];

/** Columns over positions: for cell, for edge, for operation of the edge. */
export interface ArmTable {
  readonly at: number;
  readonly samples: number;
  readonly round: number;
  readonly total_rounds: number | null;
  /** Samples at which rounds end, those to come too. */
  readonly round_ends?: readonly number[] | null;
  readonly facts: ArmFacts;
  /** `without`: operations of the edges that the cell never holds. */
  readonly cells: readonly { readonly name: string; readonly role: string; readonly without?: readonly string[] }[];
  readonly edges: readonly ArmEdge[];
  readonly inputs: number;
  readonly operations: readonly string[];
  readonly pulls: readonly number[];
  readonly mean: Column;
  readonly lower: Column;
  readonly upper: Column;
  readonly abandoned_round: Column;
  readonly best_probability: Column | null;
  /** For each edge of each cell, as the service tells: it knows means that are finer than those of a stream. */
  readonly leading: Column;
}

/** One edge of one cell, and where its arms are in the columns. */
export interface Slot {
  readonly index: number;
  readonly cell: string;
  readonly edge: ArmEdge;
  readonly first: number;
  /** Operations that the edge lists for other cells and this cell never holds. */
  readonly without: readonly string[];
  /** What the address calls it: `a:0-2`. */
  readonly key: string;
}

export interface Arm {
  readonly position: number;
  readonly operation: string;
  readonly pulls: number;
  readonly mean: number | null;
  readonly lower: number | null;
  readonly upper: number | null;
  readonly abandonedRound: number | null;
  readonly bestProbability: number | null;
  readonly isAlive: boolean;
}

export function slotsOf(table: Pick<ArmTable, "cells" | "edges">): Slot[] {
  const slots: Slot[] = [];
  let first = 0;
  for (const cell of table.cells) {
    for (const edge of table.edges) {
      const without = cell.without ?? [];
      slots.push({ index: slots.length, cell: cell.name, edge, first, without, key: `${cell.name}:${edge.name}` });
      first += edge.operations.length;
    }
  }
  return slots;
}

/** The arms that an edge of a cell may hold. */
export function armsOf(table: ArmTable, slot: Slot): Arm[] {
  return listedArms(table, slot).filter((arm) => !slot.without.includes(arm.operation));
}

/** One arm for every position, those that the cell never holds among them. */
export function listedArms(table: ArmTable, slot: Slot): Arm[] {
  return slot.edge.operations.map((operation, offset) => {
    const position = slot.first + offset;
    const abandonedRound = table.abandoned_round[position] ?? null;
    return {
      position,
      operation,
      pulls: table.pulls[position] ?? 0,
      mean: table.mean[position] ?? null,
      lower: table.lower[position] ?? null,
      upper: table.upper[position] ?? null,
      abandonedRound,
      bestProbability: table.best_probability?.[position] ?? null,
      isAlive: abandonedRound === null,
    };
  });
}

/** Position of the live arm with the best mean on an edge; null where no live arm has a mean. */
export function leadingOf(table: ArmTable, slot: Slot): number | null {
  return table.leading[slot.index] ?? null;
}

/** Mean of the means of the arms that live on an edge: only arms of one edge compete. Null where none has a mean. */
export function edgeMean(table: ArmTable, slot: Slot): number | null {
  let sum = 0;
  let count = 0;
  for (let position = slot.first; position < slot.first + slot.edge.operations.length; position++) {
    const mean = table.mean[position] ?? null;
    if (mean === null || (table.abandoned_round[position] ?? null) !== null) continue;
    sum += mean;
    count += 1;
  }
  return count ? sum / count : null;
}

export function armsLeft(table: ArmTable): number {
  return table.abandoned_round.filter((round) => round === null).length;
}

/** What an arm's figures are, in words for axes and heads. */
export function unitWords(facts: ArmFacts): string {
  const words: Readonly<Record<string, string>> = {
    accuracy: "validation accuracy, %",
    "child-parent-score": "child-parent score",
    "rank-effect": "effect, rank scores",
    "short-score": "score of short trainings",
  };
  return words[facts.unit] ?? facts.unit;
}

/** How many arms some architecture can hold. */
export function armsPossible(table: ArmTable): number {
  return table.abandoned_round.filter((round) => round !== 0).length;
}

export function boundWords(facts: ArmFacts): string {
  if (facts.bounds === "confidence") return "line: lower to upper confidence bound";
  return facts.bounds === "two-sd" ? "line: two standard deviations either way" : "this strategy keeps no bounds";
}
