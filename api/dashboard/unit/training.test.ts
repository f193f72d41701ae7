import { describe, expect, it } from "vitest";
import { chanceWords, paidWords } from "../src/pages/training/ChancePart";
import { decimals, domain, linear, logarithmic, logTicks, niceTicks, spaced } from "../src/pictures/axis";
import { foretoldWords, layOutCorrelation } from "../src/pictures/correlation";
import { csvOf } from "../src/pictures/csv";
import { bandPaths, bandsOf, spreadOf } from "../src/pictures/curves";
import { gridOf, seedDots, seedRange } from "../src/pictures/matrix";
import { layOutPareto, membersOf } from "../src/pictures/pareto";
import { timelineOf } from "../src/pictures/timeline";
import { withToldSince } from "../src/state/told";
import {
  type Candidate,
  type Comparison,
  type ControlLine,
  type Curve,
  isLit,
  namesIn,
  namesOf,
  type Pair,
} from "../src/state/training-data";
import { CANDIDATE_TOLD, type TrainingData, withTold } from "../src/state/training-events";

function pair(method: string, architecture: string, change: Partial<Pair> = {}): Pair {
  return {
    method,
    architecture,
    search_id: "s",
    architecture_rank: 1,
    architecture_score: 0.5,
    control: null,
    seeds: 1,
    runs: [{ candidate: "c", seed: 0, test_accuracy: 0.5, validation_accuracy: 0.5, attacked: null }],
    test_mean: 0.5,
    test_spread: null,
    attacked_mean: null,
    attacked_spread: null,
    balanced_mean: null,
    worst_class: null,
    worst_class_mean: null,
    eps: null,
    rank: 1,
    ops: 1e6,
    packed_bytes: 1000,
    ...change,
  };
}

function candidate(id: string, change: Partial<Candidate> = {}): Candidate {
  return {
    id,
    architecture_id: "a",
    method_label: "bnn",
    seed: 0,
    state: "waiting",
    epochs_done: 0,
    validation_accuracy: null,
    test_accuracy: null,
    metrics: null,
    seconds: 0,
    worker: null,
    error: null,
    started_at: null,
    finished_at: null,
    ...change,
  };
}

function curve(id: string, seed: number, values: readonly (number | null)[], epoch = values.map((_, place) => place)): Curve {
  return { candidate: id, architecture: "a", method: "bnn", seed, epochs_total: 5, epoch, columns: { x: values } };
}

describe("axes", () => {
  it("have round ticks within their ends", () => {
    expect(niceTicks(0.02, 0.98, 5)).toEqual([0.2, 0.4, 0.6, 0.8]);
    expect(niceTicks(3, 3, 5)).toEqual([3]);
    expect(logTicks(1e6, 4e6)).toEqual([1e6, 2e6]);
    expect(logTicks(1, 1e5)).toEqual([1, 10, 100, 1000, 1e4, 1e5]);
  });

  it("show equal values in the middle", () => {
    expect(linear(domain([0.5, 0.5], 0.1), [0, 100]).at(0.5)).toBeCloseTo(50);
    expect(logarithmic([1000, 1000], [0, 100]).at(1000)).toBeCloseTo(50);
  });

  it("leave out words that would lie on each other", () => {
    expect(spaced({ at: (value) => value, ticks: [0, 5, 10, 20] }, 10)).toEqual([0, 10, 20]);
  });
});

