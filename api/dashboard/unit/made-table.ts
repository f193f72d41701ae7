import { type ArmTable, slotsOf } from "../src/state/arm-table";

export const OPERATIONS = ["max-pool-3x3", "skip", "gabor-conv-3x3"];

/** What the service tells with a table: the live arm with the best mean of each edge, the first of equals. */
function leaders(table: ArmTable): (number | null)[] {
  const sign = table.facts.higher_is_better ? 1 : -1;
  return slotsOf(table).map((slot) => {
    let best: number | null = null;
    for (let position = slot.first; position < slot.first + slot.edge.operations.length; position++) {
      const mean = table.mean[position] ?? null;
      if (mean === null || (table.abandoned_round[position] ?? null) !== null) continue;
      if (best === null || sign * mean > sign * (table.mean[best] ?? 0)) best = position;
    }
    return best;
  });
}

/** A table of two cells, three edges each, three operations each. */
export function madeTable(changes: Partial<ArmTable> = {}): ArmTable {
  const size = 18;
  const table: ArmTable = {
    at: 6,
    samples: 6,
    round: 1,
    total_rounds: 3,
    facts: { unit: "accuracy", centre: null, bounds: "confidence", higher_is_better: true, meaning: "accuracy" },
    cells: [
      { name: "a", role: "normal" },
      { name: "b", role: "reduction" },
    ],
    edges: [
      { name: "0-1", source: 0, target: 1, operations: OPERATIONS },
      { name: "0-2", source: 0, target: 2, operations: OPERATIONS },
      { name: "1-2", source: 1, target: 2, operations: OPERATIONS },
    ],
    inputs: 1,
    operations: OPERATIONS,
    pulls: Array.from({ length: size }, (_, index) => index % 4),
    mean: Array.from({ length: size }, (_, index) => (index % 5 === 0 ? null : 0.3 + 0.01 * index)),
    lower: Array.from({ length: size }, () => 0.1),
    upper: Array.from({ length: size }, () => 0.9),
    abandoned_round: Array.from({ length: size }, () => null),
    best_probability: null,
    leading: [],
    ...changes,
  };
  return changes.leading ? table : { ...table, leading: leaders(table) };
}
