import { expect, test } from "vitest";
import type { ArmTable } from "../src/state/arm-table";
import { frameStep, Replay, roundAt, roundStep } from "../src/state/replay";
import { madeTable } from "./made-table";

const ROUNDS = [
  { round: 1, samples: 12, dropped: 3 },
  { round: 2, samples: 18, dropped: 2 },
];

test("a sample belongs to the round that it is played in", () => {
  expect([0, 12, 13, 18, 19].map((at) => roundAt(ROUNDS, at))).toEqual([1, 1, 2, 2, 3]);
});

test("steps go from end to end of rounds", () => {
  expect(roundStep(ROUNDS, 0, 1, 20)).toBe(12);
  expect(roundStep(ROUNDS, 12, 1, 20)).toBe(18);
  expect(roundStep(ROUNDS, 18, 1, 20)).toBe(20);
  expect(roundStep(ROUNDS, 13, -1, 20)).toBe(12);
  expect(roundStep(ROUNDS, 12, -1, 20)).toBe(0);
  expect(frameStep(5000)).toBe(34);
});

function loader() {
  const asked: number[] = [];
  const waiting: ((table: ArmTable) => void)[] = [];
  const load = (at: number) => {
    asked.push(at);
    return new Promise<ArmTable>((resolve) => waiting.push(resolve));
  };
  const answer = async () => {
    waiting.shift()?.(madeTable({ at: asked.at(-1) ?? 0 }));
    await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return { asked, load, answer };
}

test("while dragging, one request is under way, and the last place is the one that is shown", async () => {
  const { asked, load, answer } = loader();
  const replay = new Replay(load);
  for (const at of [1, 2, 3, 4]) replay.seek(at);
  expect(asked).toEqual([1]);
  await answer();
  expect(asked).toEqual([1, 4]);
  expect(replay.isWaiting.value).toBe(true);
  expect(replay.table.value?.at).toBe(1);
  await answer();
  expect(replay.table.value?.at).toBe(4);
  expect(replay.isWaiting.value).toBe(false);
});

test("what was looked at is not asked for again, and live shows no table of its own", async () => {
  const { asked, load, answer } = loader();
  const replay = new Replay(load, 5);
  await answer();
  replay.seek(null);
  expect(replay.table.value).toBeNull();
  replay.seek(5);
  expect(asked).toEqual([5]);
  expect(replay.table.value?.at).toBe(5);
});
