import { batch } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type SharedListener, SharedStream } from "./shared";
import type { Message } from "./sse";

export type { Message } from "./sse";
export { away, probe, recovered } from "./status";

const MOST_WAITING = 5000; // messages that wait for a hidden page to be seen again

/** Hand messages on once a frame, and none while nobody sees the page: what a hidden page cannot hold is loaded anew. */
export class FrameQueue {
  #waiting: Message[] = [];
  #frame = 0;
  #hasOverflowed = false;
  readonly #draw: (messages: readonly Message[]) => void;
  readonly #overflowed: () => void;

  constructor(draw: (messages: readonly Message[]) => void, overflowed: () => void) {
    this.#draw = draw;
    this.#overflowed = overflowed;
  }

  push(message: Message): void {
    if (this.#waiting.length >= MOST_WAITING) {
      this.#hasOverflowed = true;
      this.#waiting = [];
    }
    this.#waiting.push(message);
    this.#frame ||= requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const messages = this.#waiting;
    this.#waiting = [];
    if (this.#hasOverflowed) this.#overflowed();
    else if (messages.length > 0) batch(() => this.#draw(messages));
    this.#hasOverflowed = false;
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
  }
}

export interface StreamHandlers {
  /** New messages, in order, each event once; called at most once a frame and only while the page is seen. */
  onMessages(messages: readonly Message[]): void;
  /** Over for good: null where the job ended, else the status of the refusal. */
  onEnd?(status: number | null): void;
  /** Something was missed: load anew. */
  onGap(): void;
}

/** Follow a stream outside of a component; returns how to stop. `after`: the newest event that is known, null for from now. */
export function follow(url: string, after: number | null, handlers: StreamHandlers): () => void {
  const queue = new FrameQueue(
    (messages) => handlers.onMessages(messages),
    () => handlers.onGap(),
  );
  const listener: SharedListener = {
    onMessage: (message) => queue.push(message),
    onEnd: (status) => {
      queue.flush();
      handlers.onEnd?.(status);
    },
    onGap: () => handlers.onGap(),
  };
  const stream = new SharedStream(url, after, listener);
  return () => {
    stream.close();
    queue.close();
  };
}

/**
 * Follow a stream while a component is there. A null address follows nothing yet: load the job first, then stream from its
 * `last_event`, so that nothing is lost and nothing comes twice.
 */
export function useStream(url: string | null, after: number | null, handlers: StreamHandlers): void {
  const latest = useRef(handlers);
  latest.current = handlers;
  useEffect(() => {
    if (url === null) return undefined;
    return follow(url, after, {
      onMessages: (messages) => latest.current.onMessages(messages),
      onEnd: (status) => latest.current.onEnd?.(status),
      onGap: () => latest.current.onGap(),
    });
  }, [url, after]);
}
