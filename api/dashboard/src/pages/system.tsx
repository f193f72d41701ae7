import { useEffect } from "preact/hooks";
import { get, type View } from "../api/client";
import { whoCalls } from "../live/caller";
import { onJobs } from "../live/jobs";
import { useResource } from "../live/resource";
import { isVisible, now } from "../state/clock";
import type { PageProps } from "../state/router";
import { Card } from "../ui/Card";
import { age, bytes, count, NONE, plural } from "../ui/format";
import { Loaded } from "../ui/States";
import { type Column, Table } from "../ui/Table";
import { useTitle } from "../ui/title";
import "./system/system.css";

type System = View<"SystemView">;
type Worker = System["workers"][number];
type Controller = System["controllers"][number];

const LOOK_EVERY_MS = 5000; // no stream tells of sizes and workers
const PAGES: Readonly<Record<string, string>> = { search: "searches", training: "trainings" };
const OK = "ok";

function Health({ system }: { system: System }) {
  const { readiness, launcher } = system;
  return (
    <Card title="Health">
      <p class={`health health-${readiness.status}`}>{readiness.status}</p>
      <ul class="checks">
        {Object.entries(readiness.checks).map(([name, told]) => (
          <li key={name}>
            <span aria-hidden="true">{told === OK ? "✓" : "✗"}</span> <strong>{name}</strong>:{" "}
            <span class="user-text">{told}</span>
          </li>
        ))}
      </ul>
      <p>
        Drivers start as <strong>{launcher.kind}</strong>
        {launcher.capacity ? `, on ${plural(launcher.capacity.cpus, "CPU")} and ${plural(launcher.capacity.gpus, "GPU")}` : ""}.
      </p>
      {launcher.trouble ? <p class="trouble user-text">{launcher.trouble}</p> : null}
    </Card>
  );
}

function Since({ when }: { when: string | null }) {
  return when ? <time dateTime={when}>{age(when, now.value)}</time> : <span>{NONE}</span>;
}

function JobLink({ worker }: { worker: Worker }) {
  const shelf = PAGES[worker.job_kind];
  const title = worker.job_name || worker.job.slice(0, 8);
  return shelf ? (
    <a class="user-text" dir="auto" href={`/${shelf}/${encodeURIComponent(worker.job)}`}>
      {title}
    </a>
  ) : (
    <span class="user-text" dir="auto">
      {title}
    </span>
  );
}

const WORKERS: readonly Column<Worker>[] = [
  { key: "id", title: "Worker", cell: (worker) => <code>{worker.id}</code> },
  { key: "device", title: "Device", cell: (worker) => worker.device ?? NONE },
  { key: "doing", title: "Does", cell: (worker) => worker.doing },
  { key: "job", title: "Job", cell: (worker) => <JobLink worker={worker} /> },
  { key: "since", title: "Since", cell: (worker) => <Since when={worker.since} /> },
];

const CONTROLLERS: readonly Column<Controller>[] = [
  { key: "id", title: "Controller", cell: (entry) => <code>{entry.id}</code> },
  { key: "stepped", title: "Last step", cell: (entry) => <Since when={entry.stepped_at} /> },
  { key: "started", title: "Started", cell: (entry) => <Since when={entry.started_at} /> },
  { key: "trouble", title: "Trouble", cell: (entry) => <span class="user-text">{entry.trouble ?? "none"}</span> },
];

function Facts(props: { title: string; facts: readonly (readonly [string, string])[] }) {
  return (
    <Card title={props.title}>
      <dl class="pairs">
        {props.facts.map(([name, told]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{told}</dd>
          </div>
        ))}
      </dl>
    </Card>
  );
}

function Queue({ queue }: { queue: Readonly<Record<string, number>> }) {
  return (
    <Card title="Jobs by state">
      <ul class="queue">
        {Object.entries(queue)
          .filter(([state, jobs]) => jobs > 0 || state === "queued" || state === "running")
          .map(([state, jobs]) => (
            <li key={state}>
              <a href={`/?state=${state}`}>
                {count(jobs)} {state}
              </a>
            </li>
          ))}
      </ul>
    </Card>
  );
}

/** Whether jobs of others are kept from who looks. */
function seesOwnAlone(): boolean {
  const caller = whoCalls.value;
  return Boolean(caller?.owner) && caller?.scope !== "admin";
}

/** Whose key this browser showed; nothing where the service asks for none. */
function Access() {
  const caller = whoCalls.value;
  if (!caller?.owner) return null;
  return (
    <Card title="Access">
      <p>
        This browser showed the key <code>{caller.key}</code> of{" "}
        <strong class="user-text" dir="auto">
          {caller.owner}
        </strong>
        , which may {caller.scope}
        {caller.scope === "admin" ? (
          ", and sees everybody's jobs."
        ) : (
          <>
            , and sees what belongs to{" "}
            <strong class="user-text" dir="auto">
              {caller.project}
            </strong>{" "}
            or to nobody.
          </>
        )}
      </p>
    </Card>
  );
}

function Whole({ system }: { system: System }) {
  const room: [string, string][] = [
    ["database", `${system.database.kind}, ${bytes(system.database.bytes)}`],
    ["artifacts", bytes(system.disk.artifact_bytes)],
    ["free on this service's disk", bytes(system.disk.home_free_bytes)],
  ];
  return (
    <>
      <div class="cards">
        <Health system={system} />
        <Queue queue={system.queue} />
        <Facts title="Room" facts={room} />
        <Facts title="Versions" facts={Object.entries(system.versions)} />
        <Access />
      </div>
      <Card title="Workers">
        {system.workers.length ? (
          <Table
            caption="Workers and what they do"
            columns={WORKERS}
            rows={system.workers}
            rowKey={(worker) => worker.id + worker.doing}
          />
        ) : (
          <p class="quiet">
            {system.queue.running && seesOwnAlone()
              ? "None of your jobs is at work; workers are told of these alone."
              : "Nobody works now: workers are here while a job runs."}
          </p>
        )}
      </Card>
      <Card title="Controllers">
        {system.controllers.length ? (
          <Table caption="Controllers" columns={CONTROLLERS} rows={system.controllers} rowKey={(entry) => entry.id} />
        ) : (
          <p class="quiet">No controller looked after the queue within the last minute: queued jobs do not start.</p>
        )}
      </Card>
      <p>
        <a href="/metrics">Figures for Prometheus</a> · <a href="/docs">The API</a>
      </p>
    </>
  );
}

export default function SystemPage(_: PageProps) {
  useTitle("System");
  const system = useResource("system", (signal) => get("/v1/system", {}, {}, signal));
  useEffect(() => {
    const look = () => isVisible.peek() && system.reload();
    const timer = setInterval(look, LOOK_EVERY_MS);
    const stop = onJobs({
      onMessages: (messages) => messages.some((message) => message.kind === "state") && look(),
      onGap: look,
    });
    return () => {
      clearInterval(timer);
      stop();
    };
  }, []);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>System</h1>
        {system.at.value ? <span class="quiet">as of {age(system.at.value, now.value)}</span> : null}
      </div>
      <Loaded resource={system} rows={10}>
        {(told) => <Whole system={told} />}
      </Loaded>
    </>
  );
}
