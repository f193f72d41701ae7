import { openSource } from "./source";
import type { Message } from "./sse";
import { setRefusal } from "./status";

const REMEMBERED = 2000; // events that a tab keeps for others that come later

/** What tabs say to each other about one stream. */
type Word =
  | { say: "message"; message: Message }
  | { say: "refused"; reason: string | null }
  | { say: "end"; status: number | null }
  | { say: "behind"; tab: string; after: number }
  | { say: "lead"; at: number | null }
  | { say: "replay"; tab: string; messages: readonly Message[]; isWhole: boolean };

export interface SharedListener {
  onMessage(message: Message): void;
  /** The stream is over: null where the job ended, else the status of the refusal. */
  onEnd(status: number | null): void;
  /** Events were missed that nobody remembers: what is shown has to be loaded anew. */
  onGap(): void;
}

/**
 * One stream for all tabs of a browser: the tab that holds the lock reads it and tells the others. When it closes, the lock goes
 * to the next, which reads on from the last event it heard of. A tab that comes later asks for what it missed, and holds back
 * what it hears until then. Where a browser has no locks (an address that is neither https nor this machine), each tab reads
 * for itself.
 */
export class SharedStream {
  readonly #tab = crypto.getRandomValues(new Uint32Array(2)).join("-");
  readonly #channel: BroadcastChannel | null;
  readonly #stop = new AbortController();
  readonly #listener: SharedListener;
  #memory: Message[] = [];
  #from: number | null; // the memory holds every event after this one
  #last: number | null;
  #held: Word[] | null = null; // heard while waiting for what was missed
  #close: (() => void) | null = null;
  #ended: { status: number | null } | null = null;

  constructor(
    readonly url: string,
    after: number | null,
    listener: SharedListener,
  ) {
    this.#listener = listener;
    this.#last = this.#from = after;
    const canShare = "locks" in navigator && "BroadcastChannel" in window;
    this.#channel = canShare ? new BroadcastChannel(`nas:${url}`) : null;
    if (!this.#channel) {
      this.#read();
      return;
    }
    this.#channel.onmessage = (event: MessageEvent<Word>) => this.#hear(event.data);
    this.#catchUp();
    void this.#lead();
  }

  /** Leave: give the stream to another tab. */
  close(): void {
    this.#stop.abort();
    this.#close?.();
    this.#channel?.close();
    setRefusal(this.url, null);
  }

  async #lead(): Promise<void> {
    const over = new Promise<void>((resolve) => this.#stop.signal.addEventListener("abort", () => resolve()));
    const turn = async () => {
      this.#held = null; // the stream itself brings what was missed
      this.#tell({ say: "lead", at: this.#last });
      if (!this.#ended) this.#read();
      await over;
    };
    await navigator.locks.request(`nas:${this.url}`, { signal: this.#stop.signal }, turn).catch(() => undefined);
  }

  #read(): void {
    this.#close = openSource(this.url, () => this.#last, {
      onMessage: (message) => {
        this.#tell({ say: "message", message });
        this.#take(message);
      },
      onEnd: (status) => {
        this.#tell({ say: "end", status });
        this.#end(status);
      },
      onRefused: (reason) => {
        this.#tell({ say: "refused", reason });
        setRefusal(this.url, reason);
      },
    });
  }

  #tell(word: Word): void {
    if (!this.#stop.signal.aborted) this.#channel?.postMessage(word);
  }

  #catchUp(): void {
    if (this.#last === null) return;
    this.#held = [];
    this.#tell({ say: "behind", tab: this.#tab, after: this.#last });
  }

  #hear(word: Word): void {
    const isLeader = this.#close !== null;
    if (word.say === "behind") {
      if (isLeader) this.#fill(word.tab, word.after);
    } else if (word.say === "refused") setRefusal(this.url, word.reason);
    else if (word.say === "lead") this.#follow(word.at);
    else if (word.say === "replay") {
      if (word.tab === this.#tab && this.#held) this.#replay(word.messages, word.isWhole);
    } else if (this.#held && (word.say === "end" || word.message.id !== null)) this.#held.push(word);
    else if (word.say === "end") this.#end(word.status);
    else this.#take(word.message);
  }

  /** Another tab reads from now on, from an event on: what this one lacks before it has to be asked for. */
  #follow(at: number | null): void {
    if (this.#last === null || (at !== null && at <= this.#last)) this.#release();
    else this.#catchUp();
  }

  #replay(messages: readonly Message[], isWhole: boolean): void {
    for (const message of messages) this.#take(message);
    this.#release();
    if (!isWhole) this.#listener.onGap();
  }

  #release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const word of held) this.#hear(word);
  }

  /** Give a tab what it missed, as far as this one remembers. */
  #fill(tab: string, after: number): void {
    const messages = this.#memory.filter((message) => message.id !== null && message.id > after);
    this.#tell({ say: "replay", tab, messages, isWhole: this.#from !== null && this.#from <= after });
    if (this.#ended) this.#tell({ say: "end", status: this.#ended.status });
  }

  /** Take a message once: what was heard twice, live and as a replay, is known by its id. */
  #take(message: Message): void {
    if (message.id !== null) {
      if (this.#last !== null && message.id <= this.#last) return;
      this.#last = message.id;
      this.#from ??= message.id;
      this.#memory.push(message);
      if (this.#memory.length > 2 * REMEMBERED) {
        this.#from = this.#memory[REMEMBERED - 1]?.id ?? this.#from;
        this.#memory = this.#memory.slice(REMEMBERED);
      }
    }
    this.#listener.onMessage(message);
  }

  #end(status: number | null): void {
    if (this.#ended) return;
    this.#ended = { status };
    this.#listener.onEnd(status);
  }
}
