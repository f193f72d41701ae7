import { expect, test } from "vitest";
import { contrast, diverging, heatCells, inkOn } from "../src/pictures/heat";
import { whyRows, whySentence } from "../src/pictures/why";
import { armsLeft, armsOf, armsPossible, edgeMean, leadingOf, slotsOf } from "../src/state/arm-table";
import { afterAbandoned, afterWave } from "../src/state/waves";
import { madeTable } from "./made-table";

const slot = (table: ReturnType<typeof madeTable>, index: number) => {
  const found = slotsOf(table)[index];
  if (!found) throw new Error("no such edge");
  return found;
};

test("positions run over cells, edges, operations", () => {
  const table = madeTable();
  expect(slotsOf(table).map((one) => [one.key, one.first])).toEqual([
    ["a:0-1", 0],
    ["a:0-2", 3],
    ["a:1-2", 6],
    ["b:0-1", 9],
    ["b:0-2", 12],
    ["b:1-2", 15],
  ]);
});

test("what a cell never holds keeps its position and is no arm of its edges", () => {
  const table = madeTable({
    cells: [
      { name: "a", role: "normal", without: ["skip"] },
      { name: "b", role: "reduction", without: [] },
    ],
    abandoned_round: Array.from({ length: 18 }, (_, position) => (position < 9 && position % 3 === 1 ? 0 : null)),
  });
  expect(armsOf(table, slot(table, 1)).map((arm) => [arm.operation, arm.position])).toEqual([
    ["max-pool-3x3", 3],
    ["gabor-conv-3x3", 5],
  ]);
  expect(armsOf(table, slot(table, 3))).toHaveLength(3);
  expect([armsLeft(table), armsPossible(table)]).toEqual([15, 15]);
  expect(heatCells(table)).toHaveLength(18);
  expect(whySentence(table, slot(table, 0))).not.toContain("no live architecture");
});

test("an edge is led by the arm that the table names, whatever its rounded means are", () => {
  const mean = [0.5, 0.5004, 0.4996, ...Array.from({ length: 15 }, () => 0.1)];
  const table = madeTable({ mean, leading: [2, 4, null, 9, 12, 15] });
  expect(leadingOf(table, slot(table, 0))).toBe(2);
  expect(leadingOf(table, slot(table, 2))).toBeNull();
  expect(heatCells(table).map((cell) => cell.state === "leading")[2]).toBe(true);
  expect(whyRows(table, slot(table, 0))[0]?.position).toBe(2);
});

test("of near ties after a wave the one leads that the wave tells, not the one whose thousandths are larger", () => {
  const table = madeTable({ mean: [0.5004, 0.5003, 0.4, ...Array.from({ length: 15 }, () => 0.1)] });
  expect(table.leading[0]).toBe(0);
  const wave = { first: 6, samples: 7, rewards: [0.5], pulled: [[1]] };
  const next = afterWave(table, { ...wave, means: [], leading: [[0, 1]] });
  expect(next?.mean[0]).toBe(0.5004); // thousandths did not change, so the mean of the new leader still looks smaller
  expect(next?.leading).toEqual([1, ...table.leading.slice(1)]);
  expect(afterWave(table, { ...wave, means: [[1, 501]] })?.leading).toEqual(table.leading);
  expect(afterWave(table, { ...wave, leading: [[0, null]] })?.leading[0]).toBeNull();
});

test("an edge's mean is that of its live arms with samples", () => {
  const mean = [0.2, 0.4, null, ...Array.from({ length: 15 }, () => 0.9)];
  expect(edgeMean(madeTable({ mean }), slot(madeTable(), 0))).toBeCloseTo(0.3);
});

test("a wave counts pulls and sets the means that changed, keeping finer digits where thousandths agree", () => {
  const table = madeTable({ mean: [0.12345, ...Array.from({ length: 17 }, () => 0.5)] });
  const next = afterWave(table, {
    first: 6,
    samples: 8,
    rewards: [0.5, 0.6],
    pulled: [
      [0, 4],
      [0, 5],
    ],
    means: [
      [0, 123],
      [4, 612],
      [5, null],
    ],
    leading: [[1, 4]],
  });
  expect(next?.samples).toBe(8);
  expect(next?.pulls[0]).toBe((table.pulls[0] ?? 0) + 2);
  expect(next?.mean.slice(0, 6)).toEqual([0.12345, 0.5, 0.5, 0.5, 0.612, null]);
  expect(next?.leading[1]).toBe(4);
  expect(table.mean[4]).toBe(0.5);
});

