import { isObject, type Json, type JsonObject, withValue } from "./json";
import { quoted, wordsOf } from "./shell-words";

/** Short options of `nas search submit` that stand for one field each. */
const OPTIONS: Readonly<Record<string, string>> = {
  "--space": "space",
  "--dataset": "dataset",
  "--method": "method",
  "--strategy": "strategy",
  "--seed": "seed",
  "--wave": "wave",
  "--epochs": "training.recipe.epochs",
};
const NUMBERS = new Set(["--seed", "--wave", "--epochs"]);
const IGNORED: Readonly<Record<string, number>> = { "--url": 1, "--json": 0, "--dry-run": 0 }; // and how many words each takes

/** Return the command that submits a spec; it says only what the spec says. */
export function cliLine(spec: JsonObject): string {
  const words = ["nas", "search", "submit"];
  let rest: Json = spec;
  for (const [option, path] of Object.entries(OPTIONS)) {
    const value = read(rest, path);
    const name = isObject(value) && typeof value.name === "string" ? value.name : value;
    const fits = NUMBERS.has(option) ? Number.isInteger(value) : typeof name === "string" && name !== "" && !name.startsWith("-");
    if (!fits) continue;
    words.push(option, quoted(String(name)));
    rest = withValue(rest, isObject(value) ? `${path}.name` : path, undefined);
  }
  const methods = read(rest, "training.methods");
  if (
    Array.isArray(methods) &&
    methods.length > 0 &&
    methods.every((name) => typeof name === "string" && !name.startsWith("-") && name)
  ) {
    for (const name of methods) words.push("--train", quoted(String(name)));
    rest = withValue(rest, "training.methods", undefined);
  }
  for (const [path, value] of leaves(rest, "")) {
    if (isEmptied(value, read(spec, path))) continue;
    words.push("--set", quoted(`${path}=${asValue(value)}`));
  }
  return words.join(" ");
}

function read(whole: Json, path: string): Json | undefined {
  let place: Json | undefined = whole;
  for (const part of path.split(".")) place = isObject(place) ? place[part] : undefined;
  return place;
}

/** Whether an object is empty only because short options have said what it held. */
function isEmptied(value: Json, before: Json | undefined): boolean {
  return isObject(value) && Object.keys(value).length === 0 && (!isObject(before) || Object.keys(before).length > 0);
}

/** Yield the fields that `--set` can reach; an object whose keys hold dots or equals signs is one value. */
function* leaves(value: Json, path: string): Generator<[string, Json]> {
  const keys = isObject(value) ? Object.keys(value) : [];
  const isPlain = keys.every((key) => key !== "" && !/[.=]/.test(key));
  if (isObject(value) && isPlain && (keys.length > 0 || path === "")) {
    for (const key of keys) yield* leaves(value[key] ?? null, path ? `${path}.${key}` : key);
  } else yield [path, value];
}

/** Return a value as `--set` reads it: a plain word, or JSON. */
function asValue(value: Json): string {
  const isWord = typeof value === "string" && /^[A-Za-z][\w./-]*$/.test(value) && !["true", "false", "null"].includes(value);
  return isWord && value !== "NaN" && value !== "Infinity" ? value : JSON.stringify(value);
}

/** What a line says so far. */
interface Reading {
  options: [string, Json][];
  train: string[];
  sets: [string, Json][];
  isAdversarial: boolean;
  eps: Json | undefined;
}

/** Return the spec that a command would submit. Throws an Error in words for people. */
export function specOfCli(line: string): JsonObject {
  const words = wordsOf(line.replace(/^\s*\$ /, ""));
  const start = words.findIndex((word, place) => word === "search" && /^(submit|run)$/.test(words[place + 1] ?? ""));
  if (start < 0) throw new Error("a line that begins with: nas search submit");
  const reading: Reading = { options: [], train: [], sets: [], isAdversarial: false, eps: undefined };
  const rest = words.slice(start + 2);
  for (let place = 0; place < rest.length; ) place += readOption(reading, rest, place);
  return built(reading);
}

