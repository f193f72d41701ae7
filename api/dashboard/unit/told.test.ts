import { describe, expect, it } from "vitest";
import { rowsWithToldSince } from "../src/state/told";

const row = (id: string, state = "queued", waits = "", name = id) => ({ id, name, state, waits });

describe("a list that was under way", () => {
  const asked = [row("a"), row("b")];
  const reply = [row("new"), row("a", "queued", "", "renamed"), row("b", "succeeded")];

  it("takes back nothing that a stream told meanwhile", () => {
    const now = [row("a", "running", "2 CPUs"), asked[1] ?? row("b")];
    expect(rowsWithToldSince(reply, asked, now, ["state", "waits"])).toEqual([
      row("new"),
      row("a", "running", "2 CPUs", "renamed"),
      row("b", "succeeded"),
    ]);
  });

  it("is taken as it is where nothing was told", () => {
    expect(rowsWithToldSince(reply, asked, asked, ["state", "waits"])).toEqual(reply);
    expect(rowsWithToldSince(reply, [], [], ["state", "waits"])).toEqual(reply);
  });
});
