import { describe, expect, it } from "vitest";
import type { JsonObject } from "../src/state/json";
import { fieldsOf, label } from "../src/state/schema";
import { ticked } from "../src/state/ticks";
import searchSpec from "./given/search-spec.json";

describe("a list of choices as boxes", () => {
  it("keeps the order of what was ticked, and is left out when nothing is", () => {
    expect(ticked([], "ops", true)).toEqual(["ops"]);
    expect(ticked(["ops"], "packed_bytes", true)).toEqual(["ops", "packed_bytes"]);
    expect(ticked(["ops", "packed_bytes"], "ops", false)).toEqual(["packed_bytes"]);
    expect(ticked(["ops"], "ops", false)).toBeUndefined();
  });

  it("ticks nothing twice", () => {
    expect(ticked(["ops"], "ops", true)).toEqual(["ops"]);
  });

  it("has the costs that a search may trade, two at most, in words", () => {
    const objectives = fieldsOf(searchSpec as unknown as JsonObject).find((field) => field.name === "objectives");
    expect(objectives?.bounds.maxItems).toBe(2);
    expect(objectives?.item?.choices.map((choice) => label(String(choice)))).toEqual([
      "Parameters",
      "1-bit parameters",
      "32-bit parameters",
      "OPs",
      "Packed bytes",
      "Attacked accuracy",
    ]);
  });
});
