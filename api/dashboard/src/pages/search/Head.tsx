import { useSignal } from "@preact/signals";
import { getJson, send } from "../../api/client";
import { ApiProblem } from "../../api/problem";
import { useResource } from "../../live/resource";
import { bestSoFar } from "../../pictures/scale";
import { armsLeft, armsPossible } from "../../state/arm-table";
import { roundAt } from "../../state/replay";
import { navigate } from "../../state/router";
import { Confirm } from "../../ui/Confirm";
import { ErrorBox } from "../../ui/ErrorBox";
import { count, NONE, ordinal, percent, seconds } from "../../ui/format";
import { StateMark } from "../../ui/StateMark";
import { type Job, paths, tradedOf } from "./data";
import type { SearchModel } from "./model";

function Fact(props: { name: string; children: preact.ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </div>
  );
}

/** The best reward up to the shown sample. */
function bestAt(model: SearchModel): number | null {
  const at = model.replay.at.value;
  const progress = model.job.value?.progress;
  if (at === null && progress?.kind === "search" && progress.best_reward != null) return progress.best_reward;
  const series = model.series.value;
  if (!series) return null;
  const { reward, fidelity, index } = series.columns;
  const shown = index.filter((value) => at === null || (value ?? 0) < at).length;
  return bestSoFar(reward.slice(0, shown), fidelity).at(-1) ?? null;
}

function nameOf(component: unknown): string {
  if (typeof component === "string") return component;
  const name = (component as { name?: unknown } | null)?.name;
  return typeof name === "string" ? name : NONE;
}

/** The limits that architectures keep, in words. */
function limitsOf(constraints: unknown): readonly string[] {
  if (typeof constraints !== "object" || constraints === null) return [];
  return Object.entries(constraints).flatMap(([name, most]) =>
    typeof most === "number" ? [`${count(most)} ${name.replaceAll("_", " ")}`] : [],
  );
}

function Facts({ model, job }: { model: SearchModel; job: Job }) {
  const table = model.table.value;
  const at = model.replay.at.value;
  const progress = job.progress?.kind === "search" ? job.progress : null;
  const samples = at ?? model.samples.value;
  const total = progress?.total ?? null;
  return (
    <dl class="facts">
      <Fact name="samples">
        {count(samples)}
        {total === null ? "" : ` of ${count(total)}`}
      </Fact>
      {table ? (
        <Fact name="round">
          {roundAt(model.marks.value, table.at)}
          {table.total_rounds ? ` of ${table.total_rounds}` : ""}
        </Fact>
      ) : null}
      {table ? (
        <Fact name="arms left">
          {count(armsLeft(table))} of {count(armsPossible(table))}
        </Fact>
      ) : null}
      <Fact name="best">{percent(bestAt(model))}</Fact>
      {at === null && progress && !model.isOver.value ? (
        <>
          <Fact name="a sample">{seconds(progress.seconds_per_sample)}</Fact>
          <Fact name="left">{seconds(progress.seconds_left)}</Fact>
        </>
      ) : null}
      <Fact name="space">{nameOf(job.spec.space)}</Fact>
      <Fact name="strategy">{nameOf(job.spec.strategy)}</Fact>
      <Fact name="data">{nameOf(job.spec.dataset)}</Fact>
      {job.owner ? (
        <Fact name="owner">
          <bdi>{job.owner}</bdi>
        </Fact>
      ) : null}
      {job.state === "queued" && job.queue_position ? (
        <Fact name="in the queue">
          {ordinal(job.queue_position)}
          {job.priority ? `, priority ${job.priority}` : ""}
        </Fact>
      ) : null}
      {limitsOf(job.spec.constraints).map((limit) => (
        <Fact key={limit} name="at most">
          {limit}
        </Fact>
      ))}
      {tradedOf(job.spec).map((name) => (
        <Fact key={name} name="traded">
          {name.replaceAll("_", " ")}
        </Fact>
      ))}
    </dl>
  );
}

