import { useEffect, useRef } from "preact/hooks";
import { get, type View } from "../../api/client";
import { useResource } from "../../live/resource";
import { setQuery } from "../../state/router";
import { count } from "../../ui/format";
import { type FilterName, type Filters, KINDS, statesShown } from "./model";

const TYPING_MS = 250; // a pause that ends a word

/** How many jobs are in which state; each is a filter. */
export function Counts(props: { counts: View<"JobCounts"> | null; asked: string }) {
  const byState: Record<string, number> = props.counts?.by_state ?? {};
  const choose = (state: string) => setQuery({ state: state || null, cursor: null });
  const entries: [string, string, number | undefined][] = [["", "all", props.counts?.total]];
  for (const state of statesShown(byState, props.asked)) entries.push([state, state, byState[state]]);
  return (
    <fieldset class="counts">
      <legend class="sr-only">Jobs by state</legend>
      {entries.map(([state, title, number]) => (
        <button key={state} type="button" aria-pressed={props.asked === state} onClick={() => choose(state)}>
          {title} <strong>{number === undefined ? "" : count(number)}</strong>
        </button>
      ))}
    </fieldset>
  );
}

function Choice(props: { name: FilterName; title: string; value: string; entries: readonly string[] }) {
  const entries = props.value && !props.entries.includes(props.value) ? [props.value, ...props.entries] : props.entries;
  return (
    <label>
      {props.title}{" "}
      <select
        value={props.value}
        onChange={(event) => setQuery({ [props.name]: event.currentTarget.value || null, cursor: null })}
      >
        <option value="">any</option>
        {entries.map((entry) => (
          <option key={entry} value={entry}>
            {entry}
          </option>
        ))}
      </select>
    </label>
  );
}

function names(entries: readonly { name: string }[] | undefined): string[] {
  return (entries ?? []).map((entry) => entry.name);
}

/** What narrows the list; all of it is in the address, so that a list can be sent to somebody. */
export function FilterRow(props: { filters: Filters }) {
  const { filters } = props;
  const timer = useRef(0);
  const field = useRef<HTMLInputElement>(null);
  const spaces = useResource("spaces", (signal) => get("/v1/spaces", {}, {}, signal));
  const strategies = useResource("strategies", (signal) => get("/v1/strategies", {}, {}, signal));
  useEffect(() => {
    if (field.current && document.activeElement !== field.current) field.current.value = filters.text;
  }, [filters.text]);
  const typed = (value: string) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setQuery({ text: value || null, cursor: null }), TYPING_MS);
  };
  return (
    <search class="filters">
      <label>
        Name or id{" "}
        <input
          ref={field}
          type="search"
          maxLength={200}
          defaultValue={filters.text}
          onInput={(event) => typed(event.currentTarget.value)}
        />
      </label>
      <Choice name="kind" title="Kind" value={filters.kind} entries={KINDS} />
      <Choice name="space" title="Space" value={filters.space} entries={names(spaces.data.value?.items)} />
      <Choice name="strategy" title="Strategy" value={filters.strategy} entries={names(strategies.data.value?.items)} />
      {(["dataset", "tag", "owner"] as const).map((name) =>
        filters[name] ? (
          <button key={name} type="button" onClick={() => setQuery({ [name]: null, cursor: null })}>
            {name} <bdi>{filters[name]}</bdi> <span aria-hidden="true">×</span>
            <span class="sr-only">: take this filter away</span>
          </button>
        ) : null,
      )}
    </search>
  );
}
