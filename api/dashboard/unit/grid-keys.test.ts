import { expect, test } from "vitest";
import { placeAfter } from "../src/pictures/grid-keys";

const SEEN = [0, 1, 5, 6]; // rows 2 to 4 are folded away

test("arrows step over folded rows and stop at the rims", () => {
  expect(placeAfter("ArrowDown", false, { row: 1, column: 2 }, SEEN, 9)).toEqual({ row: 5, column: 2 });
  expect(placeAfter("ArrowUp", false, { row: 0, column: 2 }, SEEN, 9)).toEqual({ row: 0, column: 2 });
  expect(placeAfter("ArrowRight", false, { row: 0, column: 8 }, SEEN, 9)).toEqual({ row: 0, column: 8 });
  expect(placeAfter("PageDown", false, { row: 0, column: 3 }, SEEN, 9)).toEqual({ row: 6, column: 3 });
});

test("Home and End go to the ends of the row, with Ctrl to those of the grid", () => {
  expect(placeAfter("End", false, { row: 1, column: 2 }, SEEN, 9)).toEqual({ row: 1, column: 8 });
  expect(placeAfter("Home", true, { row: 5, column: 2 }, SEEN, 9)).toEqual({ row: 0, column: 0 });
  expect(placeAfter("End", true, { row: 0, column: 2 }, SEEN, 9)).toEqual({ row: 6, column: 8 });
});

test("other keys are left to the browser", () => {
  expect(placeAfter("a", false, { row: 0, column: 0 }, SEEN, 9)).toBeNull();
});
