import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { onAway } from "../api/client";

const PROBE_TIMEOUT_MS = 1000;
const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 2000;

const awaySince = signal<number | null>(null);
const comebacks = signal(0);

/** Since when (ms since 1970) the service gives no answer; null while it does. */
export const away: ReadonlySignal<number | null> = awaySince;
/** How often the service came back: what hangs on it asks anew. */
export const recovered: ReadonlySignal<number> = comebacks;

const refusals = signal<ReadonlyMap<string, string>>(new Map());

/** Why streams are not live though the service answers, in its words: none where all are. */
export const notLive: ReadonlySignal<readonly string[]> = computed(() => [...new Set(refusals.value.values())]);

/** Say why a stream was refused; null: it is not, or nobody wants it any more. */
export function setRefusal(url: string, reason: string | null): void {
  const before = refusals.peek();
  if ((before.get(url) ?? null) === reason) return;
  const next = new Map(before);
  if (reason === null) next.delete(url);
  else next.set(url, reason);
  refusals.value = next;
}

/** Whether the process answers at all, a refusal included. */
async function answers(): Promise<boolean> {
  try {
    const response = await fetch("/healthz", { cache: "no-store", signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    return response.ok;
  } catch {
    return false;
  }
}

let probing: Promise<void> | null = null;
const others = "BroadcastChannel" in window ? new BroadcastChannel("nas:status") : null;

/** Find out whether the service is there, and if not, keep asking until it is. However many call it, one asks; all wait for it. */
export function probe(): Promise<void> {
  probing ??= untilItAnswers().finally(() => {
    probing = null;
  });
  return probing;
}

async function untilItAnswers(): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!(await answers())) {
    if (awaySince.peek() === null) {
      awaySince.value = Date.now();
      others?.postMessage("away");
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
  }
  if (awaySince.peek() !== null) {
    awaySince.value = null;
    comebacks.value += 1;
  }
}

if (others) others.onmessage = () => void probe(); // only the tab that reads a stream hears of its end; each looks for itself
onAway(() => void probe());
addEventListener("offline", () => void probe());
addEventListener("online", () => void probe());
