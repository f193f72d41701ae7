import { address, get, getJson, type View } from "../../api/client";
import { withToldSince } from "../../state/told";
import type { Candidate, Comparison, Curve } from "../../state/training-data";
import { CANDIDATE_TOLD, JOB_TOLD, type Stale, type TrainingData } from "../../state/training-events";

export const FIELDS = ["validation_accuracy", "train_accuracy", "train_loss", "flip_ratio"] as const;
export type FieldName = (typeof FIELDS)[number];
const POINTS = 500;

export const requests = {
  job: (id: string) => `/v1/trainings/${encodeURIComponent(id)}`,
  comparison: (id: string) => `/v1/trainings/${encodeURIComponent(id)}/comparison`,
  curves: (id: string) => address("/v1/trainings/{id}/curves", { id }, { fields: FIELDS.join(","), points: POINTS }),
  candidates: (id: string) => address("/v1/candidates", {}, { training: id, limit: 200 }),
};

/** Ask for all candidates, page after page; a training has at most 1,000. */
async function candidatesOf(id: string, signal: AbortSignal): Promise<Candidate[]> {
  const found: Candidate[] = [];
  let cursor: string | null = null;
  do {
    const page: View<"Page_CandidateView_"> = await get("/v1/candidates", {}, { training: id, limit: 200, cursor }, signal);
    found.push(...page.items);
    cursor = page.next ?? null;
  } while (cursor !== null);
  return found;
}

/** Ask for all that the page shows, in four requests. */
export async function loadTraining(id: string, signal: AbortSignal): Promise<TrainingData> {
  const job = await get("/v1/trainings/{job_id}", { job_id: id }, {}, signal);
  const [candidates, comparison, curves] = await Promise.all([
    candidatesOf(id, signal),
    getJson<Comparison>(requests.comparison(id), signal),
    getJson<{ candidates: readonly Curve[] }>(requests.curves(id), signal),
  ]);
  // The training's own order, which lists of candidates, newest first, do not have.
  const order = new Map(curves.candidates.map((curve, place) => [curve.candidate, place]));
  candidates.sort((left, right) => (order.get(left.id) ?? order.size) - (order.get(right.id) ?? order.size));
  return { job, candidates, comparison, curves: curves.candidates, attacks: new Map() };
}

/** What was put into the data last, by the number of its request: what an earlier request brings later is older. */
export interface Newest {
  job: number;
  comparison: number;
  readonly candidates: Map<string, number>;
}

let asked = 0;

/** Ask for what is no longer true, and nothing else. Requests may overlap: `newest` keeps an older reply from taking a newer's place. */
export async function refreshed(data: TrainingData, stale: Stale, newest: Newest): Promise<(now: TrainingData) => TrainingData> {
  asked += 1;
  const turn = asked;
  const [job, comparison, candidates] = await Promise.all([
    stale.job ? get("/v1/trainings/{job_id}", { job_id: data.job.id }) : null,
    stale.comparison ? getJson<Comparison>(requests.comparison(data.job.id)) : null,
    Promise.all([...stale.candidates].map((id) => get("/v1/candidates/{candidate_id}", { candidate_id: id }))),
  ]);
  const fresh = new Map<string, Candidate>();
  for (const candidate of candidates) {
    if (turn < (newest.candidates.get(candidate.id) ?? 0)) continue;
    newest.candidates.set(candidate.id, turn);
    fresh.set(candidate.id, candidate);
  }
  const isJobNew = job !== null && turn > newest.job;
  const isComparisonNew = comparison !== null && turn > newest.comparison;
  if (isJobNew) newest.job = turn;
  if (isComparisonNew) newest.comparison = turn;
  const before = new Map(data.candidates.map((candidate) => [candidate.id, candidate]));
  return (now) => ({
    ...now,
    job: isJobNew ? withToldSince<TrainingData["job"]>(job, data.job, now.job, JOB_TOLD) : now.job,
    comparison: isComparisonNew ? comparison : now.comparison,
    candidates: now.candidates.map((shown) => {
      const reply = fresh.get(shown.id);
      return reply ? withToldSince(reply, before.get(shown.id) ?? null, shown, CANDIDATE_TOLD) : shown;
    }),
  });
}
