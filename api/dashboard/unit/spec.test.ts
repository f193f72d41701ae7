import { describe, expect, it } from "vitest";
import { cliLine, specOfCli } from "../src/state/cli-line";
import { complaintsOf, placed } from "../src/state/complaints";
import { isSame, type JsonObject, valueAt, withValue } from "../src/state/json";
import { pythonLines, specOfPython } from "../src/state/python-line";
import { fieldsOf } from "../src/state/schema";
import { quoted, wordsOf } from "../src/state/shell-words";
import { pruned, type SpecSchema } from "../src/state/spec";
import searchSpec from "./given/search-spec.json";

const ODD = [
  "",
  "it's",
  '"quoted"',
  "a b",
  "$HOME `x` \\",
  "line\nline",
  "😀 \u200fرة",
  "3",
  "true",
  "null",
  "NaN",
  "1e999",
  "--seed",
  "a=b",
  "#",
];

const SETTINGS = fieldsOf({
  properties: { channels: { type: "integer", minimum: 2, default: 16 }, planes: { type: "integer", default: 4 } },
});
const entry = (name: string) => ({
  name,
  summary: "",
  reference: "",
  fields: SETTINGS,
  presets: [],
  inert: [],
  figures: "",
  needsOwn: false,
});
const SCHEMA: SpecSchema = {
  fields: fieldsOf(searchSpec as unknown as JsonObject),
  catalogue: {
    space: [entry("abandit-general"), entry("tiny")],
    dataset: [],
    method: [entry("bnn"), entry("mcn")],
    strategy: [entry("abandit")],
  },
};

const SPECS: readonly JsonObject[] = [
  { space: "tiny", training: { methods: ["bnn"], seeds: [1, 2, 3], top_k: 2, controls: 4 } },
  {},
  { space: "tiny", seed: 3, wave: 2, name: "it's" },
  { training: { methods: ["bnn", "xnor-net"], recipe: { epochs: 3 } } },
  { training: { methods: ["bnn"], early_stopping: {}, robustness: { eps: 0.1, images: null } } },
  { space: { name: "tiny", settings: { channels: 8, operations: ["skip", "conv3"] } }, evaluation: { adversarial: {} } },
  {
    training: {
      methods: [{ name: "mcn", settings: { planes: 2 }, recipe: { preset: "paper", epochs: 2 } }, "bnn"],
      seeds: [0, 1],
    },
  },
  { strategy: { name: "abandit", settings: { "odd.key": 1, "a=b": [] } } },
  { evaluation: { learning_rate: 5e-7 }, resources: { gpus_per_worker: 0.5 } },
  ...ODD.map((name) => ({ name, dataset: { name: "x", settings: { path: name } } })),
];

describe("lines", () => {
  it.each(SPECS.map((spec) => [JSON.stringify(spec), spec] as const))("of a command say %s", (_, spec) => {
    expect(pruned(specOfCli(cliLine(spec)), SCHEMA)).toEqual(pruned(spec, SCHEMA));
  });

  it.each(SPECS.map((spec) => [JSON.stringify(spec), spec] as const))("of Python say %s", (_, spec) => {
    expect(specOfPython(pythonLines(spec, "http://127.0.0.1:8000"))).toEqual(spec);
  });

  it("use the short options", () => {
    const spec = { space: "tiny", seed: 1, training: { methods: ["bnn"], recipe: { epochs: 2 } } };
    expect(cliLine(spec)).toBe("nas search submit --space tiny --seed 1 --epochs 2 --train bnn");
  });

  it("are read with other quotes, equals signs and lines that go on", () => {
    const line = `NAS_URL=http://x nas search submit --space=tiny \\\n  --set "name=a \\"b\\"" --set recipe.x='1' --dry-run`;
    expect(specOfCli(line)).toEqual({ space: "tiny", name: 'a "b"', recipe: { x: 1 } });
  });

  it("of a robust search are what the command makes of them", () => {
    expect(specOfCli("nas search submit --train bnn --adversarial --eps 0.1")).toEqual({
      training: { methods: ["bnn"], recipe: { adversarial: { attack: "pgd", eps: 0.1 } }, robustness: { eps: 0.1 } },
      evaluation: { adversarial: { eps: 0.1 } },
    });
  });

  it.each([
    ["ls", "nas search submit"],
    ["nas search submit --spaec tiny", "--spaec"],
    ["nas search submit --seed x", "whole number"],
    ["nas search submit --set x", "path=value"],
    ["nas search submit 'x", "not closed"],
    ["nas search submit --spec f.json", "cannot read"],
    ["nas search submit --seed", "needs a value"],
    ["nas search submit --eps 1", "--adversarial"],
    ["nas search submit --seed 1 --set seed.x=1", "no object"],
  ])("that mean nothing say why: %s", (line, why) => {
    expect(() => specOfCli(line)).toThrow(why);
  });

  it("of Python are read with comments, tuples, both quotes and escapes", () => {
    const text =
      "job = client.submit_search({'a': (1, 2_000,), # why\n \"b\": [None, True, -1.5e-3,], 'c': 'x' \"\\u00e9\\n\",})";
    expect(specOfPython(text)).toEqual({ a: [1, 2000], b: [null, true, -0.0015], c: "xé\n" });
    expect(() => specOfPython("submit_search({'a': open('x')})")).toThrow("a value is wanted");
    expect(() => specOfPython("submit_search([1])")).toThrow("dict");
  });

  it("quote words as a shell reads them", () => {
    expect(wordsOf(ODD.map(quoted).join(" "))).toEqual(ODD);
  });
});

