import { isObject, type Json, type JsonObject } from "./json";

/** What a field holds; `group` has fields below it, `component` is a name of the catalogue with settings of its own. */
export type Kind = "integer" | "number" | "text" | "boolean" | "choice" | "list" | "group" | "component" | "components" | "free";

/** One field of a form, as a JSON schema describes it. */
export interface Field {
  readonly name: string;
  readonly path: string;
  readonly kind: Kind;
  readonly description: string;
  readonly isNullable: boolean;
  readonly isRequired: boolean;
  /** Undefined where the schema has none, or where what is left out is decided elsewhere. */
  readonly default: Json | undefined;
  readonly choices: readonly Json[];
  readonly bounds: Bounds;
  /** Of a list. */
  readonly item: Field | null;
  /** Of a group. */
  readonly fields: readonly Field[];
}

export interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
}

const NUMBERS = [
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
] as const;
const COMPONENTS: Readonly<Record<string, Kind>> = { Component: "component", MethodChoice: "component" };

function boundsOf(schema: JsonObject): Bounds {
  const found: Record<string, number | string> = {};
  for (const name of NUMBERS) if (typeof schema[name] === "number") found[name] = schema[name];
  if (typeof schema.pattern === "string") found.pattern = schema.pattern;
  return found as Bounds;
}

/** Schemas that others point to by name: `#/$defs/X` of a schema by itself, `#/components/schemas/X` of an OpenAPI document. */
export type Definitions = JsonObject;

interface Resolved {
  readonly schema: JsonObject;
  readonly isNullable: boolean;
  readonly reference: string;
}

function resolve(given: JsonObject, definitions: Definitions): Resolved {
  const several = Array.isArray(given.anyOf) ? (given.anyOf as readonly Json[]).filter(isObject) : [];
  const isNullable = several.some((entry) => entry.type === "null");
  const real = several.find((entry) => entry.type !== "null");
  let schema: JsonObject = real ? { ...real, ...without(given, "anyOf") } : given;
  let reference = "";
  const named = typeof schema.$ref === "string" ? schema.$ref : singleReference(schema);
  if (named) {
    reference = named.split("/").at(-1) ?? "";
    const target = definitions[reference];
    if (isObject(target)) schema = { ...target, ...without(without(schema, "$ref"), "allOf") };
  }
  return { schema, isNullable, reference };
}

function singleReference(schema: JsonObject): string {
  const all = Array.isArray(schema.allOf) ? (schema.allOf as readonly Json[]).filter(isObject) : [];
  const named = all.length === 1 ? all[0]?.$ref : undefined;
  return typeof named === "string" ? named : "";
}

function without(object: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([name]) => name !== key));
}

function kindOf(schema: JsonObject, reference: string): Kind {
  const named = COMPONENTS[reference];
  if (named) return named;
  if (Array.isArray(schema.enum) || schema.const !== undefined) return "choice";
  if (schema.type === "integer" || schema.type === "number" || schema.type === "boolean") return schema.type;
  if (schema.type === "string") return "text";
  if (schema.type === "array") return "list";
  return isObject(schema.properties) ? "group" : "free";
}

function fieldOf(given: JsonObject, place: { name: string; path: string; isRequired: boolean }, definitions: Definitions): Field {
  const { schema, isNullable, reference } = resolve(given, definitions);
  const kind = kindOf(schema, reference);
  const item = kind === "list" ? itemOf(schema, place.path, definitions) : null;
  return {
    ...place,
    kind: item?.kind === "component" ? "components" : kind,
    description: typeof given.description === "string" ? given.description : "",
    isNullable,
    default: Object.hasOwn(given, "default") ? given.default : undefined,
    choices: Array.isArray(schema.enum) ? schema.enum : schema.const !== undefined ? [schema.const] : [],
    bounds: boundsOf(schema),
    item,
    fields: kind === "group" ? fieldsOf(schema, definitions, place.path) : [],
  };
}

function itemOf(schema: JsonObject, path: string, definitions: Definitions): Field | null {
  return isObject(schema.items)
    ? fieldOf(schema.items, { name: "item", path: `${path}.*`, isRequired: true }, definitions)
    : null;
}

/** Return the fields of an object's schema, in its order; `prefix` is the path of the object. */
export function fieldsOf(schema: JsonObject, definitions?: Definitions, prefix = ""): readonly Field[] {
  const known = definitions ?? (isObject(schema.$defs) ? schema.$defs : {});
  const properties = isObject(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  return Object.entries(properties).flatMap(([name, given]) => {
    if (!isObject(given)) return [];
    const path = prefix ? `${prefix}.${name}` : name;
    return [fieldOf(given, { name, path, isRequired: required.includes(name) }, known)];
  });
}

/** Return the same fields at another place, with nothing said of what is left out: that is decided where they come from. */
export function inherited(fields: readonly Field[], prefix: string): readonly Field[] {
  return fields.map((field) => {
    const path = `${prefix}.${field.name}`;
    return {
      ...field,
      path,
      isRequired: false,
      default: undefined,
      fields: field.kind === "group" ? inherited(field.fields, path) : [],
    };
  });
}

/** Return a field's name as words: `gpus_per_trial` is "GPUs per trial". */
export function label(name: string): string {
  const words = name.split("_").map((word) => ACRONYMS[word] ?? word);
  const [first = "", ...rest] = words;
  return [first.charAt(0).toUpperCase() + first.slice(1), ...rest].join(" ");
}

const ACRONYMS: Readonly<Record<string, string>> = {
  gpus: "GPUs",
  cpus: "CPUs",
  cuda: "CUDA",
  ema: "EMA",
  lr: "learning rate",
  ops: "OPs",
  binary: "1-bit",
  float: "32-bit",
};
