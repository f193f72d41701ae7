import { now } from "../../state/clock";
import { isObject } from "../../state/json";
import type { TrainingJob } from "../../state/training-events";
import { age, moment, percent, plural, seconds } from "../../ui/format";
import { Progress } from "../../ui/Progress";
import { StateMark } from "../../ui/StateMark";
import { Controls } from "./Controls";

const PHASES: Readonly<Record<string, string>> = {
  loading: "reading the data",
  "full-precision": "training full-precision networks first",
  candidates: "training candidates",
};

/** Return a figure of the job's progress; null where it does not tell. */
function figure(job: TrainingJob, name: string): number | null {
  const value = isObject(job.progress) ? job.progress[name] : undefined;
  return typeof value === "number" ? value : null;
}

function took(job: TrainingJob): string {
  if (!job.started_at) return `queued ${age(job.created_at, now.value)} ago`;
  const end = job.finished_at ? Date.parse(job.finished_at) : now.value;
  return `${job.finished_at ? "took" : "for"} ${seconds((end - Date.parse(job.started_at)) / 1000)}`;
}

/** What the training is doing, how far it is, and what can be asked of it. */
export function Head(props: { job: TrainingJob; onDone: () => void }) {
  const { job } = props;
  const phase = isObject(job.progress) && typeof job.progress.phase === "string" ? job.progress.phase : "";
  const isActive = ["running", "starting"].includes(job.state);
  const failed = figure(job, "failed") ?? 0;
  const attacked = figure(job, "under_attack") ?? 0;
  const best = figure(job, "best_validation_accuracy");
  return (
    <div class="page-head">
      <p class="facts">
        <StateMark state={job.state} />
        {isActive && phase ? <span>{PHASES[phase] ?? phase}</span> : null}
        <span title={moment(job.created_at)}>{took(job)}</span>
        {figure(job, "candidates") === null ? null : (
          <Progress label="Candidates" done={figure(job, "finished") ?? 0} total={figure(job, "candidates")} unit="candidates" />
        )}
        {figure(job, "total") === null ? null : (
          <Progress label="Epochs" done={figure(job, "epochs") ?? 0} total={figure(job, "total")} unit="epochs" />
        )}
        {attacked > 0 ? <span>{plural(attacked, "candidate")} under attack</span> : null}
        {failed > 0 ? <span class="fault">{failed} failed</span> : null}
        {best === null ? null : <span>best validation {percent(best)}</span>}
        {job.owner ? (
          <span>
            of <bdi>{job.owner}</bdi>
          </span>
        ) : null}
        {job.parent_id ? <a href={`/searches/${job.parent_id}`}>its search</a> : null}
      </p>
      {job.waiting_for ? <p>Waits for {job.waiting_for}.</p> : null}
      {job.error ? <p class="fault user-text">{job.error}</p> : null}
      <Controls job={job} onDone={props.onDone} />
    </div>
  );
}
