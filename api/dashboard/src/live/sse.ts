/** A message of a stream; `id` is null for what is only true now (progress, log lines). */
export interface Message {
  readonly id: number | null;
  readonly kind: string;
  readonly data: unknown;
}

/** Take text as it comes and give whole messages; comments (pings) are dropped. */
export class SseParser {
  #rest = "";

  push(text: string): Message[] {
    const whole = (this.#rest + text).replace(/\r\n?/g, "\n");
    const blocks = whole.split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(messageOf).filter((message) => message !== null);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function messageOf(block: string): Message | null {
  let kind = "message";
  let id: number | null = null;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") kind = value;
    else if (name === "id" && /^\d+$/.test(value)) id = Number(value);
    else if (name === "data") data.push(value);
  }
  if (data.length === 0 && kind === "message") return null;
  return { id, kind, data: data.length ? parsed(data.join("\n")) : null };
}
