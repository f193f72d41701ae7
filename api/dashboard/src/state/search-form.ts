import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type Complaint, complaintsOf, placed } from "./complaints";
import { isObject, isSame, type Json, type JsonObject, valueAt, withValue } from "./json";
import { type Field, inherited } from "./schema";
import { nameOf, pruned, type SpecSchema, shelfOf } from "./spec";

const STORE = "nas-new-search";

/** Faults that the service told of a spec. */
export interface Told {
  readonly spec: JsonObject;
  readonly complaints: readonly Complaint[];
}

/** A spec that is being written: by fields, as JSON, as a command or as Python, all of one state. */
export class SearchForm {
  readonly schema: SpecSchema;
  readonly #spec = signal<JsonObject>({});
  readonly #told = signal<Told | null>(null);
  readonly #shown = signal<ReadonlySet<string>>(new Set());
  readonly #from: string;
  readonly #first: JsonObject;
  #key = freshKey();
  /** What is submitted: only what differs from the defaults. */
  readonly spec: ReadonlySignal<JsonObject>;
  /** Whether something was written since the form began. */
  readonly isChanged: ReadonlySignal<boolean>;
  /** What is wrong, at the fields that are shown, and what has no field. */
  readonly faults: ReadonlySignal<ReturnType<typeof placed>>;
  /** What is wrong as far as it can be told without the service. */
  readonly own: ReadonlySignal<readonly Complaint[]>;

  constructor(schema: SpecSchema, from: string, first: JsonObject) {
    this.schema = schema;
    this.#from = from;
    this.#first = first;
    this.#spec.value = stored(from) ?? first;
    this.spec = computed(() => pruned(this.#spec.value, schema));
    this.isChanged = computed(() => !isSame(this.spec.value, pruned(first, schema)));
    this.own = computed(() => specComplaints(schema, this.#spec.value));
    this.faults = computed(() => placed(this.#complaints(), this.#shown.value));
  }

  /** Of the request: the same as long as the spec is. */
  get key(): string {
    return this.#key;
  }

  value(path: string): Json | undefined {
    return valueAt(this.#spec.value, path);
  }

  /** Put a value at a path; undefined, or what is the default anyway, takes it out. */
  set(path: string, value: Json | undefined): void {
    this.replace(withValue(this.#spec.peek(), path, value) as JsonObject);
  }

  replace(spec: JsonObject): void {
    if (isSame(spec, this.#spec.peek())) return;
    this.#spec.value = spec;
    this.#key = freshKey();
    try {
      sessionStorage.setItem(STORE, JSON.stringify({ from: this.#from, spec }));
    } catch {
      // a browser that keeps nothing forgets the form when it is closed
    }
  }

  /** Begin again: what was written is gone. */
  reset(): void {
    this.replace(this.#first);
    this.tell(null);
    this.forget();
  }

  tell(told: Told | null): void {
    this.#told.value = told;
  }

  show(path: string): () => void {
    this.#shown.value = new Set([...this.#shown.peek(), path]);
    return () => {
      this.#shown.value = new Set([...this.#shown.peek()].filter((entry) => entry !== path));
    };
  }

  forget(): void {
    try {
      sessionStorage.removeItem(STORE);
    } catch {
      // nothing was kept
    }
  }

  /** The service's words where it has judged this spec, and ours where it has not, or has not yet. */
  #complaints(): readonly Complaint[] {
    const told = this.#told.value;
    const theirs = told && isSame(told.spec, this.spec.value) ? told.complaints : [];
    const known = new Set(theirs.map((entry) => entry.field));
    return [...theirs, ...this.own.value.filter((entry) => !known.has(entry.field))];
  }
}

function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function stored(from: string): JsonObject | null {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
    return isObject(kept) && kept.from === from && isObject(kept.spec) ? kept.spec : null;
  } catch {
    return null;
  }
}

/** Return all that is wrong with a spec and can be told without the service. */
export function specComplaints(schema: SpecSchema, spec: JsonObject): readonly Complaint[] {
  const components = schema.fields.filter((field) => field.kind === "component");
  const found = complaintsOf(schema.fields, spec).concat(
    components.flatMap((field) => settingsComplaints(schema, field, spec[field.name], field.path)),
  );
  const methods = valueAt(spec, "training.methods");
  const training = schema.fields.find((field) => field.name === "training");
  const item = training?.fields.find((field) => field.name === "methods")?.item;
  const recipe = training?.fields.find((field) => field.name === "recipe");
  if (!Array.isArray(methods) || !item) return found;
  return found.concat(
    methods.flatMap((method: Json, place) => {
      const path = `training.methods.${place}`;
      const own = isObject(method) ? method.recipe : undefined;
      const fields = recipe ? inherited(recipe.fields, `${path}.recipe`) : [];
      const rest = isObject(own) ? Object.fromEntries(Object.entries(own).filter(([name]) => name !== "preset")) : undefined;
      return [...settingsComplaints(schema, item, method, path), ...complaintsOf(fields, rest, `${path}.recipe`)];
    }),
  );
}

function settingsComplaints(schema: SpecSchema, field: Field, given: Json | undefined, path: string): readonly Complaint[] {
  const name = nameOf(given, field.default);
  const entry = schema.catalogue[shelfOf(field)].find((one) => one.name === name);
  if (!entry) return [];
  const settings = isObject(given) ? given.settings : undefined;
  return complaintsOf(entry.fields, settings, `${path}.settings`);
}