describe("the front", () => {
  const pairs = [
    pair("bnn", "a", { ops: 1e6, test_mean: 0.6, attacked_mean: 0.2 }),
    pair("bnn", "b", { ops: 2e6, test_mean: 0.55 }),
    pair("recu", "b", { ops: 3e6, test_mean: 0.7 }),
  ];
  const fronts = [
    {
      accuracy: "clean" as const,
      cost: "ops" as const,
      attack: null,
      members: [
        ["bnn", "a"],
        ["recu", "b"],
      ],
      left_out: [],
    },
    { accuracy: "clean" as const, cost: "packed_bytes" as const, attack: null, members: [["bnn", "b"]], left_out: [] },
  ];

  it("is that of the service for the cost that is shown", () => {
    expect([...membersOf(fronts, "packed_bytes").clean]).toEqual(['["bnn","b"]']);
    const layout = layOutPareto(pairs, [], fronts, "ops", 500, 300);
    expect(layout?.points.map((point) => [point.kind, point.pair.method, point.isFront])).toEqual([
      ["clean", "bnn", true],
      ["attacked", "bnn", false],
      ["clean", "bnn", false],
      ["clean", "recu", true],
    ]);
    expect(layout?.fronts).toHaveLength(1);
    expect(layout?.fronts[0]?.path).toMatch(/^M[\d. ]+H[\d.]+V[\d.]+H486$/);
  });

  it("has the hand-made networks that pairs stand beside, each once a method", () => {
    const line = { method: "bnn", network: "resnet-20(channels=8)", training: "t", seeds: 3, test_mean: 0.4 };
    const beside = { ...line, gain: 0.1, gain_error: null, ops_ratio: 0.5, bytes_ratio: 2 };
    const lines = [
      { ...beside, architecture: "a" },
      { ...beside, architecture: "b" },
      { ...beside, architecture: "gone", network: "vgg-small" },
    ];
    const layout = layOutPareto(pairs, lines, fronts, "packed_bytes", 500, 300);
    expect(layout?.handMade.map((point) => [point.network, point.accuracy])).toEqual([["resnet-20(channels=8)", 0.4]]);
    const [square] = layOutPareto(pairs, lines.slice(0, 1), fronts, "ops", 500, 300)?.handMade ?? [];
    expect(square?.cost).toBe((pairs.find((one) => one.architecture === "a")?.ops ?? 0) * 2);
  });

  it("needs a point", () => {
    expect(layOutPareto([], [], fronts, "ops", 500, 300)).toBeNull();
    expect(layOutPareto([pair("bnn", "a", { ops: 0 })], [], fronts, "ops", 500, 300)).toBeNull();
  });
});

describe("curves", () => {
  it("are means over the seeds that got so far; one seed has no spread", () => {
    const [band] = bandsOf([curve("c", 0, [0.1, 0.3, 0.5]), curve("d", 1, [0.3, null])], "x");
    expect(band).toMatchObject({ seeds: 2, epoch: [0, 1, 2], count: [2, 1, 1] });
    expect(band?.mean[0]).toBeCloseTo(0.2);
    expect(band?.spread[0]).toBeCloseTo(Math.SQRT2 / 10);
    expect(band?.spread.slice(1)).toEqual([null, null]);
    const same = { at: (value: number) => value };
    expect(band && bandPaths(band, same, same).area).toBe("");
  });

  it("have the spread of a sample", () => {
    expect(spreadOf([2])).toBeNull();
    expect(spreadOf([1, 2, 3])).toBe(1);
  });
});

describe("the matrix", () => {
  it("has a row a method and a place for what is not there yet", () => {
    const names = namesOf(["bnn", "recu"], ["a", "b"], new Map());
    const grid = gridOf([pair("recu", "a")], names);
    expect(grid.rows.map((row) => grid.columns.map((column) => grid.at(row, column) !== null))).toEqual([
      [false, false],
      [true, false],
    ]);
    expect([grid.finished("a"), grid.finished("b"), grid.isTurned, grid.isDense]).toEqual([1, 0, false, false]);
  });

  it("has a row an architecture where these are many and methods fewer, so that nothing is cut", () => {
    const many = [..."abcdefghi"];
    const grid = gridOf([pair("recu", "i")], namesOf(["bnn", "recu"], many, new Map()));
    expect([grid.isTurned, grid.isDense, grid.rows, grid.columns]).toEqual([true, false, many, ["bnn", "recu"]]);
    expect(grid.at("i", "recu")?.method).toBe("recu");
    expect(grid.at("i", "bnn")).toBeNull();
    const both = gridOf([], namesOf([..."12345678901"], many, new Map()));
    expect([both.isTurned, both.isDense]).toEqual([false, true]);
  });

  it("puts seeds on one scale", () => {
    const run = (test_accuracy: number) => ({ candidate: "c", seed: 0, test_accuracy, validation_accuracy: 0, attacked: null });
    const pairs = [pair("bnn", "a", { runs: [run(0), run(0.5)] }), pair("recu", "a", { runs: [run(1)] })];
    expect(pairs.map((one) => seedDots(one, seedRange(pairs), 108))).toEqual([[4, 54], [104]]);
  });
});

