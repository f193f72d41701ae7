import { type ArmTable, leadingOf, slotsOf } from "../src/state/arm-table";

export const OPERATIONS = ["max-pool-3x3", "skip", "gabor-conv-3x3"];

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
  return changes.leading ? table : { ...table, leading: slotsOf(table).map((slot) => leadingOf(table, slot)) };
}
