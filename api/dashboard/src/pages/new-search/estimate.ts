import type { View } from "../../api/client";
import { label } from "../../state/schema";
import { amount, bytes, count, NONE, plural, seconds } from "../../ui/format";

type Estimate = View<"EstimateView">;
type TrainingEstimate = View<"TrainingEstimateView">;

export interface Line {
  readonly what: string;
  readonly value: string;
  readonly note: string;
}

function time(value: number | null, from: number, what: string, none: string): Line {
  if (value === null) return { what: "time", value: NONE, note: none };
  return { what: "time", value: `~${seconds(value)}`, note: `from ${plural(from, what)} of the same kind that ran here` };
}

function attacks(steps: number): Line {
  return steps > 0
    ? { what: "attacks", value: amount(steps), note: "gradient steps, each on one image" }
    : { what: "attacks", value: "none", note: "" };
}

/** Return what a search will take, as lines for people. */
export function searchLines(estimate: Estimate): readonly Line[] {
  const digits = estimate.genotypes.length;
  const size = digits > 10 ? `about 10^${digits - 1}` : count(Number(estimate.genotypes));
  const traded = estimate.objectives.map(costWords).join(" and ");
  return [
    { what: "method", value: estimate.method, note: "of the samples; costs are counted for it" },
    ...(traded ? [{ what: "objectives", value: `reward and ${traded}`, note: "a Pareto set, in place of one best" }] : []),
    { what: "samples", value: count(estimate.samples), note: `of ${size} architectures` },
    { what: "arms", value: count(estimate.arms), note: "operations to choose from" },
    time(estimate.seconds, estimate.seconds_from, "sample", "no like search yet"),
    { what: "images", value: amount(estimate.images), note: "trained on, all samples together" },
    attacks(estimate.attack_steps),
    { what: "memory", value: bytes(estimate.memory_bytes), note: `in ${plural(estimate.actors, "worker")}; activations on top` },
    { what: "disk", value: bytes(estimate.checkpoint_bytes), note: "while it runs" },
    ...costLines(estimate.costs),
    ...withoutC(estimate.without_c),
  ];
}

const WORDS: { readonly [quantity: string]: string } = { packed_bytes: "size", ops: "OPs" };

function costWords(quantity: string): string {
  return WORDS[quantity] ?? label(quantity).toLowerCase();
}

/** Return what architectures cost: sizes, operations and whatever has a limit; then how many keep the limits. */
function costLines(costs: Estimate["costs"]): readonly Line[] {
  const told = costs.ranges.filter((range) => range.limit !== null || range.quantity in WORDS);
  const lines = told.map((range) => {
    const show = range.quantity.endsWith("bytes") ? bytes : amount;
    const limit = range.limit === null ? "" : `; at most ${count(range.limit)}`;
    return {
      what: costWords(range.quantity),
      value: `${show(range.least)} – ${show(range.most)}`,
      note: `of architectures, median ${show(range.median)}${limit}`,
    };
  });
  if (costs.ranges.every((range) => range.limit === null)) return lines;
  const share = costs.feasible > 0 ? `${amount(Math.floor(10_000 * costs.feasible) / 100)} %` : "rare";
  const note =
    costs.feasible > 0 ? `of ${count(costs.counted)} architectures` : `some are, and none of ${count(costs.counted)} drawn`;
  const beyond = costs.exceeding.map((one) => ({
    what: one.method,
    value: `up to ${count(one.most)}`,
    note: `${costWords(one.quantity)} when trained with it: above the limit of ${count(one.limit)}`,
  }));
  return [...lines, { what: "within limits", value: share, note }, ...beyond];
}

/** Return what the training after it will take. */
export function trainingLines(estimate: TrainingEstimate, controls: number): readonly Line[] {
  const teachers = estimate.full_precision_networks;
  const beside = controls > 0 ? `; ${plural(controls, "architecture")} of them random, to compare with` : "";
  return [
    { what: "trainings", value: count(estimate.candidates), note: `architectures × methods × seeds${beside}` },
    { what: "epochs", value: count(estimate.epochs), note: "all trainings together" },
    ...(teachers > 0
      ? [{ what: "before them", value: count(teachers), note: "full-precision networks, to teach or to attack from" }]
      : []),
    time(estimate.seconds, estimate.seconds_from, "candidate", "no like training yet"),
    attacks(estimate.attack_steps),
    { what: "disk", value: bytes(estimate.disk_bytes), note: `kept; ${bytes(estimate.checkpoint_bytes)} more while it runs` },
    ...withoutC(estimate.without_c),
  ];
}

function withoutC(methods: readonly string[]): readonly Line[] {
  if (methods.length === 0) return [];
  return [{ what: "no C", value: methods.join(", "), note: "networks multiply with real numbers: neither C nor ONNX of them" }];
}
