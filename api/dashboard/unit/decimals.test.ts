import { expect, test } from "vitest";
import { decimals, niceTicks } from "../src/pictures/axis";

test("ticks are written with as many decimals as tell them apart", () => {
  expect(decimals([0, 0.2, 0.4], 100)).toBe(0);
  expect(decimals(niceTicks(0.97, 0.985, 5), 100)).toBe(1);
  expect(decimals([0.9225, 0.925, 0.9275])).toBe(4);
  expect(decimals([0.923])).toBe(3);
});
