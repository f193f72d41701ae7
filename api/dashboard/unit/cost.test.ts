import { expect, test } from "vitest";
import { costByCell, differences } from "../src/pages/architecture/data";

const row = { cell_type: "a", edge: null, operation: null, flops: 0, bops: 0 };

test("costs are summed by cell and bit width, what is outside of cells by its first word", () => {
  const parts = costByCell([
    { ...row, cell: null, layer: "stem: 3x3 convolution", weight_bits: 32, parameters: 5, ops: 2, bytes: 20 },
    { ...row, cell: null, layer: "stem: batch norm", weight_bits: 32, parameters: 1, ops: 0, bytes: 4 },
    { ...row, cell: 0, layer: "convolution", weight_bits: 1, parameters: 80, ops: 3, bytes: 10 },
    { ...row, cell: 0, layer: "batch norm", weight_bits: 32, parameters: 2, ops: 1, bytes: 8 },
  ]);
  expect(parts).toEqual([
    { key: "stem", name: "stem", bits1: 0, bits32: 24, ops: 2, parameters: 6 },
    { key: "cell 0", name: "cell 0 (a)", bits1: 10, bits32: 8, ops: 4, parameters: 82 },
  ]);
});

test("only the edges that differ are told", () => {
  const one = { cells: { a: { "0-1": "skip", "0-2": "denoise" } } };
  const other = { cells: { a: { "0-1": "skip", "0-2": "max-pool-3x3" } } };
  expect(differences(one, other)).toEqual([{ edge: "a 0-2", here: "denoise", there: "max-pool-3x3" }]);
});
