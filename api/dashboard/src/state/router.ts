import { computed, type ReadonlySignal, signal } from "@preact/signals";

/** The pages that there are; `id` is the last part of paths that have one. */
export type PageName = "jobs" | "new" | "search" | "architecture" | "training" | "system" | "nowhere";
export interface Route {
  readonly page: PageName;
  readonly id: string;
}
/** What every page's component is given. */
export interface PageProps {
  readonly id: string;
}

const FIXED: Readonly<Record<string, PageName>> = { "/": "jobs", "/new": "new", "/system": "system" };
const SHELVES: Readonly<Record<string, PageName>> = { searches: "search", architectures: "architecture", trainings: "training" };

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Return the page of a path. */
export function routeOf(path: string): Route {
  const plain = path.length > 1 ? path.replace(/\/+$/, "") : path;
  const fixed = FIXED[plain];
  if (fixed) return { page: fixed, id: "" };
  const [, shelf = "", id = "", ...rest] = plain.split("/");
  const page = Object.hasOwn(SHELVES, shelf) ? SHELVES[shelf] : undefined;
  return page && id && rest.length === 0 ? { page, id: decoded(id) } : { page: "nowhere", id: "" };
}

const here = signal({ path: location.pathname, search: location.search });

export const path: ReadonlySignal<string> = computed(() => here.value.path);
export const route: ReadonlySignal<Route> = computed(() => routeOf(here.value.path));
export const query: ReadonlySignal<URLSearchParams> = computed(() => new URLSearchParams(here.value.search));

function read(): void {
  here.value = { path: location.pathname, search: location.search };
}

addEventListener("popstate", read);

/** Go to an address of these pages. */
export function navigate(address: string, how: "push" | "replace" = "push"): void {
  if (how === "push") history.pushState(null, "", address);
  else history.replaceState(null, "", address);
  read();
}

/** What is in view, as named parts of the address: null or "" takes a name out. Replaces the entry unless told to push. */
export function setQuery(changes: Readonly<Record<string, string | null>>, how: "push" | "replace" = "replace"): void {
  const next = new URLSearchParams(here.peek().search);
  for (const [name, value] of Object.entries(changes)) {
    if (value) next.set(name, value);
    else next.delete(name);
  }
  const text = next.toString();
  const address = text ? `${here.peek().path}?${text}` : here.peek().path;
  if (address !== here.peek().path + here.peek().search) navigate(address, how);
}

/** Return one named part of the address, "" where it is not there, as a signal. */
export function queryValue(name: string): ReadonlySignal<string> {
  return computed(() => query.value.get(name) ?? "");
}

/** Whether a click is meant to go to the address within these pages. */
function isPlain(event: MouseEvent, anchor: HTMLAnchorElement): boolean {
  const modified = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  return !modified && !event.defaultPrevented && !anchor.target && !anchor.hasAttribute("download");
}

/** Follow links to pages of ours without loading anew; others (files, /docs, /v1) stay the browser's. */
export function followLinks(): void {
  addEventListener("click", (event) => {
    const anchor = event.target instanceof Element ? event.target.closest("a") : null;
    if (!(anchor instanceof HTMLAnchorElement) || !isPlain(event, anchor)) return;
    const to = new URL(anchor.href, location.href);
    const isOurs = to.origin === location.origin && routeOf(to.pathname).page !== "nowhere";
    if (!isOurs || (to.hash && to.pathname === location.pathname)) return;
    event.preventDefault();
    if (to.pathname + to.search !== location.pathname + location.search) navigate(to.pathname + to.search);
  });
}