const OFFERED: Readonly<Record<string, readonly string[]>> = {
  queued: ["pause", "cancel"],
  starting: ["pause", "cancel"],
  running: ["pause", "cancel"],
  pausing: ["cancel"],
  paused: ["resume", "cancel"],
};
const TITLES: Readonly<Record<string, string>> = { pause: "Pause", resume: "Resume", cancel: "Cancel", clone: "Clone" };
const ASKED: Readonly<Record<string, { text: string; action: string }>> = {
  cancel: { text: "What is committed stays, and it does not go on.", action: "Cancel it" },
  clone: {
    text: "A new search with the same spec is submitted and begins as soon as there is room.",
    action: "Submit the clone",
  },
};

/** What can be done with the search in its state. */
function Controls({ model, job }: { model: SearchModel; job: Job }) {
  const asked = useSignal<string | null>(null);
  const problem = useSignal<ApiProblem | null>(null);
  const isBusy = useSignal(false);

  async function act(action: string): Promise<void> {
    isBusy.value = true;
    problem.value = null;
    try {
      const told = await send<Job>("POST", paths.action(model.id, action), action === "clone" ? {} : undefined);
      if (told && action === "clone") navigate(`/searches/${told.id}`);
      else if (told) model.job.value = told;
    } catch (error) {
      problem.value = error instanceof ApiProblem ? error : null;
    } finally {
      isBusy.value = false;
    }
  }

  const question = ASKED[asked.value ?? ""];
  return (
    <>
      <div class="buttons">
        {[...(OFFERED[job.state] ?? []), "clone"].map((action) => (
          <button
            key={action}
            type="button"
            disabled={isBusy.value}
            class={action === "cancel" ? "danger" : ""}
            onClick={() => {
              if (ASKED[action]) asked.value = action;
              else void act(action);
            }}
          >
            {TITLES[action]}
          </button>
        ))}
      </div>
      {problem.value ? <ErrorBox problem={problem.value} /> : null}
      {question && asked.value ? (
        <Confirm
          title={`${TITLES[asked.value]} this search?`}
          {...question}
          onConfirm={() => void act(asked.value ?? "")}
          onClose={() => {
            asked.value = null;
          }}
        />
      ) : null}
    </>
  );
}

interface Trainings {
  readonly items: readonly { readonly id: string; readonly name: string; readonly state: string }[];
}

/** Trainings that the search started, which are what many look for here. */
function Started({ model }: { model: SearchModel }) {
  const url = paths.trainings(model.id);
  // anew when the search is over: that is when it starts them
  const found = useResource<Trainings>(`${url} ${model.isOver.value}`, (signal) => getJson(url, signal), "the last data");
  const items = found.data.value?.items ?? [];
  if (items.length === 0) return null;
  return (
    <ul class="started" aria-label="Trainings that this search started">
      {items.map((one) => (
        <li key={one.id}>
          <a href={`/trainings/${one.id}`} class="user-text">
            {`Training ${one.name || one.id}`}
          </a>{" "}
          <StateMark state={one.state} />
        </li>
      ))}
    </ul>
  );
}

/** What the search is, how far it is, and what can be done with it. */
export function Head({ model, job }: { model: SearchModel; job: Job }) {
  const phase = job.progress?.kind === "search" && !model.isOver.value ? job.progress.phase : null;
  return (
    <header class="search-head">
      <div class="search-title">
        <h1 tabIndex={-1} class="user-text">
          {job.name || "Search"}
        </h1>
        <StateMark state={job.state} />
        {phase ? <span class="quiet">{phase}</span> : null}
        <Controls model={model} job={job} />
      </div>
      {job.waiting_for ? <p class="waiting">{`Waits for ${job.waiting_for.replace(/^waits for /i, "")}`}</p> : null}
      {job.error ? <p class="job-error user-text">{job.error}</p> : null}
      <Facts model={model} job={job} />
      <Started model={model} />
      <p class="quiet search-cli">
        <code>nas search watch {job.id}</code>
      </p>
    </header>
  );
}
