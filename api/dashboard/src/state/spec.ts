import { isObject, isSame, type Json, type JsonObject } from "./json";
import type { Field } from "./schema";

/** A term or parameter that does next to nothing, with which optimizers, and why. */
export interface Inert {
  readonly name: string;
  readonly why: string;
  readonly optimizers: readonly string[];
}

/** One thing of the catalogue, as the form needs it. */
export interface Entry {
  readonly name: string;
  readonly summary: string;
  readonly reference: string;
  readonly fields: readonly Field[];
  /** Published recipes of a method, by name. */
  readonly presets: readonly string[];
  /** What a method has by its paper and hardly acts by default. */
  readonly inert: readonly Inert[];
  /** Page of the project with what was measured of a strategy. */
  readonly figures: string;
  /** Whether a strategy wants trainings of their own, whatever `evaluation.own` says. */
  readonly needsOwn: boolean;
}

/** Shelves of the catalogue by the field that names their entries. */
export interface Catalogue {
  readonly space: readonly Entry[];
  readonly dataset: readonly Entry[];
  readonly method: readonly Entry[];
  readonly strategy: readonly Entry[];
}
export type Shelf = keyof Catalogue;

/** What is known of specs: the fields of a search, and the settings of all that it can name. */
export interface SpecSchema {
  readonly fields: readonly Field[];
  readonly catalogue: Catalogue;
}

/** Return the shelf of a component's field; methods of the training stand on the same shelf as the search's own. */
export function shelfOf(field: Field): Shelf {
  return field.name === "space" || field.name === "dataset" || field.name === "strategy" ? field.name : "method";
}

export function nameOf(component: Json | undefined, otherwise: Json | undefined = undefined): string {
  if (typeof component === "string") return component;
  if (isObject(component) && typeof component.name === "string") return component.name;
  return otherwise === undefined ? "" : nameOf(otherwise);
}

export function settingsOf(component: Json | undefined): JsonObject {
  return isObject(component) && isObject(component.settings) ? component.settings : {};
}

/**
 * Return what differs from the defaults, as short as it can be said: a component without settings is its name.
 *
 * A method of the samples that was chosen is said wherever a training follows, the default one too: left out, it may be the
 * first of that training.
 */
export function pruned(spec: JsonObject, schema: SpecSchema): JsonObject {
  const short = prunedObject(spec, schema.fields, schema.catalogue);
  const method = schema.fields.find((field) => field.name === "method");
  if (method === undefined || spec.method === undefined || !("training" in short) || "method" in short) return short;
  return Object.fromEntries(order([...Object.entries(short), ["method", nameOf(method.default)]], schema.fields));
}

function prunedObject(object: JsonObject, fields: readonly Field[], catalogue: Catalogue): JsonObject {
  const kept: [string, Json][] = [];
  for (const [name, value] of Object.entries(object)) {
    const field = fields.find((entry) => entry.name === name);
    const short = field ? prunedValue(value, field, catalogue) : value;
    if (short !== undefined) kept.push([name, short]);
  }
  return Object.fromEntries(order(kept, fields));
}

function order(entries: [string, Json][], fields: readonly Field[]): [string, Json][] {
  const places = new Map(fields.map((field, place) => [field.name, place]));
  return entries.sort(([left], [right]) => (places.get(left) ?? fields.length) - (places.get(right) ?? fields.length));
}

function prunedValue(value: Json, field: Field, catalogue: Catalogue): Json | undefined {
  if (field.kind === "component") {
    const short = prunedComponent(value, field, catalogue);
    return short === nameOf(field.default) ? undefined : short;
  }
  if (field.kind === "components") {
    const item = field.item;
    return Array.isArray(value) && item ? value.map((entry: Json) => prunedComponent(entry, item, catalogue)) : value;
  }
  if (field.kind === "group" && isObject(value)) {
    const short = prunedObject(value, field.fields, catalogue);
    const isOptional = field.isNullable && (field.default === null || field.default === undefined);
    return Object.keys(short).length === 0 && !isOptional ? undefined : short;
  }
  return field.default !== undefined && isSame(value, field.default) ? undefined : value;
}

function prunedComponent(value: Json, field: Field, catalogue: Catalogue): Json {
  if (!isObject(value)) return value;
  const name = nameOf(value, field.default);
  const entry = catalogue[shelfOf(field)].find((one) => one.name === name);
  const given = settingsOf(value);
  const settings = entry ? prunedObject(given, entry.fields, catalogue) : given;
  const rest: Record<string, Json> = {};
  for (const [key, below] of Object.entries(value)) {
    if (key === "name") continue;
    if (key === "settings" && isObject(below)) {
      if (Object.keys(settings).length > 0) rest.settings = settings;
    } else if (key !== "recipe" || !isObject(below) || Object.keys(below).length > 0) rest[key] = below;
  }
  return name && Object.keys(rest).length === 0 ? name : { ...(name ? { name } : {}), ...rest };
}
