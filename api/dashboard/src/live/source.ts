import { isLocked } from "../api/client";
import { problemOf } from "../api/problem";
import { type Message, SseParser } from "./sse";
import { probe } from "./status";

const SILENCE_MS = 40_000; // a stream says something every 15 s, if only that it lives
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** What a source of messages tells. */
export interface Listener {
  onMessage(message: Message): void;
  /** The stream is over for good: the job ended, or there is no such job (its status). */
  onEnd(status: number | null): void;
  /** Why the service does not give the stream now, in its words; null: it does. It is asked again. */
  onRefused(reason: string | null): void;
}

/** Return the address of a stream from after an event; null: from now. */
export function resumed(url: string, after: number | null): string {
  if (after === null) return url;
  return `${url}${url.includes("?") ? "&" : "?"}after=${after}`;
}

async function read(response: Response, listener: Listener, giveUp: AbortController): Promise<boolean> {
  const parser = new SseParser();
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return false;
  let silence = 0;
  try {
    for (;;) {
      clearTimeout(silence);
      silence = window.setTimeout(() => giveUp.abort(), SILENCE_MS);
      const { done, value } = await reader.read();
      if (done) return false;
      for (const message of parser.push(value)) {
        if (message.kind === "end") return true;
        listener.onMessage(message);
      }
    }
  } finally {
    clearTimeout(silence);
    void reader.cancel().catch(() => undefined);
  }
}

/** Read a stream until it ends or is closed, connecting anew wherever it breaks off, from after the last event that came. */
export function openSource(url: string, after: () => number | null, listener: Listener): () => void {
  let isClosed = false;
  let current = new AbortController();
  const pauseFor = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  async function connect(): Promise<"over" | "broken" | "refused"> {
    current = new AbortController();
    const giveUp = current;
    const response = await fetch(resumed(url, after()), {
      headers: { Accept: "text/event-stream" },
      cache: "no-store",
      signal: giveUp.signal,
    });
    if (response.status === 404 || response.status === 410) {
      listener.onEnd(response.status);
      return "over";
    }
    if (!response.ok) {
      if (response.status === 401) isLocked.value = true;
      const { title, detail, status } = await problemOf(response);
      listener.onRefused(`${title}${detail ? `: ${detail}` : ""} (HTTP ${status})`);
      return "refused";
    }
    listener.onRefused(null);
    const hasEnded = await read(response, listener, giveUp);
    if (hasEnded) listener.onEnd(null);
    return hasEnded ? "over" : "broken";
  }

  async function run(): Promise<void> {
    let pause = FIRST_PAUSE_MS;
    while (!isClosed) {
      const began = Date.now();
      const how = await connect().catch((): "broken" => "broken");
      if (isClosed || how === "over") return;
      if (how === "broken") await probe(); // returns when the service answers
      if (Date.now() - began > LONGEST_PAUSE_MS) pause = FIRST_PAUSE_MS;
      await pauseFor(pause * (0.5 + Math.random()));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  void run();
  return () => {
    isClosed = true;
    current.abort();
  };
}
