import type { Candidate } from "../state/training-data";

/** A stretch of one candidate's time at a worker, in seconds since the first of the training began. */
export interface Bar {
  readonly candidate: Candidate;
  readonly start: number;
  /** When training was over and attacks began; the end where there were none, or nobody knows. */
  readonly trained: number;
  readonly end: number;
  readonly isOver: boolean;
  readonly row: number;
}

export interface Lane {
  readonly worker: string;
  /** Rows that its bars need, so that none lies on another. */
  readonly rows: number;
  readonly bars: readonly Bar[];
}

export interface Timeline {
  readonly lanes: readonly Lane[];
  readonly seconds: number;
  /** Candidates that nobody has begun. */
  readonly waiting: number;
}

/** Return who trained what when; `now` is in ms since 1970, for what is not over. */
export function timelineOf(candidates: readonly Candidate[], now: number): Timeline {
  const begun = candidates.flatMap((candidate) => {
    const start = candidate.started_at ? Date.parse(candidate.started_at) : Number.NaN;
    return Number.isFinite(start) ? [{ candidate, start }] : [];
  });
  const zero = Math.min(...begun.map((entry) => entry.start));
  const lanes = new Map<string, Omit<Bar, "row">[]>();
  for (const { candidate, start } of begun) {
    const over = candidate.finished_at ? Date.parse(candidate.finished_at) : null;
    const end = Math.max(over ?? now, start);
    const attacked = candidate.attack_seconds ?? 0;
    const bar = {
      candidate,
      start: (start - zero) / 1000,
      trained: Math.max((start - zero) / 1000, (end - zero) / 1000 - attacked),
      end: (end - zero) / 1000,
      isOver: over !== null,
    };
    const worker = candidate.worker ?? "no worker told";
    lanes.set(worker, [...(lanes.get(worker) ?? []), bar]);
  }
  const packed = [...lanes].map(([worker, bars]) => packedLane(worker, bars));
  const seconds = Math.max(0, ...packed.flatMap((lane) => lane.bars.map((bar) => bar.end)));
  return { lanes: packed, seconds, waiting: candidates.length - begun.length };
}

/** Put bars into as few rows as there are bars at one time. */
function packedLane(worker: string, bars: readonly Omit<Bar, "row">[]): Lane {
  const ends: number[] = [];
  const placed = [...bars]
    .sort((a, b) => a.start - b.start)
    .map((bar) => {
      const free = ends.findIndex((end) => end <= bar.start);
      const row = free < 0 ? ends.length : free;
      ends[row] = bar.end;
      return { ...bar, row };
    });
  return { worker, rows: Math.max(1, ends.length), bars: placed };
}
