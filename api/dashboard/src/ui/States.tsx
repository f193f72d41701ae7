import type { ComponentChildren } from "preact";
import type { ApiProblem } from "../api/problem";
import type { Resource } from "../live/resource";
import { ErrorBox, Gone } from "./ErrorBox";

/** The place of what is still to come, in its real size: `rows` lines, in view only where it takes long. */
export function Skeleton(props: { rows?: number; label?: string }) {
  return (
    <div class="skeleton" role="status">
      <span class="sr-only">{props.label ?? "Loading"}</span>
      {Array.from({ length: props.rows ?? 4 }, (_, row) => (
        <div key={row} class="skeleton-row" aria-hidden="true" />
      ))}
    </div>
  );
}

/** Nothing here yet: what to do next, with a button and the same as a command. */
export function Empty(props: { title: string; children?: ComponentChildren; command?: string }) {
  return (
    <div class="empty">
      <p class="empty-title">{props.title}</p>
      {props.children}
      {props.command ? (
        <p>
          or in a terminal: <code>{props.command}</code>
        </p>
      ) : null}
    </div>
  );
}

/** Not all is shown, and how much of it. */
export function TooMuch(props: { shown: number; total: number; what: string }) {
  if (props.shown >= props.total) return null;
  return (
    <p class="too-much" role="note">
      {props.shown.toLocaleString("en")} of {props.total.toLocaleString("en")} {props.what} shown
    </p>
  );
}

interface LoadedProps<Data> {
  resource: Resource<Data>;
  children: (data: Data) => ComponentChildren;
  rows?: number;
  /** Where a list of such things is, for when this one is gone. */
  back?: { href: string; label: string };
}

/** What every request goes through: a skeleton where it takes long, the data, the refusal, or that it is gone. */
export function Loaded<Data>(props: LoadedProps<Data>) {
  const { data, error, isSlow } = props.resource;
  const failure: ApiProblem | null = error.value;
  if (data.value === null) {
    if (failure?.status === 404) return <Gone problem={failure} back={props.back ?? { href: "/", label: "All jobs" }} />;
    if (failure) return <ErrorBox problem={failure} onRetry={props.resource.reload} />;
    return isSlow.value ? <Skeleton rows={props.rows ?? 4} /> : null;
  }
  return (
    <>
      {failure ? <ErrorBox problem={failure} onRetry={props.resource.reload} /> : null}
      {props.children(data.value)}
    </>
  );
}
