import { signal } from "@preact/signals";
import { ApiAway, problemOf } from "./problem";
import type { components, paths } from "./types";

/** A view of the service, by its name in the OpenAPI document. */
export type View<Name extends keyof components["schemas"]> = components["schemas"][Name];

type Json<Operation> = Operation extends { responses: { 200: { content: { "application/json": infer Body } } } } ? Body : never;
/** Paths that answer GET with JSON. */
export type GetPath = { [P in keyof paths]: Json<paths[P]["get"]> extends never ? never : P }[keyof paths];
/** What GET of a path gives. */
export type Got<P extends GetPath> = Json<paths[P]["get"]>;
export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | null | undefined>>;
export type Params = Readonly<Record<string, string | number>>;

/** Where a browser shows a key, and forgets it. */
export const SESSION = "/v1/session";

const KEPT = 100; // replies kept to be shown again where the service says that nothing changed
const kept = new Map<string, { etag: string; body: unknown }>();

/** Requests that were sent, and bytes of bodies that came: pages have budgets, and tests read these. */
export const traffic = { requests: 0 };

/** Whether the service asks for a key that this browser has not shown. */
export const isLocked = signal(false);

const awayListeners = new Set<() => void>();

/** Be told when a request found nobody. */
export function onAway(listener: () => void): () => void {
  awayListeners.add(listener);
  return () => awayListeners.delete(listener);
}

/** Return an address with its places filled in and its query, leaving out what is null, undefined or empty. */
export function address(path: string, params: Params = {}, query: Query = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name] ?? "")));
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === "") continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  const text = search.toString();
  return text ? `${filled}?${text}` : filled;
}

async function ask(url: string, init: RequestInit): Promise<Response> {
  traffic.requests += 1;
  try {
    const response = await fetch(url, { credentials: "same-origin", ...init });
    if (response.status === 401 && url !== SESSION) isLocked.value = true;
    return response;
  } catch (error) {
    if (init.signal?.aborted) throw error;
    for (const listener of awayListeners) listener();
    throw new ApiAway(url);
  }
}

function keep(url: string, etag: string, body: unknown): void {
  kept.delete(url);
  kept.set(url, { etag, body });
  const oldest = kept.keys().next().value;
  if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
}

/** GET any address of this service as JSON; an unchanged reply costs no body. */
export async function getJson<Body>(url: string, signal?: AbortSignal): Promise<Body> {
  const known = kept.get(url);
  const headers: Record<string, string> = { Accept: "application/json" };
  if (known) headers["If-None-Match"] = known.etag;
  const response = await ask(url, { headers, cache: "no-store", ...(signal ? { signal } : {}) });
  if (response.status === 304 && known) return known.body as Body;
  if (!response.ok) throw await problemOf(response);
  const body = (await response.json()) as Body;
  const etag = response.headers.get("etag");
  if (etag) keep(url, etag, body);
  return body;
}

/** GET a file, under the name that the service gives it. */
export async function getFile(url: string): Promise<File> {
  const response = await ask(url, {});
  if (!response.ok) throw await problemOf(response);
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "file";
  return new File([await response.blob()], name);
}

/** GET a path of the OpenAPI document; its type follows from the path. */
export function get<P extends GetPath>(path: P, params: Params = {}, query: Query = {}, signal?: AbortSignal): Promise<Got<P>> {
  return getJson<Got<P>>(address(path, params, query), signal);
}

/** Send a body, or none, and read the reply; null where the reply has no body. */
export async function send<Body>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  url: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Body | null> {
  const sent: RequestInit = { method, headers: { Accept: "application/json", ...headers } };
  if (body !== undefined) {
    sent.body = JSON.stringify(body);
    sent.headers = { ...sent.headers, "Content-Type": "application/json" };
  }
  const response = await ask(url, sent);
  if (!response.ok) throw await problemOf(response);
  const text = await response.text();
  return text ? (JSON.parse(text) as Body) : null;
}