function readOption(reading: Reading, words: readonly string[], place: number): number {
  const word = words[place] ?? "";
  const equals = word.startsWith("--") ? word.indexOf("=") : -1;
  const option = equals > 0 ? word.slice(0, equals) : word;
  if (option === "--adversarial") {
    reading.isAdversarial = true;
    return 1;
  }
  const ignored = Object.hasOwn(IGNORED, option) ? IGNORED[option] : undefined;
  if (ignored !== undefined) return equals > 0 ? 1 : 1 + ignored;
  if (option === "--spec") throw new Error("no --spec: a page cannot read your files; put the file's JSON into the JSON field");
  const isKnown = Object.hasOwn(OPTIONS, option) || ["--train", "--set", "--eps"].includes(option);
  if (!isKnown)
    throw new Error(
      `no ${word}: known are ${[...Object.keys(OPTIONS), "--train", "--adversarial", "--eps", "--set"].join(", ")}`,
    );
  const value = equals > 0 ? word.slice(equals + 1) : words[place + 1];
  if (value === undefined) throw new Error(`${option} needs a value`);
  keep(reading, option, value);
  return equals > 0 ? 1 : 2;
}

function keep(reading: Reading, option: string, value: string): void {
  if (option === "--train") reading.train.push(value);
  else if (option === "--eps") reading.eps = number(option, value);
  else if (option === "--set") {
    const equals = value.indexOf("=");
    if (equals < 0) throw new Error(`--set ${value}: path=value is wanted`);
    reading.sets.push([value.slice(0, equals), parsed(value.slice(equals + 1))]);
  } else reading.options.push([OPTIONS[option] ?? "", NUMBERS.has(option) ? integer(option, value) : value]);
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new Error(`${option} ${text}: a number is wanted`);
  return value;
}

function integer(option: string, text: string): number {
  if (!/^[+-]?\d+$/.test(text.trim())) throw new Error(`${option} ${text}: a whole number is wanted`);
  return Number(text);
}

/** Read JSON, or else a word, as the command does: what JSON has no word for (NaN, 1e999) is a word. */
function parsed(text: string): Json {
  try {
    const value = JSON.parse(text) as Json;
    return typeof value === "number" && !Number.isFinite(value) ? text : value;
  } catch {
    return text;
  }
}

function built(reading: Reading): JsonObject {
  let spec: JsonObject = {};
  // Options come in the command's own order, whatever the line's.
  const places = Object.values(OPTIONS);
  const given = new Map(reading.options);
  const methods =
    reading.train.length > 0 ? new Map<string, Json>([["training.methods", reading.train]]) : new Map<string, Json>();
  for (const path of [...places.slice(0, -1), "training.methods", ...places.slice(-1)]) {
    const value = given.get(path) ?? methods.get(path);
    if (value !== undefined) spec = put(spec, path, value);
  }
  for (const [path, value] of reading.sets) spec = put(spec, path, value);
  if (reading.isAdversarial) return robust(spec, reading.eps);
  if (reading.eps !== undefined) throw new Error("--eps means nothing without --adversarial");
  return spec;
}

function put(spec: JsonObject, path: string, value: Json): JsonObject {
  const parts = path.split(".");
  for (let end = 1; end < parts.length; end += 1) {
    const holder = read(spec, parts.slice(0, end).join("."));
    const isOpen = holder === undefined || holder === null || typeof holder === "string" || isObject(holder);
    if (!isOpen) throw new Error(`--set ${path}: ${parts[end - 1]} is no object`);
  }
  return withValue(spec, path, value) as JsonObject;
}

/** Ask for a robust search as `--adversarial` does. */
function robust(spec: JsonObject, eps: Json | undefined): JsonObject {
  const amount: JsonObject = eps === undefined ? {} : { eps };
  let next = over(spec, "evaluation.adversarial", {}, amount);
  if (isObject(spec.training) && Object.keys(spec.training).length > 0) {
    next = over(next, "training.recipe.adversarial", { attack: "pgd" }, amount);
    next = over(next, "training.robustness", {}, amount);
  }
  return next;
}

function over(spec: JsonObject, path: string, defaults: JsonObject, options: JsonObject): JsonObject {
  const given = read(spec, path);
  if (given !== undefined && given !== null && !isObject(given)) return spec;
  return put(spec, path, { ...defaults, ...(isObject(given) ? given : {}), ...options });
}
