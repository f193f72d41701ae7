import type { View } from "../../api/client";
import { aboutJob } from "../../live/jobs";
import type { Message } from "../../live/live";

export type JobRow = View<"JobRow">;
export type JobState = JobRow["state"];

/** The parts of the address that filter the list, as the service names them. */
export const FILTERS = ["text", "kind", "space", "dataset", "strategy", "tag", "owner", "state"] as const;
export type FilterName = (typeof FILTERS)[number];
export type Filters = Readonly<Record<FilterName, string>>;

export const KINDS = ["search", "training", "registration"] as const;

/** States that people tell apart in the line of counts, in the order of a job's life. */
export const SHOWN_STATES: readonly JobState[] = [
  "queued",
  "starting",
  "running",
  "pausing",
  "paused",
  "cancelling",
  "lost",
  "succeeded",
  "failed",
  "cancelled",
];
const ALWAYS: ReadonlySet<string> = new Set(["queued", "running", "succeeded", "failed"]);

export function filtersOf(query: URLSearchParams): Filters {
  return Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""])) as Filters;
}

/** States that get a place in the line of counts: the usual ones, those that some job is in, and the one that is asked for. */
export function statesShown(counts: Readonly<Record<string, number>>, asked: string): JobState[] {
  return SHOWN_STATES.filter((state) => ALWAYS.has(state) || (counts[state] ?? 0) > 0 || state === asked);
}

const OVER: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled"]);

export type Action = "pause" | "resume" | "cancel" | "clone" | "delete";

/** What can be done with a job in a state. */
export function actionsFor(state: string): Action[] {
  const able: Action[] = [];
  if (state === "paused") able.push("resume");
  if (["queued", "starting", "running"].includes(state)) able.push("pause");
  if (["queued", "starting", "running", "pausing", "paused"].includes(state)) able.push("cancel");
  able.push("clone");
  if (OVER.has(state)) able.push("delete");
  return able;
}

const PLURALS: Readonly<Record<string, string>> = { search: "searches", training: "trainings", registration: "registrations" };

/** Where the service tells of a job. */
export function apiPath(job: Pick<JobRow, "kind" | "id">): string {
  return `/v1/${PLURALS[job.kind] ?? job.kind}/${encodeURIComponent(job.id)}`;
}

/** Where these pages show a job; null where no page does. */
export function pagePath(job: Pick<JobRow, "kind" | "id">): string | null {
  return job.kind === "registration" ? null : `/${PLURALS[job.kind] ?? job.kind}/${encodeURIComponent(job.id)}`;
}

/** How far a job is: a part of a whole, in a unit, and what it does where that is no counting. */
export interface Far {
  readonly done: number;
  readonly total: number;
  readonly unit: string;
  readonly words: string;
  readonly secondsLeft: number | null;
}

const PHASES: Readonly<Record<string, string>> = {
  loading: "loading data",
  "full-precision": "training full-precision networks",
  listing: "listing files",
  concluding: "drawing a contact sheet",
};

export function howFar(job: Pick<JobRow, "progress">): Far | null {
  const progress = job.progress;
  if (!progress) return null;
  const words = PHASES[progress.phase] ?? "";
  if (progress.kind === "search") {
    const secondsLeft = progress.seconds_left ?? null;
    return {
      done: progress.samples,
      total: progress.total,
      unit: "samples",
      words: words || phaseOfSearch(progress.phase),
      secondsLeft,
    };
  }
  if (progress.kind === "training") {
    const attacked = progress.under_attack ? `, ${progress.under_attack} under attack` : "";
    const finished = `${progress.finished} of ${progress.candidates} trained${attacked}`;
    return { done: progress.epochs, total: progress.total, unit: "epochs", words: words || finished, secondsLeft: null };
  }
  return { done: progress.images ?? 0, total: progress.total ?? 0, unit: "images", words, secondsLeft: null };
}

function phaseOfSearch(phase: string): string {
  return phase === "sampling" || phase === "searching" ? "" : phase;
}

/** What the stream of all jobs tells of one. */
export const LIVE_FIELDS = ["state", "progress", "waiting_for", "error", "queue_position"] as const;

/** What a stream's messages make of the rows, and whether they tell of something that only the service's list can show. */
export function withMessages(rows: readonly JobRow[], messages: readonly Message[]): { rows: JobRow[]; isStale: boolean } {
  const places = new Map(rows.map((row, place) => [row.id, place]));
  const next = [...rows];
  let isStale = false;
  for (const message of messages) {
    const about = aboutJob(message);
    if (!about) continue;
    const place = places.get(about.job_id);
    const row = place === undefined ? undefined : next[place];
    if (message.kind === "state" || row === undefined) isStale = true;
    if (place === undefined || row === undefined) continue;
    const changed = Object.fromEntries(LIVE_FIELDS.filter((name) => name in about).map((name) => [name, about[name]]));
    if (OVER.has(row.state) && message.kind === "progress" && changed.state !== row.state) continue;
    next[place] = withBest({ ...row, ...changed });
  }
  return { rows: next, isStale };
}

function withBest(row: JobRow): JobRow {
  const progress = row.progress;
  if (progress?.kind === "search") return { ...row, best: progress.best_reward ?? row.best ?? null };
  if (progress?.kind === "training") return { ...row, best: progress.best_validation_accuracy ?? row.best ?? null };
  return row;
}
