import { follow, type Message } from "./live";

/** What a message of the stream of all jobs is about. */
export interface JobMessage {
  readonly job_id: string;
  readonly kind: string;
  readonly [more: string]: unknown;
}

interface JobsListener {
  onMessages(messages: readonly Message[]): void;
  onGap(): void;
}

const listeners = new Set<JobsListener>();

/** Follow all jobs while the page is open: it is one stream for every tab, and its end tells that the service is away. */
export function followJobs(): () => void {
  return follow("/v1/stream", null, {
    onMessages: (messages) => {
      for (const listener of listeners) listener.onMessages(messages);
    },
    onGap: () => {
      for (const listener of listeners) listener.onGap();
    },
  });
}

/** Be told of all jobs; returns how to stop. */
export function onJobs(listener: JobsListener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Return what a message says of which job, or null where it is about none. */
export function aboutJob(message: Message): JobMessage | null {
  const data = message.data;
  const isAboutJob = typeof data === "object" && data !== null && "job_id" in data && typeof data.job_id === "string";
  return isAboutJob ? (data as JobMessage) : null;
}
