import { describe, expect, it } from "vitest";
import { hasSeveralOwners } from "../src/state/owners";

describe("whose jobs are", () => {
  it("is said where there are several owners, nobody being one of them", () => {
    expect(hasSeveralOwners([])).toBe(false);
    expect(hasSeveralOwners([{ owner: "ada" }, { owner: "ada" }])).toBe(false);
    expect(hasSeveralOwners([{ owner: null }, { owner: null }])).toBe(false);
    expect(hasSeveralOwners([{ owner: "ada" }, { owner: null }])).toBe(true);
    expect(hasSeveralOwners([{ owner: "ada" }, { owner: "bob" }])).toBe(true);
  });
});