describe("a spec", () => {
  it("loses what says the default", () => {
    const given = {
      space: { name: "tiny", settings: { channels: 16 } },
      dataset: { name: "digits", settings: {} },
      seed: 0,
      evaluation: { epochs: 1, adversarial: null },
      training: null,
    };
    expect(pruned(given, SCHEMA)).toEqual({ space: "tiny" });
  });

  it("keeps an optional part that has only defaults", () => {
    const given = {
      training: { methods: [{ name: "bnn", settings: {}, recipe: {} }], robustness: { restarts: 3 }, recipe: { epochs: 30 } },
    };
    expect(pruned(given, SCHEMA)).toEqual({ training: { methods: ["bnn"], robustness: {} } });
  });

  it("says the default method where it was chosen and a training follows, and none where nobody chose", () => {
    const open = { space: "tiny", strategy: "screen-and-train", training: { methods: ["bnn"] } };
    expect(pruned(open, SCHEMA)).toEqual(open);
    const chosen = { ...open, method: "xnor-net" };
    expect(pruned(chosen, SCHEMA)).toEqual(chosen);
    expect(pruned({ ...open, method: { name: "xnor-net", settings: {} } }, SCHEMA)).toEqual(chosen);
    expect(pruned({ space: "tiny", method: "xnor-net" }, SCHEMA)).toEqual({ space: "tiny" });
  });

  it("is changed at a path", () => {
    expect(withValue({ space: "tiny" }, "space.settings.channels", 8)).toEqual({
      space: { name: "tiny", settings: { channels: 8 } },
    });
    expect(withValue({ a: [{ b: 1 }] }, "a.0.b", undefined)).toEqual({ a: [{}] });
    expect(valueAt({ a: [{ b: 1 }] }, "a.0.b")).toBe(1);
    expect(isSame({ a: 1, b: [2] }, { b: [2], a: 1 })).toBe(true);
  });
});

describe("complaints", () => {
  it("are the service's words, at the field", () => {
    const given = {
      name: "x".repeat(201),
      wave: 0,
      seed: "1",
      evaluation: { train_fraction: 0, optimizer: "adamw", batch_size: 1.5 },
      resources: { gpus_per_worker: 17 },
      training: { methods: [], seeds: [0, 0, -1] },
      nothing: 1,
    };
    expect(Object.fromEntries(complaintsOf(SCHEMA.fields, given).map((entry) => [entry.field, entry.allowed]))).toEqual({
      name: "at most 200 characters",
      wave: "greater than or equal to 1",
      seed: "a whole number",
      "evaluation.train_fraction": "greater than 0",
      "evaluation.optimizer": "'adam' or 'sgd'",
      "evaluation.batch_size": "a whole number",
      "resources.gpus_per_worker": "less than or equal to 16",
      "training.methods": "at least 1 entry, not 0",
      "training.seeds.2": "greater than or equal to 0",
      "training.seeds": "entry 1 repeats entry 0; every entry may be given once",
      nothing: "nothing: there is no such field",
    });
  });

  it("go to the nearest field that is shown", () => {
    const shown = new Set(["space.name", "space.settings.channels", "training.seeds"]);
    const { at, elsewhere } = placed(
      [
        { field: "space.settings.channels", allowed: "a" },
        { field: "training.seeds.1", allowed: "b" },
        { field: "space", allowed: "c" },
        { field: "body", allowed: "d" },
      ],
      shown,
    );
    expect([...at]).toEqual([
      ["space.settings.channels", ["a"]],
      ["training.seeds", ["entry 1: b"]],
      ["space.name", ["c"]],
    ]);
    expect(elsewhere).toEqual([{ field: "body", allowed: "d" }]);
  });
});
