import { describe, expect, it } from "vitest";
import { areOwnersTold } from "../src/state/owners";

describe("whose jobs are", () => {
  it("is said where there are several owners, nobody being one of them", () => {
    expect(areOwnersTold([], null)).toBe(false);
    expect(areOwnersTold([{ owner: "ada" }, { owner: "ada" }], null)).toBe(false);
    expect(areOwnersTold([{ owner: null }, { owner: null }], null)).toBe(false);
    expect(areOwnersTold([{ owner: "ada" }, { owner: null }], null)).toBe(true);
    expect(areOwnersTold([{ owner: "ada" }, { owner: "bob" }], null)).toBe(true);
  });

  it("is said where somebody else than who looks is the owner", () => {
    expect(areOwnersTold([{ owner: "ada" }], "ada")).toBe(false);
    expect(areOwnersTold([{ owner: "bob" }], "ada")).toBe(true);
    expect(areOwnersTold([{ owner: null }], "ada")).toBe(false);
    expect(areOwnersTold([], "ada")).toBe(false);
  });
});
