import { type ReadonlySignal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiAway, ApiProblem } from "../api/problem";
import { recovered } from "./status";

const SKELETON_AFTER_MS = 300;

/** What was asked of the service and is shown: the last data stay while newer are asked for, or while the service is away. */
export interface Resource<Data> {
  readonly data: ReadonlySignal<Data | null>;
  /** Why the last try failed; null while it has not. */
  readonly error: ReadonlySignal<ApiProblem | null>;
  /** Whether nothing is there yet and it takes long enough to say so. */
  readonly isSlow: ReadonlySignal<boolean>;
  /** Of the data, in ms since 1970. */
  readonly at: ReadonlySignal<number | null>;
  /** Ask anew. */
  reload(): void;
  /** Show these data, a stream's or a reply's. */
  set(data: Data): void;
}

function problemFrom(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  return new ApiProblem(0, "page-failed", "The page failed", error instanceof Error ? error.message : String(error));
}

/**
 * Ask the service when the key changes and when it comes back; a null key asks nothing. Data of another key are taken away at
 * once, unless they are kept until the new ones are there: a list under a filter, say.
 */
export function useResource<Data>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<Data>,
  keeps: "nothing" | "the last data" = "nothing",
): Resource<Data> {
  const data = useSignal<Data | null>(null);
  const error = useSignal<ApiProblem | null>(null);
  const isSlow = useSignal(false);
  const at = useSignal<number | null>(null);
  const turn = useSignal(0);
  const shownKey = useRef<string | null>(null);
  const comebacks = recovered.value;

  useEffect(() => {
    if (key === null) return undefined;
    if (shownKey.current !== key) {
      if (keeps === "nothing") data.value = null;
      error.value = null;
    }
    shownKey.current = key;
    const giveUp = new AbortController();
    const slow = setTimeout(() => {
      isSlow.value = data.peek() === null && error.peek() === null;
    }, SKELETON_AFTER_MS);
    load(giveUp.signal)
      .then((body) => {
        if (giveUp.signal.aborted) return;
        data.value = body;
        error.value = null;
        at.value = Date.now();
      })
      .catch((reason: unknown) => {
        if (!giveUp.signal.aborted && !(reason instanceof ApiAway)) error.value = problemFrom(reason);
      })
      .finally(() => {
        clearTimeout(slow);
        if (!giveUp.signal.aborted && !(data.peek() === null && error.peek() === null)) isSlow.value = false;
      });
    return () => {
      giveUp.abort();
      clearTimeout(slow);
    };
  }, [key, turn.value, comebacks]);

  const set = (next: Data) => {
    data.value = next;
    at.value = Date.now();
  };
  const reload = () => {
    turn.value += 1;
  };
  return { data, error, isSlow, at, reload, set };
}
