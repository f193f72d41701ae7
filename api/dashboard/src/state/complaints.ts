import { isObject, type Json } from "./json";
import type { Bounds, Field } from "./schema";

/** One fault: the path of what is wrong, and what would be right in the service's words. */
export interface Complaint {
  readonly field: string;
  readonly allowed: string;
}

/** Return what is wrong with a number, in the words of the service. */
function numberComplaint(bounds: Bounds, value: number): string | null {
  if (bounds.minimum !== undefined && value < bounds.minimum) return `greater than or equal to ${bounds.minimum}`;
  if (bounds.exclusiveMinimum !== undefined && value <= bounds.exclusiveMinimum) return `greater than ${bounds.exclusiveMinimum}`;
  if (bounds.maximum !== undefined && value > bounds.maximum) return `less than or equal to ${bounds.maximum}`;
  if (bounds.exclusiveMaximum !== undefined && value >= bounds.exclusiveMaximum) return `less than ${bounds.exclusiveMaximum}`;
  return null;
}

function textComplaint(bounds: Bounds, value: string): string | null {
  const letters = [...value].length; // as the service counts: an emoji is one
  const some = (count: number) => `${count} character${count === 1 ? "" : "s"}`;
  if (bounds.minLength !== undefined && letters < bounds.minLength) return `at least ${some(bounds.minLength)}`;
  if (bounds.maxLength !== undefined && letters > bounds.maxLength) return `at most ${some(bounds.maxLength)}`;
  const isOdd = bounds.pattern !== undefined && !new RegExp(bounds.pattern, "u").test(value);
  return isOdd ? `text of the pattern ${bounds.pattern}` : null;
}

function listComplaint(bounds: Bounds, count: number): string | null {
  const some = (most: number) => `${most} ${most === 1 ? "entry" : "entries"}, not ${count}`;
  if (bounds.minItems !== undefined && count < bounds.minItems) return `at least ${some(bounds.minItems)}`;
  if (bounds.maxItems !== undefined && count > bounds.maxItems) return `at most ${some(bounds.maxItems)}`;
  return null;
}

/** Return choices as the service lists them: 'a', 'b' or 'c'. */
function listed(choices: readonly Json[]): string {
  const words = choices.map((choice) => (typeof choice === "string" ? `'${choice}'` : String(choice)));
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** Return what is wrong with one value by itself; null: nothing that can be told here. */
export function complaintOf(field: Field, value: Json): string | null {
  if (value === null) return field.isNullable ? null : VALID[field.kind];
  switch (field.kind) {
    case "integer":
      return typeof value === "number" && Number.isInteger(value) ? numberComplaint(field.bounds, value) : VALID.integer;
    case "number":
      return typeof value === "number" ? numberComplaint(field.bounds, value) : VALID.number;
    case "boolean":
      return typeof value === "boolean" ? null : VALID.boolean;
    case "text":
      return typeof value === "string" ? textComplaint(field.bounds, value) : VALID.text;
    case "choice":
      return field.choices.includes(value) ? null : listed(field.choices);
    case "list":
    case "components":
      return Array.isArray(value) ? listComplaint(field.bounds, value.length) : VALID.list;
    default:
      return null;
  }
}

const VALID: Readonly<Record<Field["kind"], string>> = {
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  text: "text",
  choice: "one of the choices",
  list: "a list",
  components: "a list",
  group: "an object",
  component: "a name, or an object with a `name`",
  free: "an object",
};

/** Return everything that is wrong with an object that was given, by its fields; what is left out is right unless required. */
export function complaintsOf(fields: readonly Field[], given: Json | undefined, prefix = ""): readonly Complaint[] {
  const object = isObject(given) ? given : {};
  const found: Complaint[] = [];
  for (const field of fields) {
    const path = prefix ? `${prefix}.${field.name}` : field.path;
    const value = object[field.name];
    if (value === undefined) {
      if (field.isRequired) found.push({ field: path, allowed: "a value: this field is required" });
      continue;
    }
    found.push(...below(field, value, path));
  }
  for (const name of Object.keys(object)) {
    if (fields.some((field) => field.name === name)) continue;
    const path = prefix ? `${prefix}.${name}` : [parentOf(fields), name].filter(Boolean).join(".");
    found.push({ field: path, allowed: "nothing: there is no such field" });
  }
  return found;
}

function parentOf(fields: readonly Field[]): string {
  return fields[0]?.path.split(".").slice(0, -1).join(".") ?? "";
}

function below(field: Field, value: Json, path: string): readonly Complaint[] {
  const own = complaintOf(field, value);
  if (own !== null) return [{ field: path, allowed: own }];
  if (field.kind === "group" && value !== null) {
    if (!isObject(value)) return [{ field: path, allowed: VALID.group }];
    return complaintsOf(field.fields, value, path);
  }
  const item = field.item;
  if (field.kind === "list" && item && Array.isArray(value)) {
    return value.flatMap((entry: Json, place) => below(item, entry, `${path}.${place}`)).concat(repeats(value, path));
  }
  return [];
}

function repeats(values: readonly Json[], path: string): readonly Complaint[] {
  if (!path.endsWith("seeds")) return [];
  const place = values.findIndex((entry, index) => values.indexOf(entry) !== index);
  if (place < 0) return [];
  const first = values.indexOf(values[place] ?? null);
  return [{ field: path, allowed: `entry ${place} repeats entry ${first}; every entry may be given once` }];
}

/** Return the field that a complaint is shown at: the one of that path, or the nearest that holds it; null where none does. */
export function placeOf(field: string, shown: ReadonlySet<string>): string | null {
  const parts = field.split(".");
  for (let end = parts.length; end > 0; end -= 1) {
    const path = parts.slice(0, end).join(".");
    if (shown.has(path)) return path;
    if (shown.has(`${path}.name`)) return `${path}.name`;
  }
  return null;
}

/** Put complaints to the fields that are shown; what has no place is told above the form. */
export function placed(
  complaints: readonly Complaint[],
  shown: ReadonlySet<string>,
): { readonly at: ReadonlyMap<string, readonly string[]>; readonly elsewhere: readonly Complaint[] } {
  const at = new Map<string, string[]>();
  const elsewhere: Complaint[] = [];
  for (const complaint of complaints) {
    const place = placeOf(complaint.field, shown);
    if (place === null) {
      elsewhere.push(complaint);
      continue;
    }
    const words = at.get(place) ?? [];
    const rest = complaint.field.slice(place.replace(/\.name$/, "").length + 1);
    const isEntry = /^\d+$/.test(rest);
    const text = isEntry ? `entry ${rest}: ${complaint.allowed}` : complaint.allowed;
    if (!words.includes(text)) at.set(place, [...words, text]);
  }
  return { at, elsewhere };
}
