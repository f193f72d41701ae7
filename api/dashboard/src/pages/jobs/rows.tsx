import { useSignal } from "@preact/signals";
import type { ApiProblem } from "../../api/problem";
import { whoCalls } from "../../live/caller";
import { now } from "../../state/clock";
import { areOwnersTold } from "../../state/owners";
import { setQuery } from "../../state/router";
import { ErrorBox } from "../../ui/ErrorBox";
import { age, moment, NONE, ordinal, percent } from "../../ui/format";
import { Progress } from "../../ui/Progress";
import { StateMark } from "../../ui/StateMark";
import { type Column, Table } from "../../ui/Table";
import { Actions } from "./actions";
import { howFar, type JobRow, pagePath } from "./model";

/** What people call a job: its name, or the start of its id. */
export function titleOf(job: Pick<JobRow, "id" | "name">): string {
  return job.name.trim() || job.id.slice(0, 8);
}

function Name({ job }: { job: JobRow }) {
  const path = pagePath(job);
  const facts = [job.kind, job.space, job.strategy, job.dataset, job.methods.join(", ")].filter(Boolean);
  return (
    <>
      {path ? (
        <a class="user-text" href={path} dir="auto">
          {titleOf(job)}
        </a>
      ) : (
        <span class="user-text" dir="auto">
          {titleOf(job)}
        </span>
      )}
      <div class="quiet facts">{facts.join(" · ")}</div>
      {job.parent_id ? (
        <div class="facts">
          from search <a href={`/searches/${encodeURIComponent(job.parent_id)}`}>{job.parent_id.slice(0, 8)}</a>
        </div>
      ) : null}
      {job.tags?.length ? (
        <div class="buttons tags">
          {job.tags.map((tag) => (
            <button
              key={tag}
              type="button"
              class="tag"
              title="Only jobs with this tag"
              onClick={() => setQuery({ tag, cursor: null })}
            >
              <bdi>{tag}</bdi>
            </button>
          ))}
        </div>
      ) : null}
    </>
  );
}

function Owner({ job }: { job: JobRow }) {
  const owner = job.owner;
  if (!owner) return <>{NONE}</>;
  return (
    <button type="button" class="tag" title="Only jobs of this owner" onClick={() => setQuery({ owner, cursor: null })}>
      <bdi>{owner}</bdi>
    </button>
  );
}

const OWNER: Column<JobRow> = { key: "owner", title: "Owner", cell: (job) => <Owner job={job} /> };

function Far({ job }: { job: JobRow }) {
  const far = howFar(job);
  const isOver = ["succeeded", "failed", "cancelled"].includes(job.state);
  return (
    <>
      {far && far.total > 0 ? (
        <Progress
          label={`Progress of ${titleOf(job)}`}
          done={far.done}
          total={far.total}
          unit={far.unit}
          secondsLeft={job.state === "running" ? far.secondsLeft : null}
        />
      ) : null}
      {far?.words && !isOver ? <div class="quiet">{far.words}</div> : null}
      {job.queue_position ? (
        <div>
          {ordinal(job.queue_position)} in the queue
          {job.priority ? `, priority ${job.priority}` : null}
        </div>
      ) : null}
      {job.waiting_for ? <div class="quiet user-text">waits for {job.waiting_for.replace(/^waits? for /i, "")}</div> : null}
      {job.error ? <div class="job-error user-text">{job.error}</div> : null}
    </>
  );
}

function Age({ job }: { job: JobRow }) {
  return (
    <time dateTime={job.created_at} title={moment(job.created_at)}>
      {age(job.created_at, now.value)}
    </time>
  );
}

const COLUMNS: readonly Column<JobRow>[] = [
  { key: "state", title: "State", cell: (job) => <StateMark state={job.state} /> },
  { key: "name", title: "Name", cell: (job) => <Name job={job} /> },
  { key: "progress", title: "Progress", cell: (job) => <Far job={job} /> },
  {
    key: "best",
    title: "Best",
    unit: "% accuracy",
    isNumber: true,
    cell: (job) => (job.best === null ? NONE : percent(job.best)),
  },
  { key: "age", title: "Age", cell: (job) => <Age job={job} /> },
];

/** The jobs, newest first, and what can be done with each. */
export function JobTable(props: { rows: readonly JobRow[]; onChange: () => void }) {
  const failure = useSignal<ApiProblem | null>(null);
  const actions: Column<JobRow> = {
    key: "actions",
    title: "Actions",
    cell: (job) => (
      <Actions
        job={job}
        title={titleOf(job)}
        onDone={props.onChange}
        onFailure={(problem) => {
          failure.value = problem;
        }}
      />
    ),
  };
  return (
    <>
      {failure.value ? (
        <div class="dismissable">
          <ErrorBox problem={failure.value} />
          <button
            type="button"
            onClick={() => {
              failure.value = null;
            }}
          >
            Close
          </button>
        </div>
      ) : null}
      <Table
        caption="Jobs, newest first"
        class="jobs"
        columns={[...COLUMNS, ...(areOwnersTold(props.rows, whoCalls.value?.owner ?? null) ? [OWNER] : []), actions]}
        rows={props.rows}
        rowKey={(job) => job.id}
      />
    </>
  );
}