test("a wave that is known changes nothing, one after a gap asks for the table", () => {
  const table = madeTable();
  expect(afterWave(table, { first: 4, samples: 6, rewards: [1, 1] })).toBe(table);
  expect(afterWave(table, { first: 7, samples: 8, rewards: [1] })).toBeNull();
});

test("abandoned arms keep the figures that they were dropped with", () => {
  const next = afterAbandoned(madeTable(), {
    round: 2,
    samples: 6,
    arms: [{ position: 7, pulls: 9, mean: 0.01, lower: 0, upper: 0.02 }],
  });
  expect(armsOf(next, slot(next, 2))[1]).toMatchObject({ pulls: 9, mean: 0.01, abandonedRound: 2, isAlive: false });
  expect(next.leading).toEqual(madeTable().leading);
});

test("a round that ended inside a wave drops its arms, and what is known already changes nothing", () => {
  const table = madeTable({ samples: 10 });
  const event = { round: 1, samples: 8, arms: [{ position: 7, pulls: 9, mean: 0.01, lower: 0, upper: 0.02 }] };
  const next = afterAbandoned(table, event);
  expect(next.abandoned_round[7]).toBe(1);
  const later = { ...next, pulls: next.pulls.map(() => 11) };
  expect(afterAbandoned(later, event)).toBe(later);
  expect(afterAbandoned(table, { ...event, arms: event.arms.map((arm) => ({ ...arm, position: 99 })) })).toBe(table);
});

test("text on every colour of the scale has a contrast of 4.5:1", () => {
  for (let place = -1; place <= 1; place += 0.02) {
    const ground = diverging(place);
    expect(contrast(ground, inkOn(ground))).toBeGreaterThanOrEqual(4.5);
  }
  expect([diverging(-1), diverging(0), diverging(1)]).toEqual(["#08519c", "#eeece6", "#e66101"]);
});

test("colours are centred on the mean of the edge, so that each edge has both sides of the scale", () => {
  const mean = Array.from({ length: 18 }, (_, index) => Math.floor(index / 3) * 0.1 + (index % 3) * 0.01);
  const cells = heatCells(madeTable({ mean }));
  for (let first = 0; first < 18; first += 3) {
    expect(cells[first]?.fill).toBe("#08519c");
    expect(cells[first + 1]?.fill).toBe("#eeece6");
    expect(cells[first + 2]?.fill).toBe("#e66101");
    expect(cells[first + 2]?.state).toBe("leading");
  }
});

test("abandoned arms say their round, impossible ones that they are", () => {
  const abandoned_round = [2, 0, ...Array.from({ length: 16 }, () => null)];
  const cells = heatCells(madeTable({ abandoned_round }));
  expect(cells[0]).toMatchObject({ text: "round 2", state: "abandoned", fill: null });
  expect(cells[1]).toMatchObject({ text: "never", state: "impossible" });
});

test("the sentence says who leads, with what, and what is decided", () => {
  const table = madeTable({
    mean: [0.5, 0.4, 0.3, ...Array.from({ length: 15 }, () => null)],
    lower: [0.45, 0.3, 0.2, ...Array.from({ length: 15 }, () => null)],
    upper: [0.55, 0.44, 0.46, ...Array.from({ length: 15 }, () => null)],
    pulls: [3, 2, 1, ...Array.from({ length: 15 }, () => 0)],
  });
  expect(whySentence(table, slot(table, 0))).toBe(
    "max-pool-3x3 leads with 50.0 % from 3 of 6 samples; no operation was abandoned. Its bounds lie clear of 1 of the 2 others that are alive.",
  );
  expect(whySentence(table, slot(table, 1))).toBe("No sample has held an operation of this edge yet: nothing tells them apart.");
  const last = afterAbandoned(table, {
    round: 1,
    samples: 6,
    arms: [1, 2].map((position) => ({ position, pulls: 1, mean: 0.1, lower: 0, upper: 0.2 })),
  });
  expect(whySentence(last, slot(last, 0))).toBe(
    "max-pool-3x3 is the only one left, with 50.0 % from 3 of 6 samples; 2 of 3 operations were abandoned.",
  );
});

test("rows begin with the leader, then the living by mean, then the dropped, the last first", () => {
  const table = madeTable({
    mean: [0.1, 0.5, 0.3, ...Array.from({ length: 15 }, () => null)],
    abandoned_round: [1, null, null, ...Array.from({ length: 15 }, () => null)],
  });
  expect(whyRows(table, slot(table, 0)).map((row) => row.operation)).toEqual(["skip", "gabor-conv-3x3", "max-pool-3x3"]);
});
