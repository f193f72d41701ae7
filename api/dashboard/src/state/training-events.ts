import { isObject } from "./json";
import type { Candidate, Comparison, Curve } from "./training-data";

/** What is known of a job, as far as the page shows it. */
export interface TrainingJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly error: string | null;
  readonly waiting_for?: string | null;
  readonly parent_id: string | null;
  readonly owner?: string | null;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly progress: unknown;
  readonly last_event?: number;
}

export interface Attacked {
  readonly attack: string;
  readonly accuracy: number;
}

export interface TrainingData {
  readonly job: TrainingJob;
  readonly candidates: readonly Candidate[];
  readonly comparison: Comparison;
  readonly curves: readonly Curve[];
  /** Attacks that ended, by candidate, of candidates that are not over. */
  readonly attacks: ReadonlyMap<string, readonly Attacked[]>;
}

export interface Told {
  readonly kind: string;
  readonly data: unknown;
}

/** What has to be asked of the service because of what was told. */
export interface Stale {
  readonly candidates: ReadonlySet<string>;
  readonly comparison: boolean;
  readonly job: boolean;
}

/** What a stream tells of a job, and of a candidate. */
export const JOB_TOLD = ["state", "progress", "waiting_for", "error"] as const;
export const CANDIDATE_TOLD = ["state", "worker", "error", "epochs_done", "epochs_total", "validation_accuracy"] as const;

type Fields = Readonly<Record<string, unknown>>;

/** Put what a stream told to what is known; series grow, they are never asked for again. */
export function withTold(data: TrainingData, told: readonly Told[]): { data: TrainingData; stale: Stale } {
  let next = data;
  const candidates = new Set<string>();
  let comparison = false;
  let job = false;
  for (const { kind, data: given } of told) {
    const fields: Fields = isObject(given) ? given : {};
    if (kind === "progress") next = { ...next, job: { ...next.job, ...known(fields, JOB_TOLD) } };
    else if (kind === "state") {
      next = { ...next, job: { ...next.job, ...known(fields, ["state", "error"]) } };
      job = true;
    } else if (kind === "epoch") next = withEpoch(next, fields);
    else if (kind === "attack") next = withAttack(next, fields);
    else if (kind === "candidate" && typeof fields.candidate === "string") {
      next = withCandidate(next, fields.candidate, fields);
      candidates.add(fields.candidate);
      comparison ||= fields.state === "succeeded";
    }
  }
  return { data: next, stale: { candidates, comparison, job } };
}

function known(fields: Fields, names: readonly string[]): Fields {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(fields, name)).map((name) => [name, fields[name]]));
}

function changed(data: TrainingData, id: string, change: (candidate: Candidate) => Candidate): TrainingData {
  return { ...data, candidates: data.candidates.map((entry) => (entry.id === id ? change(entry) : entry)) };
}

function withCandidate(data: TrainingData, id: string, fields: Fields): TrainingData {
  return changed(data, id, (entry) => ({ ...entry, ...known(fields, ["state", "worker", "error"]) }) as Candidate);
}

/** Add an epoch's figures at its place; one that is told again, by another trial, takes the place of the first. */
function withEpoch(data: TrainingData, fields: Fields): TrainingData {
  const { candidate, epoch } = fields;
  if (typeof candidate !== "string" || typeof epoch !== "number") return data;
  const curves = data.curves.map((curve) => (curve.candidate === candidate ? grown(curve, epoch, fields) : curve));
  const accuracy = typeof fields.validation_accuracy === "number" ? fields.validation_accuracy : null;
  return changed({ ...data, curves }, candidate, (entry) => ({
    ...entry,
    epochs_done: epoch + 1,
    epochs_total: typeof fields.epochs === "number" ? fields.epochs : (entry.epochs_total ?? null),
    validation_accuracy: accuracy ?? entry.validation_accuracy,
  }));
}

function grown(curve: Curve, epoch: number, fields: Fields): Curve {
  const end = curve.epoch.findIndex((one) => one >= epoch);
  const kept = end < 0 ? curve.epoch.length : end;
  const columns = Object.fromEntries(
    Object.entries(curve.columns).map(([name, values]) => {
      const value = fields[name];
      return [name, [...values.slice(0, kept), typeof value === "number" ? value : null]];
    }),
  );
  return { ...curve, epoch: [...curve.epoch.slice(0, kept), epoch], columns };
}

function withAttack(data: TrainingData, fields: Fields): TrainingData {
  const { candidate, attack, accuracy } = fields;
  if (typeof candidate !== "string" || typeof attack !== "string" || typeof accuracy !== "number") return data;
  const before = (data.attacks.get(candidate) ?? []).filter((entry) => entry.attack !== attack);
  return { ...data, attacks: new Map([...data.attacks, [candidate, [...before, { attack, accuracy }]]]) };
}
