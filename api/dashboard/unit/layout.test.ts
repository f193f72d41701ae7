import { describe, expect, test } from "vitest";
import { type Box, layOutCell, overlaps } from "../src/pictures/cell-layout";
import { bandPath, bestSoFar, dotPath, linePath, nearest, scale, stepPath, ticks } from "../src/pictures/scale";

function edgesOf(nodes: number, inputs: number, chosen: number) {
  const edges = [];
  for (let target = inputs; target < nodes; target++) {
    for (let source = 0; source < target; source++) edges.push({ source, target });
  }
  return edges.map((edge, index) => ({
    ...edge,
    operations: 9,
    isChosen: index === chosen,
    label: edges.length <= 6 || index === chosen ? "separable-conv-5x5, 9 left" : null,
  }));
}

const CASES = [3, 4, 5].flatMap((nodes) => [320, 560, 700].map((width) => ({ nodes, width })));

describe.each(CASES)("a cell of $nodes nodes at $width pixels", ({ nodes, width }) => {
  test("has texts that neither overlap nor leave the picture, and the chosen edge's is there", () => {
    const count = edgesOf(nodes, 1, 0).length;
    for (let chosen = 0; chosen < count; chosen++) {
      const layout = layOutCell(nodes, 1, edgesOf(nodes, 1, chosen), width, 320);
      const boxes: Box[] = layout.bundles.flatMap((bundle) => (bundle.label ? [bundle.label.box] : []));
      for (const node of layout.nodes) {
        boxes.push({ x: node.x - layout.radius, y: node.y - layout.radius, width: 2 * layout.radius, height: 2 * layout.radius });
      }
      for (const [index, box] of boxes.entries()) {
        expect(box.x).toBeGreaterThanOrEqual(0);
        expect(box.y).toBeGreaterThanOrEqual(0);
        expect(box.x + box.width).toBeLessThanOrEqual(width);
        expect(box.y + box.height).toBeLessThanOrEqual(layout.height);
        for (const other of boxes.slice(index + 1)) expect(overlaps(box, other)).toBe(false);
      }
      expect(layout.bundles[chosen]?.label).not.toBeNull();
    }
  });
});

test("cells of two inputs have names for both", () => {
  const layout = layOutCell(6, 2, edgesOf(6, 2, 0), 600, 300);
  expect(layout.nodes.map((node) => node.label)).toEqual(["k−2", "k−1", "2", "3", "4", "5"]);
});

test("ticks are round and within the range", () => {
  expect(ticks(0.31, 0.52, 4)).toEqual([0.4, 0.5]);
  expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks(3, 3, 5)).toEqual([3]);
});

test("paths break where values are missing", () => {
  const x = scale(0, 4, 0, 40);
  const y = scale(0, 1, 10, 0);
  expect(linePath([0, 1, 2, 3], [0, 1, null, 1], x, y)).toBe("M0 10L10 0M30 0");
  expect(dotPath([0, 1, 2], [0, null, 1], x, y)).toBe("M0 10h0M20 0h0");
  expect(stepPath([0, 2], [0, 1], x, y, 4)).toBe("M0 10H20V0H40");
  expect(bandPath([0, 1, 2], [0, 0, null], [1, 1, 1], x, y)).toBe("M0 0L10 0L10 10L0 10Z");
});

test("the best so far never falls", () => {
  expect(bestSoFar([0.2, null, 0.1, 0.4])).toEqual([0.2, 0.2, 0.2, 0.4]);
  // Of two short trainings and three whole ones, of which the first is below the best short one.
  expect(bestSoFar([0.5, 0.6, 0.4, 0.3, 0.7], [0.1, 0.1, 1, 1, 1])).toEqual([0.5, 0.6, 0.4, 0.4, 0.7]);
});

test("the nearest is found by halves", () => {
  const sorted = [0, 3, 4, 9];
  expect([-5, 1, 2, 7, 99].map((wanted) => nearest(sorted, wanted))).toEqual([0, 0, 1, 3, 3]);
  expect(nearest([], 1)).toBe(-1);
});
