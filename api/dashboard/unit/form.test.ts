import { describe, expect, it } from "vitest";
import type { JsonObject } from "../src/state/json";
import { fieldsOf } from "../src/state/schema";
import { SearchForm } from "../src/state/search-form";
import searchSpec from "./given/search-spec.json";

const SCHEMA = {
  fields: fieldsOf(searchSpec as unknown as JsonObject),
  catalogue: { space: [], dataset: [], method: [], strategy: [] },
};

describe("a form", () => {
  it("begins again with what it began with, and with another key", () => {
    const first = { strategy: "screen-and-train" };
    const form = new SearchForm(SCHEMA, "", first);
    expect(form.isChanged.value).toBe(false);
    form.set("space", "tiny");
    form.tell({ spec: form.spec.value, complaints: [{ field: "body", allowed: "something else" }] });
    const { key } = form;
    expect(form.isChanged.value).toBe(true);
    expect(form.faults.value.elsewhere).toHaveLength(1);
    form.reset();
    expect(form.spec.value).toEqual(first);
    expect(form.isChanged.value).toBe(false);
    expect(form.faults.value.elsewhere).toHaveLength(0);
    expect(form.key).not.toBe(key);
  });

  it("is not changed by what is the default anyway", () => {
    const form = new SearchForm(SCHEMA, "", {});
    form.set("seed", 0);
    expect(form.isChanged.value).toBe(false);
  });
});
