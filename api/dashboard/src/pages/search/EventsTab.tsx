import { useSignal } from "@preact/signals";
import { type Got, getJson } from "../../api/client";
import { useResource } from "../../live/resource";
import { moment } from "../../ui/format";
import { Empty, Loaded } from "../../ui/States";
import { Table } from "../../ui/Table";
import { paths } from "./data";
import type { SearchModel } from "./model";

type Event = Got<"/v1/searches/{job_id}/events">["items"][number];
const KINDS: Readonly<Record<string, readonly string[]>> = {
  "what matters": ["state", "phase", "round", "abandoned", "best", "search.chosen"],
  "all, waves too": [],
};
const NAMES = Object.keys(KINDS);

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.length > 3 ? `${value.length} of them` : value.map(textOf).join(", ");
  if (value !== null && typeof value === "object") {
    const entry = value as Record<string, unknown>;
    const name = [entry.cell, entry.edge, entry.operation].filter((part) => typeof part === "string").join(" ");
    return name || JSON.stringify(value);
  }
  return typeof value === "number" ? String(Number(value.toPrecision(5))) : String(value);
}

function words(event: Event): string {
  const parts = Object.entries(event.data as Record<string, unknown>).filter(
    ([name, value]) => value !== null && name !== "kind",
  );
  return parts.map(([name, value]) => `${name.replaceAll("_", " ")} ${textOf(value)}`).join(", ");
}

/** What happened, in order; while the search runs the list follows it. */
export function EventsTab({ model }: { model: SearchModel }) {
  const chosen = useSignal(NAMES[0] ?? "");
  const trail = useSignal<readonly (string | null)[]>([null]);
  const url = paths.events(model.id, trail.value.at(-1) ?? null, KINDS[chosen.value] ?? []);
  const turn = Math.floor(model.events.value / 5);
  const page = useResource<{ items: readonly Event[]; next: string | null }>(url, (signal) => getJson(url, signal));
  const seen = useSignal(turn);
  if (seen.value !== turn) {
    seen.value = turn;
    page.reload();
  }
  return (
    <Loaded resource={page}>
      {(data) => (
        <>
          <p class="buttons">
            <label>
              Show{" "}
              <select
                value={chosen.value}
                onChange={(event) => {
                  chosen.value = event.currentTarget.value;
                  trail.value = [null];
                }}
              >
                {NAMES.map((name) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </label>
            <button type="button" disabled={trail.value.length < 2} onClick={() => (trail.value = trail.value.slice(0, -1))}>
              Earlier
            </button>
            <button type="button" disabled={!data.next} onClick={() => (trail.value = [...trail.value, data.next])}>
              Later
            </button>
          </p>
          {data.items.length === 0 ? (
            <Empty title="Nothing happened yet" />
          ) : (
            <Table
              caption="Events, oldest first"
              rows={data.items}
              rowKey={(row) => row.id}
              columns={[
                { key: "kind", title: "what", cell: (row) => row.kind },
                { key: "words", title: "details", cell: (row) => <span class="user-text">{words(row)}</span> },
                { key: "when", title: "when", isMinor: true, cell: (row) => moment(row.created_at) },
              ]}
            />
          )}
        </>
      )}
    </Loaded>
  );
}