describe("the timeline", () => {
  it("puts what runs at one time into rows, attacks at the end, and waiting ones aside", () => {
    const at = (second: number) => new Date(1e12 + 1000 * second).toISOString();
    const { lanes, seconds, waiting } = timelineOf(
      [
        candidate("1", { worker: "w", started_at: at(0), finished_at: at(10), attack_seconds: 4 }),
        candidate("2", { worker: "w", started_at: at(5) }),
        candidate("3", { worker: "w", started_at: at(12), finished_at: at(13) }),
        candidate("4"),
      ],
      1e12 + 20_000,
    );
    expect(lanes).toHaveLength(1);
    expect(lanes[0]?.rows).toBe(2);
    expect(lanes[0]?.bars.map((bar) => [bar.candidate.id, bar.row, bar.trained, bar.end, bar.isOver])).toEqual([
      ["1", 0, 6, 10, true],
      ["2", 1, 20, 20, false],
      ["3", 0, 13, 13, true],
    ]);
    expect([seconds, waiting]).toEqual([20, 1]);
  });
});

describe("what a stream tells", () => {
  const data: TrainingData = {
    job: {
      id: "t",
      name: "",
      state: "running",
      error: null,
      parent_id: null,
      created_at: "",
      started_at: null,
      finished_at: null,
      progress: null,
    },
    candidates: [candidate("c")],
    comparison: {
      pairs: [],
      methods: [],
      controls: [],
      hand_made: [],
      under_way: [],
      networks: [],
      pareto: [],
    } satisfies Comparison,
    curves: [curve("c", 0, [0.1])],
    attacks: new Map(),
  };

  it("makes curves grow, and a repeated epoch takes the place of the first", () => {
    const epoch = (number: number, x: number) => ({
      kind: "epoch",
      data: { candidate: "c", epoch: number, epochs: 5, validation_accuracy: x, x },
    });
    const { data: next, stale } = withTold(data, [epoch(1, 0.2), epoch(2, 0.3), epoch(1, 0.25)]);
    expect(next.curves[0]).toMatchObject({ epoch: [0, 1], columns: { x: [0.1, 0.25] } });
    expect(next.candidates[0]).toMatchObject({ epochs_done: 2, epochs_total: 5, validation_accuracy: 0.25 });
    expect(stale).toEqual({ candidates: new Set(), comparison: false, job: false });
  });

  it("asks again for what only the service knows", () => {
    const { data: next, stale } = withTold(data, [
      { kind: "attack", data: { candidate: "c", attack: "fgsm", accuracy: 0.4 } },
      { kind: "candidate", data: { candidate: "c", state: "succeeded" } },
      { kind: "progress", data: { state: "running", progress: { epochs: 3 } } },
      { kind: "unheard", data: null },
    ]);
    expect(stale).toEqual({ candidates: new Set(["c"]), comparison: true, job: false });
    expect(next.attacks.get("c")).toEqual([{ attack: "fgsm", accuracy: 0.4 }]);
    expect(next.job.progress).toEqual({ epochs: 3 });
  });
});

describe("a reply", () => {
  const asked = candidate("c");
  const reply = candidate("c", { state: "training", worker: "w", started_at: "now" });

  it("is taken as it is where nothing was told meanwhile", () => {
    expect(withToldSince(reply, asked, asked, CANDIDATE_TOLD)).toBe(reply);
    expect(withToldSince(reply, asked, null, CANDIDATE_TOLD)).toBe(reply);
  });

  it("takes back nothing that was told meanwhile", () => {
    const told = { ...asked, state: "training", epochs_done: 2, validation_accuracy: 0.5 };
    const shown = withToldSince(reply, asked, told, CANDIDATE_TOLD);
    expect(shown).toMatchObject({ state: "training", epochs_done: 2, validation_accuracy: 0.5, started_at: "now" });
  });
});

