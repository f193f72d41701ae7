import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "../api/client";
import { onJobs } from "../live/jobs";
import { type Resource, useResource } from "../live/resource";
import { now } from "../state/clock";
import { type PageProps, query, setQuery } from "../state/router";
import { rowsWithToldSince } from "../state/told";
import { age } from "../ui/format";
import { Empty, Loaded } from "../ui/States";
import { useTitle } from "../ui/title";
import { Counts, FilterRow } from "./jobs/filters";
import { type Filters, filtersOf, type JobRow, LIVE_FIELDS, withMessages } from "./jobs/model";
import { JobTable } from "./jobs/rows";
import "./jobs/jobs.css";

const RELOAD_AFTER_MS = 1000; // several jobs that change at once are one request

interface JobPage {
  items: JobRow[];
  next?: string | null;
}

/** Keep the list as the stream tells; what it cannot tell (order, new jobs, counts) is asked anew, once a second at most. */
function useLiveRows(jobs: Resource<JobPage>, reload: () => void): void {
  const timer = useRef(0);
  useEffect(() => {
    let hasMissed = false;
    const later = () => {
      timer.current ||= window.setTimeout(() => {
        timer.current = 0;
        reload();
      }, RELOAD_AFTER_MS);
    };
    const stop = onJobs({
      onMessages: (messages) => {
        const page = jobs.data.peek();
        if (!page) {
          hasMissed = true;
          return;
        }
        const { rows, isStale } = withMessages(page.items, messages);
        jobs.set({ ...page, items: rows });
        if (isStale) later();
      },
      onGap: later,
    });
    // The first list may be older than what was told while it was under way.
    const stopWaiting = effect(() => {
      if (jobs.data.value && hasMissed) {
        hasMissed = false;
        later();
      }
    });
    return () => {
      stop();
      stopWaiting();
      clearTimeout(timer.current);
      timer.current = 0;
    };
  }, []);
}

function NoJobs(props: { isFiltered: boolean }) {
  if (props.isFiltered) {
    return (
      <Empty title="No job matches these filters.">
        <button
          type="button"
          onClick={() =>
            setQuery({
              text: null,
              kind: null,
              space: null,
              dataset: null,
              strategy: null,
              tag: null,
              owner: null,
              state: null,
              cursor: null,
            })
          }
        >
          Show all jobs
        </button>
      </Empty>
    );
  }
  return (
    <Empty title="No jobs yet." command="nas search submit --space tiny --dataset digits">
      <p>A search looks for an architecture of 1-bit weights, and trains what it found if you like.</p>
      <p>
        <a class="button primary" href="/new">
          New search
        </a>
      </p>
    </Empty>
  );
}

function Paging(props: { next: string | null | undefined }) {
  const isFirst = !query.value.get("cursor");
  if (isFirst && !props.next) return null;
  return (
    <nav class="buttons" aria-label="Pages of the list">
      {isFirst ? null : (
        <button type="button" onClick={() => setQuery({ cursor: null }, "push")}>
          Newest
        </button>
      )}
      {props.next ? (
        <button type="button" onClick={() => setQuery({ cursor: props.next ?? null }, "push")}>
          Older
        </button>
      ) : null}
    </nav>
  );
}

function isFiltered(filters: Filters): boolean {
  return Object.values(filters).some(Boolean);
}

export default function JobsPage(_: PageProps) {
  useTitle("Jobs");
  const filters = filtersOf(query.value);
  const cursor = query.value.get("cursor") ?? "";
  const key = JSON.stringify([filters, cursor]);
  const jobs: Resource<JobPage> = useResource<JobPage>(
    key,
    async (signal) => {
      const asked = jobs.data.peek()?.items ?? [];
      const page = await get("/v1/jobs", {}, { ...filters, cursor, limit: 50 }, signal);
      return { ...page, items: rowsWithToldSince(page.items, asked, jobs.data.peek()?.items ?? [], LIVE_FIELDS) };
    },
    "the last data",
  );
  const counted = JSON.stringify({ ...filters, state: "" });
  const counts = useResource(counted, (signal) => get("/v1/jobs/counts", {}, { ...filters, state: "" }, signal), "the last data");
  const reload = () => {
    jobs.reload();
    counts.reload();
  };
  useLiveRows(jobs, reload);
  return (
    <>
      <div class="page-head">
        <h1 tabIndex={-1}>Jobs</h1>
        <a class="button primary" href="/new">
          New search
        </a>
        <Counts counts={counts.data.value} asked={filters.state} />
      </div>
      <FilterRow filters={filters} />
      <Loaded resource={jobs} rows={8}>
        {(page) =>
          page.items.length === 0 ? (
            <NoJobs isFiltered={isFiltered(filters) || cursor !== ""} />
          ) : (
            <>
              <JobTable rows={page.items} onChange={reload} />
              <Paging next={page.next} />
              <p class="quiet">as of {age(jobs.at.value, now.value)}</p>
            </>
          )
        }
      </Loaded>
    </>
  );
}
