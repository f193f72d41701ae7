import { isObject, type Json, type JsonObject } from "./json";

/** Return a value as Python writes it. */
export function pythonLiteral(value: Json): string {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string" || typeof value === "number") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((entry: Json) => pythonLiteral(entry)).join(", ")}]`;
  return `{${Object.entries(value)
    .map(([key, below]) => `${JSON.stringify(key)}: ${pythonLiteral(below)}`)
    .join(", ")}}`;
}

/** Return the lines that submit a spec from Python. */
export function pythonLines(spec: JsonObject, url: string): string {
  return [
    "from api.client import NasClient",
    "",
    `with NasClient(${JSON.stringify(url)}) as client:`,
    `    search = client.submit_search(${pythonLiteral(spec)})`,
  ].join("\n");
}

/** Return the spec in `submit_search({...})`, or that of a dict alone. Throws an Error that says what is not understood. */
export function specOfPython(text: string): JsonObject {
  const call = /submit_search\s*\(/.exec(text);
  const reader = new LiteralReader(text, call ? call.index + call[0].length : 0);
  const value = reader.value();
  if (!isObject(value)) throw new Error("a dict in submit_search({...}) is wanted");
  return value;
}

const WORDS: Readonly<Record<string, Json>> = { None: null, True: true, False: false };
const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "0": "\0",
  "\n": "",
};
const HEX: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

/** Reads literals of Python: dicts, lists, tuples, texts, numbers, True, False and None. */
class LiteralReader {
  readonly #text: string;
  #place: number;

  constructor(text: string, place: number) {
    this.#text = text;
    this.#place = place;
  }

  value(): Json {
    this.#skip();
    const letter = this.#text.charAt(this.#place);
    if (letter === "{") return this.#dict();
    if (letter === "[") return this.#list("]");
    if (letter === "(") return this.#list(")");
    if (letter === '"' || letter === "'") return this.#strings();
    const word = /^(?:None|True|False)\b/.exec(this.#text.slice(this.#place))?.[0];
    if (word !== undefined) {
      this.#place += word.length;
      return WORDS[word] ?? null;
    }
    return this.#number();
  }

  #skip(): void {
    const blank = /^(?:\s|#[^\n]*|\\\n)*/.exec(this.#text.slice(this.#place))?.[0] ?? "";
    this.#place += blank.length;
  }

  #takes(letter: string): boolean {
    this.#skip();
    if (this.#text.charAt(this.#place) !== letter) return false;
    this.#place += 1;
    return true;
  }

  #fail(wanted: string): never {
    const found = this.#text.slice(this.#place, this.#place + 12);
    throw new Error(`${wanted} is wanted, not ${found === "" ? "the end" : found}`);
  }

  #dict(): JsonObject {
    this.#place += 1;
    const entries: [string, Json][] = [];
    while (!this.#takes("}")) {
      const key = this.value();
      if (typeof key !== "string") this.#fail("a text as key");
      if (!this.#takes(":")) this.#fail("a colon");
      entries.push([key, this.value()]);
      if (this.#takes("}")) break;
      if (!this.#takes(",")) this.#fail("a comma or }");
    }
    return Object.fromEntries(entries);
  }

  #list(end: string): Json {
    this.#place += 1;
    const entries: Json[] = [];
    while (!this.#takes(end)) {
      entries.push(this.value());
      if (this.#takes(end)) break;
      if (!this.#takes(",")) this.#fail(`a comma or ${end}`);
    }
    return entries;
  }

  /** Texts that follow each other are one. */
  #strings(): string {
    let whole = "";
    for (;;) {
      this.#skip();
      const mark = this.#text.charAt(this.#place);
      if (mark !== '"' && mark !== "'") return whole;
      this.#place += 1;
      whole += this.#string(mark);
    }
  }

  #string(mark: string): string {
    let text = "";
    for (;;) {
      const letter = this.#text.charAt(this.#place);
      if (letter === "" || letter === "\n") this.#fail(`a closing ${mark}`);
      this.#place += 1;
      if (letter === mark) return text;
      text += letter === "\\" ? this.#escape() : letter;
    }
  }

  #escape(): string {
    const letter = this.#text.charAt(this.#place);
    this.#place += 1;
    const digits = HEX[letter];
    if (digits !== undefined) {
      const code = this.#text.slice(this.#place, this.#place + digits);
      if (code.length < digits || !/^[\da-fA-F]+$/.test(code)) this.#fail(`${digits} hexadecimal digits`);
      this.#place += digits;
      const point = Number.parseInt(code, 16);
      return digits === 4 ? String.fromCharCode(point) : String.fromCodePoint(Math.min(point, 0x10ffff));
    }
    return ESCAPES[letter] ?? ("\\'\"".includes(letter) ? letter : `\\${letter}`);
  }

  #number(): number {
    const found = /^[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/.exec(this.#text.slice(this.#place))?.[0];
    const value = found === undefined ? Number.NaN : Number(found.replaceAll("_", ""));
    if (found === undefined || !Number.isFinite(value)) this.#fail("a value");
    this.#place += found.length;
    return value;
  }
}