describe("words", () => {
  it("say why there is no correlation", () => {
    expect(foretoldWords({ method: "m", rho: -0.5, n: 4 })).toBe("ρ \u22120.50, n = 4");
    expect(foretoldWords({ method: "m", rho: null, n: 2 })).toContain("three are needed");
    expect(foretoldWords({ method: "m", rho: null, n: 3 })).toContain("constant");
  });

  it("on the axis of a single score differ, whatever its unit", () => {
    for (const score of [0.941287, -3.5e-5, 0, 71.25, 12345]) {
      const ticks = layOutCorrelation([pair("m", "a", { architecture_score: score })], 500, 300)?.x.ticks ?? [];
      const shown = ticks.map((tick) => tick.toFixed(decimals(ticks)));
      expect(ticks.length).toBeGreaterThan(1);
      expect(new Set(shown).size).toBe(ticks.length);
    }
  });

  it("of a CSV are quoted where they have to be", () => {
    expect(csvOf(["a", "b"], [['x,"y"', null]])).toBe('a,b\r\n"x,""y""",\r\n');
    expect(csvOf(["a", "b"], [["=1+1", -1]])).toBe("a,b\r\n'=1+1,-1\r\n");
  });

  it("light up by method, architecture and candidate", () => {
    const what = { method: "bnn", architecture: "a", candidate: "c" };
    expect(isLit({ method: "", architecture: "", candidate: "" }, what)).toBe(true);
    expect(isLit({ method: "bnn", architecture: "b", candidate: "" }, what)).toBe(false);
    expect(isLit({ method: "bnn", architecture: "a", candidate: "d" }, what)).toBe(false);
  });
});

describe("controls", () => {
  const rows = [
    candidate("1", { architecture_id: "a", control: null }),
    candidate("2", { architecture_id: "u", control: "uniform" }),
    candidate("3", { architecture_id: "u", control: "uniform", seed: 1 }),
    candidate("4", { architecture_id: "v", control: "uniform" }),
    candidate("5", { architecture_id: "l", control: "like-cost" }),
  ];
  const line: ControlLine = {
    method: "bnn",
    search_id: "s",
    architecture: "a",
    test_mean: 0.9,
    test_spread: null,
    seeds: 1,
    uniform: null,
    like_cost: null,
    unlike: 0,
    trainings_paid: 3.9,
    random_best: 0.75,
  };

  it("are numbered by kind, and what was found by rank", () => {
    const names = namesIn(rows, [pair("bnn", "a", { architecture_rank: 3 })]);
    expect(["a", "u", "v", "l"].map(names.number)).toEqual(["#1", "U1", "U2", "L1"]);
    const ranked = ["a", "u", "v", "l"].map((id, place) => pair("bnn", id, { architecture_rank: 3 + place }));
    expect(["a", "u", "v", "l"].map(namesIn(rows, ranked).number)).toEqual(["#3", "U1", "U2", "L1"]);
  });

  it("have no score, and no part in the correlation", () => {
    const drawn = pair("bnn", "u", { architecture_score: null, control: "uniform" });
    expect(layOutCorrelation([drawn], 500, 300)).toBeNull();
    expect(layOutCorrelation([drawn, pair("bnn", "a")], 500, 300)?.points).toHaveLength(1);
  });

  it("say nothing of chance where they are too few", () => {
    expect(chanceWords({ p_value: null })).toBe("too few to tell");
    expect(chanceWords({ p_value: 0.0004 })).toBe("< 0.001");
    expect(chanceWords({ p_value: 0.0213 })).toBe("0.021");
    expect(paidWords(line)).toContain("3 whole trainings; the best of as many random ones is expected at 75.0");
    expect(paidWords({ ...line, random_best: null })).toContain("0 uniform controls cannot tell");
    expect(paidWords({ ...line, trainings_paid: null })).toBeNull();
  });
});
