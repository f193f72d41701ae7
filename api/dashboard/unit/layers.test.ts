import { expect, test } from "vitest";
import { layersOf } from "../src/pages/search/layers";

test("an architecture of layers is told in words, one of graphs is drawn", () => {
  const chain = { space: "nas-bnn", cells: { a: { "0-1": "mobile-conv-3x3" }, b: { "0-1": "skip" }, c: { "0-1": "skip" } } };
  expect(layersOf(chain)).toEqual([
    ["a", "mobile-conv-3x3"],
    ["b", "skip"],
    ["c", "skip"],
  ]);
  expect(layersOf({ cells: { ...chain.cells, d: { "0-1": "skip", "0-2": "skip" } } })).toBeNull();
  expect(layersOf({ cells: { a: { "0-1": "skip" } } })).toBeNull();
  expect(layersOf({})).toBeNull();
});
