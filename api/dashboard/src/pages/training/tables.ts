import { type Cell, csvOf } from "../../pictures/csv";
import type { Band } from "../../pictures/curves";
import { attackRows, underAttack } from "../../pictures/RobustnessChart";
import type { Candidate, Pair } from "../../state/training-data";

export function paretoCsv(pairs: readonly Pair[]): string {
  const head = [
    "method",
    "architecture",
    "test_mean",
    "test_spread",
    "attacked_mean",
    "attacked_spread",
    "eps",
    "ops",
    "packed_bytes",
  ];
  const rows = pairs.map((pair) => [
    pair.method,
    pair.architecture,
    pair.test_mean,
    pair.test_spread,
    pair.attacked_mean,
    pair.attacked_spread,
    pair.eps,
    pair.ops,
    pair.packed_bytes,
  ]);
  return csvOf(head, rows);
}

export function scoresCsv(pairs: readonly Pair[]): string {
  const rows = pairs.map((pair) => [pair.method, pair.architecture, pair.architecture_score, pair.test_mean, pair.seeds]);
  return csvOf(["method", "architecture", "score", "test_mean", "seeds"], rows);
}

export function bandsCsv(bands: readonly Band[], field: string): string {
  const rows = bands.flatMap((band) =>
    band.epoch.map((epoch, place): Cell[] => [
      band.method,
      band.architecture,
      epoch,
      band.mean[place],
      band.spread[place],
      band.count[place],
    ]),
  );
  return csvOf(["method", "architecture", "epoch", `${field}_mean`, `${field}_spread`, "seeds"], rows);
}

export function attacksCsv(candidates: readonly Candidate[]): string {
  const rows = attackRows(candidates);
  const lines = candidates.map((one): Cell[] => [
    one.id,
    one.method_label,
    one.architecture_id,
    one.seed,
    ...rows.map((row) => underAttack(one, row)),
  ]);
  return csvOf(["candidate", "method", "architecture", "seed", ...rows], lines);
}

export function timesCsv(candidates: readonly Candidate[]): string {
  const head = [
    "candidate",
    "method",
    "architecture",
    "seed",
    "worker",
    "state",
    "started_at",
    "finished_at",
    "seconds",
    "attack_seconds",
  ];
  const rows = candidates.map((one): Cell[] => [
    one.id,
    one.method_label,
    one.architecture_id,
    one.seed,
    one.worker,
    one.state,
    one.started_at,
    one.finished_at,
    one.seconds,
    one.attack_seconds,
  ]);
  return csvOf(head, rows);
}
