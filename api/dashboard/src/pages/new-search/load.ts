import { address, getJson, type View } from "../../api/client";
import { isObject, type Json, type JsonObject } from "../../state/json";
import { fieldsOf } from "../../state/schema";
import { type Entry, type Inert, pruned, type SpecSchema } from "../../state/spec";

/** A search of the form's own: the service, asked without a strategy, takes ABanditNAS as published. */
const BEGINNING: JsonObject = { strategy: "screen-and-train" };

/** What the form is made of. */
export interface Loaded {
  readonly schema: SpecSchema;
  /** The spec to begin with: that of the search to do again, or what wins at equal steps where that was measured. */
  readonly first: JsonObject;
}

function entryOf(view: View<"EntryView">): Entry {
  const fields = view.settings_schema ? fieldsOf(view.settings_schema as JsonObject) : [];
  const presets = isObject(view.facts?.presets as Json) ? Object.keys(view.facts?.presets as JsonObject) : [];
  const inert = (view.facts?.inert ?? []) as readonly Inert[];
  const figures = String(view.facts?.figures ?? "");
  const needsOwn = view.facts?.needs_own === true;
  return { name: view.name, summary: view.summary, reference: view.reference ?? "", fields, presets, inert, figures, needsOwn };
}

async function shelf(plural: string, signal: AbortSignal): Promise<readonly Entry[]> {
  const page = await getJson<View<"Page_EntryView_">>(`/v1/${plural}`, signal);
  return page.items.map(entryOf);
}

/** Load what the service can do, and the search to begin from. */
export async function loadForm(from: string, signal: AbortSignal): Promise<Loaded> {
  const [job, spec, space, dataset, method, strategy] = await Promise.all([
    from ? getJson<View<"JobView">>(address("/v1/searches/{id}", { id: from }), signal) : null,
    getJson<JsonObject>("/v1/specs/search", signal),
    shelf("spaces", signal),
    shelf("datasets", signal),
    shelf("methods", signal),
    shelf("strategies", signal),
  ]);
  const schema = { fields: fieldsOf(spec), catalogue: { space, dataset, method, strategy } };
  const first = job ? (job.spec as JsonObject) : BEGINNING;
  return { schema, first: pruned(first, schema) };
}
